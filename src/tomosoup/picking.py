"""Picks of a volume, picks of a project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tomosoup.checkpoints import Checkpoint
from tomosoup.ensembles import AS_TRAINED, all_thresholds, ensemble_heatmap, read_picks
from tomosoup.errors import InputError
from tomosoup.evaluation import apply_thresholds
from tomosoup.io.picks import PickStore
from tomosoup.io.project import Project
from tomosoup.io.selection import chosen_runs, select_tomogram
from tomosoup.prediction import check_voxel_size
from tomosoup.recipes.data import DataRecipe
from tomosoup.recipes.picking import PickingPlan
from tomosoup.types import Picks, Progress, Volume, quiet


def pick(
    volume: Volume,
    checkpoints: Checkpoint | Sequence[Checkpoint],
    *,
    plan: PickingPlan = AS_TRAINED,
    device: str = "auto",
    progress: Progress = quiet,
) -> dict[str, Picks]:
    """Particles of a raw `(z, y, x)` tomogram, by species: everything above the plan's floor, best first, in Å.

    With several checkpoints it is the peaks of `ensemble_heatmap`.
    `evaluation.apply_thresholds(picks, checkpoint.thresholds)` leaves the ones to keep. Raises `InputError` for a
    volume that is not 3D, holds NaN or is constant, and for voxel sizes that disagree.
    """
    models = [checkpoints] if isinstance(checkpoints, Checkpoint) else list(checkpoints)
    heatmap = ensemble_heatmap(volume, models, plan=plan, device=device, progress=progress)
    return read_picks(heatmap, models, plan=plan)


def pick_project(
    project: Project,
    checkpoints: Sequence[Checkpoint],
    *,
    store: PickStore | None = None,
    data: DataRecipe = DataRecipe(),  # noqa: B008 - immutable
    thresholds: Mapping[str, float] | None = None,
    plan: PickingPlan = AS_TRAINED,
    device: str = "auto",
    progress: Progress = quiet,
) -> dict[str, dict[str, Picks]]:
    """Pick the chosen runs of a project one by one; with a `store`, a run's picks are written before the next begins.

    Returns, by run and species, the picks that pass `thresholds` (the checkpoints' own where None). Raises `InputError`
    before the first run where a run has no tomogram or a wrong voxel size, and at the run where its voxels are bad.
    """
    limits = all_thresholds(checkpoints) if thresholds is None else thresholds
    tomograms = [select_tomogram(project, run, data) for run in chosen_runs(project, data)]
    for tomogram in tomograms:
        for checkpoint in checkpoints:
            check_voxel_size(tomogram.voxel_size, checkpoint, what=f"Run {tomogram.run}")
    kept = {}
    for i, tomogram in enumerate(tomograms):

        def report(_: str, done: int, total: int, i: int = i, run: str = tomogram.run) -> None:
            progress(f"Picking {run}", i * total + done, len(tomograms) * total)

        try:
            candidates = pick(tomogram.read(), checkpoints, plan=plan, device=device, progress=report)
        except InputError as error:
            raise InputError(f"Run {tomogram.run}: {error}") from error
        kept[tomogram.run] = apply_thresholds(candidates, limits)
        if store:
            store.write(tomogram.run, candidates, kept[tomogram.run])
    return kept
