"""Picks of a tomogram, picks of a project.

read -> denoise -> resample -> normalise -> windows -> engine -> blend -> mean over views and models
     -> peaks or watershed -> noise correction -> second stage -> picks (Å)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tomosoup.core.errors import InputError
from tomosoup.core.progress import Progress, no_progress, part
from tomosoup.core.runtime import best_device
from tomosoup.core.thresholds import Limits, MaxFdr, apply_thresholds
from tomosoup.core.types import NO_PICKS, Grid, Picks, PicksBySpecies, Searched, Slices, Volume
from tomosoup.data.copick.masks.mask import missing_masks
from tomosoup.data.copick.masks.region import Region, region_of
from tomosoup.data.options import DataOptions, RegionOptions
from tomosoup.data.project import Project
from tomosoup.data.tomogram import Tomogram, chosen_runs, select_tomogram
from tomosoup.inference.engines.net_cache import Nets
from tomosoup.inference.ensemble import (
    AS_TRAINED,
    all_species,
    all_thresholds,
    by_system,
    ensemble_slabs,
    mean_model_signal_levels,
    mixed,
)
from tomosoup.inference.options.hardware import InferenceOptions
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.inference.readout.noise_scaling import noise_corrected
from tomosoup.inference.readout.read_out import read_out
from tomosoup.inference.readout.second_stage import chosen_second_stage, rescored
from tomosoup.inference.readout.template_check import Maps, check_with_templates, read_maps
from tomosoup.inference.sliding_window import as_models_expect, checked
from tomosoup.models.adapt import named_for
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.models.second_stage import SecondStage
from tomosoup.scoring.calibration import Calibration, fdr_thresholds, mean_calibrations, refuse_unknown
from tomosoup.scoring.signal_levels import searched_volume


def pick(
    volume: Slices,
    checkpoints: Checkpoint | Sequence[Checkpoint],
    *,
    plan: PickingPlan = AS_TRAINED,
    inference: InferenceOptions = InferenceOptions(),  # noqa: B008 - immutable
    region: RegionOptions = RegionOptions(),  # noqa: B008 - immutable
    progress: Progress = no_progress,
) -> dict[str, Picks]:
    """Pick a raw tomogram `(z, y, x)`: all candidates by species, those above the plan's floor, best first, in Å.

    It applies no thresholds: `checkpoint.keep(picks)` returns the picks above the thresholds of a checkpoint.

    A score is the height of a peak in a heatmap, or the mean probability of the voxels of a particle. Scores are mostly
    between 0 and 1, but can exceed 1 after noise correction (`plan.noise_correction`): if the best picks of the
    tomogram score less than those that set the thresholds, all scores are divided by a power of the ratio
    (`noise_corrected`). The correction needs `checkpoint.signal_levels`, which `tomosoup train` and `tomosoup tune`
    store.

    One heatmap model with one view reads a tomogram on disk slice by slice. Several models or views hold one map in
    memory. Tomograms that the plan denoises, and those with another voxel size than the checkpoints, are read into
    memory first.

    Args:
        volume: A `Volume`, or a tomogram on disk (`select_tomogram`). An array needs its voxel size and origin:
            `Volume(array, voxel_size, origin)`.
        checkpoints: One checkpoint, or several whose maps are averaged.
        plan: Windows, views and how maps become picks.
        inference: Engine, device and precision.
        region: A mask in a file, and where its picks may be; `{run}` in its name is the run of a tomogram. Picks then
            have a `mask_distance`. `pick_project` also takes masks that are copick segmentations.
        progress: Called as work advances.

    Raises:
        InputError: For a volume that is not 3D, holds NaN or is constant, for checkpoints that cannot be combined, and
            for a mask that is missing, empty or does not cover the volume.
    """
    models = [checkpoints] if isinstance(checkpoints, Checkpoint) else list(checkpoints)
    second = chosen_second_stage(plan)
    volume = checked(volume)
    run = volume.run if isinstance(volume, Tomogram) else "volume"
    searched = region_of(region, run, Grid(volume.voxel_size, volume.origin, volume.shape), None)
    return pick_with(Nets(inference), volume, models, plan=plan, second=second, region=searched, progress=progress)


def pick_with(
    nets: Nets,
    volume: Slices,
    models: Sequence[Checkpoint],
    *,
    plan: PickingPlan,
    second: SecondStage | None = None,
    region: Region | None = None,
    progress: Progress = no_progress,
) -> dict[str, Picks]:
    """`pick` with nets that stay in memory from one volume to the next.

    `second` is the plan's second stage (`chosen_second_stage`). With a `region` all picks are in it, and grey values
    and scores are normalised by what is in it.
    """
    systems = by_system(models, plan)
    source = as_models_expect(checked(volume), models, nets=nets, plan=plan, progress=progress)
    shown = source
    source = Searched(source, region.on(source)) if region else source
    slabs = ensemble_slabs(source, systems, plan=plan, nets=nets, progress=progress)
    segments_voxels = all(system.segments_voxels for system in systems)
    picks = read_out(slabs, source, all_species(models), segments_voxels=segments_voxels, plan=plan)
    picks = region.kept(picks) if region else picks
    searched = {name: found for name, found in picks.items() if name not in plan.leave_out}
    picks |= noise_corrected(
        searched, mean_model_signal_levels(models), volume=searched_volume(source), power=plan.noise_correction
    )
    if second:
        picks = rescored(picks, shown, second, device=best_device(nets.inference.device), progress=progress)
    return region.with_distances(picks) if region else picks


def pick_project(
    project: Project,
    checkpoints: Checkpoint | Sequence[Checkpoint],
    *,
    data: DataOptions = DataOptions(),  # noqa: B008 - immutable
    thresholds: Limits | None = None,
    plan: PickingPlan = AS_TRAINED,
    nets: Nets | None = None,
    region: RegionOptions = RegionOptions(),  # noqa: B008 - immutable
    progress: Progress = no_progress,
) -> dict[str, dict[str, Picks]]:
    """Pick the chosen runs of a project one by one. Returns the picks by run and species, and writes nothing.

    The picks are those above the thresholds that pass the plan's template check. (`tomosoup pick` writes the picks of
    each run and resumes after failures.)

    Args:
        project: From `open_project`.
        checkpoints: One checkpoint, or several whose maps are averaged.
        data: The runs, and the tomogram of each.
        thresholds: Lowest score of a pick, by species; by default those of the plan's second stage or of the
            checkpoints. `MaxFdr(0.1)` keeps the best while one in ten is expected to be false.
        plan: Windows, views and how maps become picks.
        nets: Nets of an earlier call, to reuse.
        region: A mask of each run, in a file or in copick, and where its picks may be. Picks then have a
            `mask_distance`.
        progress: Called as work advances.

    Raises:
        InputError: Before the first run, if a run has no tomogram or no mask, a density map is bad, or the models have
            no probabilities for a false-discovery rate; later, at a run with bad voxels or a bad mask.
    """
    models = [checkpoints] if isinstance(checkpoints, Checkpoint) else list(checkpoints)
    models = named_for(project, models)
    second = chosen_second_stage(plan, project)
    used = thresholds if thresholds is not None else second.thresholds if second else all_thresholds(models)
    tomograms = [select_tomogram(project, run, data) for run in chosen_runs(project, data)]
    if region.mask:
        missing_masks(region.mask, project, [tomogram.run for tomogram in tomograms])
    maps = chosen_maps(plan, models)
    check_limits(used, models, second, [s.name for s in all_species(models) if s.name not in plan.leave_out])
    nets, kept = nets or Nets(), {}
    for i, tomogram in enumerate(tomograms):
        own = part(progress, i, len(tomograms), what=f"Picking {tomogram.run}")
        try:
            searched = region_of(region, tomogram.run, tomogram.grid, project)
            candidates = pick_with(nets, tomogram, models, plan=plan, second=second, region=searched, progress=own)
            limits = limits_for(candidates, models, used, second)
            kept[tomogram.run] = chosen(candidates, tomogram, models, thresholds=limits, plan=plan, maps=maps)
        except InputError as error:
            raise InputError(f"Run {tomogram.run}: {error}") from error
    return kept


def calibrations_for(
    candidates: PicksBySpecies, models: Sequence[Checkpoint], second: SecondStage | None = None
) -> dict[str, Calibration]:
    """The probability that a candidate is a particle, by its species; `models` and `second` made all of them.

    Empty where one of the models, or the second stage, has no probabilities, and for heatmap and segmentation models
    together.
    """
    own = [model.pick_calibration for model in models]
    if mixed(models) or not all(own) or (second and not second.pick_calibration):
        return {}
    known = mean_calibrations(own)
    if second:  # species that it does not know keep their scores
        known = {name: c for name, c in known.items() if name not in {s.name for s in second.species}}
        known |= second.pick_calibration
    return {name: known[name] for name in candidates if name in known}


def check_limits(
    limits: Limits, models: Sequence[Checkpoint], second: SecondStage | None, species: Iterable[str]
) -> None:
    """Raises `InputError` for a false-discovery rate if probabilities of the models or of a species are not known."""
    if not isinstance(limits, MaxFdr):
        return
    known = calibrations_for(dict.fromkeys((s.name for s in all_species(models)), NO_PICKS), models, second)
    if mixed(models):
        raise InputError("Heatmap and segmentation models together have no probabilities: give a `threshold` instead.")
    if not known:
        raise InputError(
            "The models, or the second stage, have no probabilities, which `max_fdr` requires: give a `threshold` "
            "instead, or store them with `tomosoup tune` or `tomosoup second-stage`."
        )
    refuse_unknown(species, known)


def limits_for(
    candidates: PicksBySpecies, models: Sequence[Checkpoint], limits: Limits, second: SecondStage | None = None
) -> Mapping[str, float]:
    """The thresholds of a tomogram: those given, or those that its candidates need for a false-discovery rate."""
    if not isinstance(limits, MaxFdr):
        return limits
    return fdr_thresholds(candidates, calibrations_for(candidates, models, second), limits.rate)


def chosen(
    candidates: PicksBySpecies,
    volume: Slices,
    models: Sequence[Checkpoint],
    *,
    thresholds: Mapping[str, float],
    plan: PickingPlan,
    maps: Maps,
) -> dict[str, Picks]:
    """The candidates above the thresholds that pass the template check, if `maps` are given."""
    passing = apply_thresholds(candidates, thresholds)
    return check_with_templates(passing, volume, all_species(models), maps, plan.templates) if maps else passing


def chosen_maps(plan: PickingPlan, models: Sequence[Checkpoint]) -> dict[str, Volume]:
    """The density maps of the plan (`read_maps`); empty without."""
    folder = plan.templates.folder
    return read_maps(folder, [s.name for s in all_species(models)]) if folder else {}
