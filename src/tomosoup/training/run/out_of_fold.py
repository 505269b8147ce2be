"""Picks of the runs that trainings held out, by the checkpoints that they made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tomosoup.core.errors import InputError, shortened
from tomosoup.core.progress import Progress, no_log, no_progress, part
from tomosoup.core.types import Picks, PicksBySpecies, Searched, Slices, Volume
from tomosoup.data.copick.masks.region import region_of
from tomosoup.data.options import RegionOptions, TuningData
from tomosoup.data.project import Project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.data.truth import read_truths
from tomosoup.inference.engines.net_cache import Nets
from tomosoup.inference.ensemble import AS_TRAINED, all_species, ensemble_heatmap, mixed, picks_of
from tomosoup.inference.options.hardware import InferenceOptions
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.inference.readout.noise_scaling import noise_corrected
from tomosoup.inference.readout.peaks import find_peaks
from tomosoup.inference.readout.watershed import labels_to_heatmap
from tomosoup.inference.sliding_window import as_models_expect
from tomosoup.inference.tiling.symmetries import chosen_views
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.models.history import held_out_run
from tomosoup.scoring.signal_levels import SignalLevels, measured_levels, searched_volume

Fold = tuple[str, PicksBySpecies, PicksBySpecies]
"""A held-out run, its picks by models that never trained on it, and its truth."""


@dataclass(frozen=True)
class OutOfFold:
    """Picks of models in runs that they were not trained on, one entry per run and view."""

    folds: list[Fold]
    """Picks, their scores corrected for the noise of each run."""
    peaks: list[Fold]
    """Peaks to calibrate scores on. Of segmentation models they are peaks of the smoothed probabilities."""
    signal_levels: SignalLevels = field(default_factory=SignalLevels)
    """The mean over runs; empty without noise correction."""


def out_of_fold(
    project: Project,
    checkpoints: Sequence[Checkpoint],
    *,
    data: TuningData = TuningData(),  # noqa: B008 - immutable
    plan: PickingPlan = AS_TRAINED,
    inference: InferenceOptions = InferenceOptions(),  # noqa: B008 - immutable
    region: RegionOptions = RegionOptions(),  # noqa: B008 - immutable
    progress: Progress = no_progress,
    log: Callable[[str], None] = no_log,
) -> OutOfFold:
    """Picks and peaks, above the plan's floor, of every run that checkpoints held out: one entry per run and view.

    Checkpoints that held out the same run pick it as an ensemble. Views are not averaged: each is another sample of the
    same particles. `data.runs`, where it names any, leaves out the checkpoints that held out other runs. With
    `data.all_runs` all checkpoints pick all annotated runs as an ensemble. With a mask in `region`, picks and true
    particles outside do not count. `log` gets a line about species that the checkpoints do not know.

    Raises `InputError` for a checkpoint whose history names no held-out run, for a held-out run that the project lacks
    or has no truth of, for true particles of unknown species alone, for voxel sizes that disagree, for an unknown view,
    and for a run without a mask.
    """
    _refuse_plan(plan)
    groups, truths = _groups(project, checkpoints, data)
    views = chosen_views(plan.views)
    tomograms = {run: select_tomogram(project, run, data) for run in groups}
    nets = Nets(inference, log=log)
    if unknown := _unknown(truths, checkpoints):
        log(f"The models do not know {', '.join(unknown)}, which is left out.")
    folds, peaks, volumes = list[Fold](), list[Fold](), list[float]()
    for i, (run, group) in enumerate(groups.items()):
        slices = as_models_expect(tomograms[run], group, nets=nets, plan=plan)
        volume = Volume(slices.slices(0, slices.shape[0]), slices.voxel_size, slices.origin)
        searched = region_of(region, run, tomograms[run].grid, project)
        where = searched.on(volume) if searched else None
        truth = searched.kept(truths[run]) if searched else truths[run]
        of_run = part(progress, i, len(groups), what=f"Picking (held-out {run})")
        for j, view in enumerate(views):
            shown: Slices = replace(volume, data=view.apply(volume.data))
            shown = shown if where is None else Searched(shown, view.apply(where))
            volumes.append(searched_volume(shown))
            heatmap = ensemble_heatmap(
                shown,
                group,
                plan=plan.model_copy(update={"views": (), "denoise": "never"}),
                nets=nets,
                progress=part(of_run, j, len(views)),
            )
            heatmap = replace(volume, data=view.undo(heatmap.data))
            picks = picks_of(heatmap, group, plan=plan)
            segments = all(model.segments_voxels for model in group)
            found = [picks, _smoothed_peaks(heatmap, group, plan) if segments else picks]
            for into, some in zip((folds, peaks), found, strict=True):
                into.append((run, searched.kept(some) if searched else some, truth))
    power = 0.0 if mixed(checkpoints) else plan.noise_correction
    corrected, levels = _corrected(folds, volumes, power=power)
    return OutOfFold(corrected, peaks, levels)


def _groups(
    project: Project, checkpoints: Sequence[Checkpoint], data: TuningData
) -> tuple[Mapping[str, list[Checkpoint]], Mapping[str, PicksBySpecies]]:
    """The runs to pick, each with the checkpoints that pick it, and the truth of each."""
    if data.all_runs:
        truths = read_truths(project, data)
        return {run: list(checkpoints) for run in truths}, truths
    groups = by_held_out_run(checkpoints, data.runs)
    if missing := [run for run in groups if run not in project.runs]:
        raise InputError(
            f"The models held out {shortened(missing)}, which {project.path} does not have: give models that "
            "`tomosoup train` made from this project, or let all pick all runs with `all_runs`."
        )
    return groups, read_truths(project, data.model_copy(update={"runs": tuple(groups)}))


def _unknown(truths: Mapping[str, PicksBySpecies], checkpoints: Sequence[Checkpoint]) -> list[str]:
    """The annotated species that no model knows. Raises `InputError` where no other species is annotated."""
    names = [s.name for s in all_species(checkpoints)]
    annotated = {name for truth in truths.values() for name, picks in truth.items() if len(picks)}
    if annotated and not annotated & set(names):
        raise InputError(
            f"The true picks are of {', '.join(sorted(annotated))}, and the models know {', '.join(names)}: give "
            "models of these species, or correct the names."
        )
    return sorted(annotated - set(names))


def _corrected(folds: Sequence[Fold], volumes: Sequence[float], *, power: float) -> tuple[list[Fold], SignalLevels]:
    """The folds with scores corrected for the noise of each, and the levels of all; none of both without a power."""
    picked = [(picks, volume) for (_, picks, _), volume in zip(folds, volumes, strict=True)]
    levels = measured_levels(picked) if power else SignalLevels()
    corrected = [noise_corrected(picks, levels, volume=volume, power=power) for picks, volume in picked]
    return [(run, picks, truth) for (run, _, truth), picks in zip(folds, corrected, strict=True)], levels


def _refuse_plan(plan: PickingPlan) -> None:
    """Raises `InputError` for what is not tuned."""
    if plan.second_stage:
        raise InputError("A second stage brings its own thresholds: leave `second_stage` to `tomosoup pick`.")
    if plan.model_weights:
        raise InputError("Models are tuned with equal weights: leave `model_weights` to `tomosoup pick`.")


def by_held_out_run(checkpoints: Sequence[Checkpoint], runs: Sequence[str] = ()) -> dict[str, list[Checkpoint]]:
    """The checkpoints by the run that their training held out; with `runs`, those that held out one of these.

    Raises `InputError` where none did, and where heatmap and segmentation models did not hold out the same runs.
    """
    groups: dict[str, list[Checkpoint]] = {}
    for checkpoint in checkpoints:
        run = held_out_run(checkpoint.history)
        if not runs or run in runs:
            groups.setdefault(run, []).append(checkpoint)
    lone = [run for run, group in groups.items() if not mixed(group)]
    if lone and mixed(checkpoints):
        raise InputError(
            "Heatmap and segmentation models are tuned together, and only models of one of the two held out "
            f"{', '.join(lone)}: give models of both for the same held-out runs."
        )
    if not groups:
        raise InputError(f"None of the models held out {', '.join(runs)}: leave `runs` out, or name others.")
    return groups


def _smoothed_peaks(heatmap: Volume, group: Sequence[Checkpoint], plan: PickingPlan) -> dict[str, Picks]:
    """Peaks of the smoothed probabilities of segmentation models."""
    species = all_species(group)
    return find_peaks(labels_to_heatmap(heatmap, species), species, peaks=plan.peaks)
