"""Picks of a tomogram, picks of a project.

read -> resample -> normalise -> windows -> engine -> blend -> mean over views and models
     -> peaks or watershed -> noise correction -> picks (Å)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tomosoup.core.errors import InputError
from tomosoup.core.progress import Progress, no_progress, part
from tomosoup.core.thresholds import apply_thresholds
from tomosoup.core.types import Picks, PicksBySpecies, Slices, Volume
from tomosoup.data.options import DataOptions
from tomosoup.data.project import Project
from tomosoup.data.tomogram import chosen_runs, select_tomogram
from tomosoup.inference.engines.net_cache import Nets
from tomosoup.inference.ensemble import (
    AS_TRAINED,
    all_species,
    all_thresholds,
    by_system,
    ensemble_slabs,
    mean_model_signal_levels,
)
from tomosoup.inference.options.hardware import InferenceOptions
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.inference.readout.noise_scaling import noise_corrected
from tomosoup.inference.readout.read_out import read_out
from tomosoup.inference.readout.template_check import Maps, check_with_templates, read_maps
from tomosoup.inference.sliding_window import at_voxel_size, checked
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.models.rename import named_for


def pick(
    volume: Slices,
    checkpoints: Checkpoint | Sequence[Checkpoint],
    *,
    plan: PickingPlan = AS_TRAINED,
    inference: InferenceOptions = InferenceOptions(),  # noqa: B008 - immutable
    progress: Progress = no_progress,
) -> dict[str, Picks]:
    """The particles of a raw `(z, y, x)` tomogram, by species: all above the plan's floor, best first, in Å.

    Thresholds are left to you: `checkpoint.keep(picks)` gives the picks that reach a checkpoint's own.

    A score is the height of a heatmap's peak, or the mean probability of a particle's voxels, mostly from 0 to 1. It
    can exceed 1 after noise correction (`plan.noise_correction`): where a tomogram's best picks score less than those
    that the thresholds were set on, all its scores are divided by a power of the ratio (`noise_corrected`). This
    applies to the species in `checkpoint.signal_levels`. Where that is empty, as before `tomosoup train` or
    `tomosoup tune` has set it, scores stay as they are.

    A tomogram on disk passes through memory slice by slice where one model that predicts heatmaps picks it in one view.
    Several models or views hold one map in memory. Voxels of another size than the checkpoints' are resampled first,
    and the tomogram is then held in memory.

    Args:
        volume: A `Volume`, or a tomogram on disk (`select_tomogram`). An array needs its voxel size and origin:
            `Volume(array, voxel_size, origin)`.
        checkpoints: One checkpoint, or several whose maps are averaged.
        plan: Windows, views and how maps become picks.
        inference: Engine, device and precision.
        progress: Called as work advances.

    Raises:
        InputError: For a volume that is not 3D, holds NaN or is constant, and for checkpoints that do not go together.
    """
    models = [checkpoints] if isinstance(checkpoints, Checkpoint) else list(checkpoints)
    return pick_with(Nets(inference), volume, models, plan=plan, progress=progress)


def pick_with(
    nets: Nets, volume: Slices, models: Sequence[Checkpoint], *, plan: PickingPlan, progress: Progress = no_progress
) -> dict[str, Picks]:
    """`pick` with nets that stay ready from one volume to the next: the way from a tomogram to its picks."""
    systems = by_system(models, plan)
    source = at_voxel_size(checked(volume), models, log=nets.log_once)
    slabs = ensemble_slabs(source, systems, plan=plan, nets=nets, progress=progress)
    segments_voxels = all(system.segments_voxels for system in systems)
    picks = read_out(slabs, source, all_species(models), segments_voxels=segments_voxels, plan=plan)
    return noise_corrected(picks, mean_model_signal_levels(models), power=plan.noise_correction)


def pick_project(
    project: Project,
    checkpoints: Checkpoint | Sequence[Checkpoint],
    *,
    data: DataOptions = DataOptions(),  # noqa: B008 - immutable
    thresholds: Mapping[str, float] | None = None,
    plan: PickingPlan = AS_TRAINED,
    nets: Nets | None = None,
    progress: Progress = no_progress,
) -> dict[str, dict[str, Picks]]:
    """Pick the chosen runs of a project one by one; the picks by run and species. Nothing is written.

    Returned are the picks that pass the thresholds and the plan's template check. (`tomosoup pick` writes picks as it
    goes and resumes after failures.)

    Args:
        project: What `open_project` gives.
        checkpoints: One checkpoint, or several whose maps are averaged.
        data: Which runs, and which of their tomograms.
        thresholds: By species, the score that a pick must reach; the checkpoints' own where None.
        plan: Windows, views and how maps become picks.
        nets: Nets that stay ready from an earlier call.
        progress: Called as work advances.

    Raises:
        InputError: Before the first run, where a run has no tomogram or a density map is bad; at the run whose voxels
            are bad.
    """
    models = [checkpoints] if isinstance(checkpoints, Checkpoint) else list(checkpoints)
    models = named_for(project, models)
    used = all_thresholds(models) if thresholds is None else thresholds
    tomograms = [select_tomogram(project, run, data) for run in chosen_runs(project, data)]
    maps = chosen_maps(plan, models)
    nets, kept = nets or Nets(), {}
    for i, tomogram in enumerate(tomograms):
        own = part(progress, i, len(tomograms), what=f"Picking {tomogram.run}")
        try:
            candidates = pick_with(nets, tomogram, models, plan=plan, progress=own)
            kept[tomogram.run] = chosen(candidates, tomogram, models, thresholds=used, plan=plan, maps=maps)
        except InputError as error:
            raise InputError(f"Run {tomogram.run}: {error}") from error
    return kept


def chosen(
    candidates: PicksBySpecies,
    volume: Slices,
    models: Sequence[Checkpoint],
    *,
    thresholds: Mapping[str, float],
    plan: PickingPlan,
    maps: Maps,
) -> dict[str, Picks]:
    """The candidates that pass the thresholds and, where there are `maps`, the template check."""
    passing = apply_thresholds(candidates, thresholds)
    return check_with_templates(passing, volume, all_species(models), maps, plan.templates) if maps else passing


def chosen_maps(plan: PickingPlan, models: Sequence[Checkpoint]) -> dict[str, Volume]:
    """The plan's density maps (`read_maps`), or none."""
    folder = plan.templates.folder
    return read_maps(folder, [kind.name for kind in all_species(models)]) if folder else {}
