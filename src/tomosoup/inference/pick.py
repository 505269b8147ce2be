"""Picks of a volume, picks of a project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tomosoup.core.errors import InputError
from tomosoup.core.progress import Progress, no_progress
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
    check_volume,
    chosen_views,
    ensemble_heatmap,
    mean_model_signal_levels,
    model_shares,
    model_slabs,
    read_picks,
)
from tomosoup.inference.options.hardware import InferenceOptions
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.inference.readout.noise_scaling import noise_corrected
from tomosoup.inference.readout.template_check import Maps, check_with_templates, read_maps
from tomosoup.inference.sliding_window import at_voxel_size, search_peaks
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
    """Particles of a raw `(z, y, x)` tomogram, by species: everything above the plan's floor, best first, in Å.

    Scores are those of a tomogram as loud as the checkpoints' thresholds were set on (`plan.noise_correction`). With
    several checkpoints it is the peaks of `ensemble_heatmap`. With one that predicts heatmaps the tomogram passes
    through memory slice by slice: read (where it is a `Tomogram` on disk), predicted, searched for peaks, forgotten.
    Voxels of another size than the checkpoints' are resampled first, the tomogram then held in memory.
    `evaluation.apply_thresholds(picks, checkpoint.thresholds)` leaves the ones to keep. Raises `InputError` for a
    volume that is not 3D, holds NaN or is constant, and for checkpoints whose voxel sizes disagree.
    """
    models = [checkpoints] if isinstance(checkpoints, Checkpoint) else list(checkpoints)
    return pick_with(Nets(inference), volume, models, plan=plan, progress=progress)


def pick_with(
    nets: Nets, volume: Slices, models: Sequence[Checkpoint], *, plan: PickingPlan, progress: Progress = no_progress
) -> dict[str, Picks]:
    """`pick` with nets that stay ready from one volume to the next."""
    if len(models) == 1 and not models[0].segments_voxels and len(chosen_views(plan.views)) == 1:
        check_volume(volume)
        volume = at_voxel_size(volume, models, log=nets.log_once)
        model_shares(models, plan)
        slabs = model_slabs(volume, models[0], plan=plan, nets=nets, progress=progress)
        picks = search_peaks(slabs, models[0].species, peaks=plan.peaks)
    else:
        heatmap = ensemble_heatmap(volume, models, plan=plan, nets=nets, progress=progress)
        picks = read_picks(heatmap, models, plan=plan)
    return noise_corrected(picks, mean_model_signal_levels(models), power=plan.noise_correction)


def pick_project(
    project: Project,
    checkpoints: Sequence[Checkpoint],
    *,
    data: DataOptions = DataOptions(),  # noqa: B008 - immutable
    thresholds: Mapping[str, float] | None = None,
    plan: PickingPlan = AS_TRAINED,
    nets: Nets | None = None,
    progress: Progress = no_progress,
) -> dict[str, dict[str, Picks]]:
    """Pick the chosen runs of a project one by one. (`picking_jobs` writes picks and goes on after failures.)

    Returns, by run and species, the picks that pass `thresholds` (the checkpoints' own where None) and the plan's
    density maps. Raises `InputError` before the first run where a run has no tomogram or a map is bad, and at the run
    where its voxels are bad.
    """
    checkpoints = named_for(project, checkpoints)
    limits = all_thresholds(checkpoints) if thresholds is None else thresholds
    tomograms = [select_tomogram(project, run, data) for run in chosen_runs(project, data)]
    maps = chosen_maps(plan, checkpoints)
    nets, kept = nets or Nets(), {}
    for i, tomogram in enumerate(tomograms):

        def report(_: str, done: int, total: int, i: int = i, run: str = tomogram.run) -> None:
            progress(f"Picking {run}", i * total + done, len(tomograms) * total)

        try:
            candidates = pick_with(nets, tomogram, checkpoints, plan=plan, progress=report)
            kept[tomogram.run] = chosen(candidates, tomogram, checkpoints, thresholds=limits, plan=plan, maps=maps)
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
    """The candidates that pass the thresholds, and the plan's density maps where there are `maps`."""
    passing = apply_thresholds(candidates, thresholds)
    return check_with_templates(passing, volume, all_species(models), maps, plan.templates) if maps else passing


def chosen_maps(plan: PickingPlan, models: Sequence[Checkpoint]) -> dict[str, Volume]:
    """The plan's density maps (`templates.read_maps`), or none."""
    folder = plan.templates.folder
    return read_maps(folder, [kind.name for kind in all_species(models)]) if folder else {}
