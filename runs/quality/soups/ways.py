"""What is picked with the trained models: single folds, averages, soups, views, both systems."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from runs.quality.soups.trainings import EPOCHS, FOLDS, UNSEEN, models
from runs.shared.small_contest import SEEDS
from tomosoup.core.types import Picks
from tomosoup.data.options import AnnotatedData, DataOptions
from tomosoup.data.project import Project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.data.truth import read_truth
from tomosoup.inference.ensemble import ensemble_heatmap, picks_of
from tomosoup.inference.options.picking import PickingPlan, SegmentationOptions
from tomosoup.inference.tiling.symmetries import IN_PLANE
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.models.history import last_training, runs_seen
from tomosoup.models.soup import greedy_soup, soup
from tomosoup.scoring.thresholds import best_thresholds, calibrate
from tomosoup.training.options import TrainingRecipe
from tomosoup.training.run.batch_norm import with_statistics
from tomosoup.training.run.best_epochs import kept_checkpoints
from tomosoup.training.run.out_of_fold import out_of_fold
from tomosoup.training.supervision.crops import Crops, normalised, read_examples
from tomosoup.training.tune import pairs_of

PLAN = PickingPlan()
"""Windows as each net was validated with."""
FOUR = ("flip_y", "flip_x", "transpose")
"""Besides the volume as it is: the 8th place's four views."""
EIGHT = tuple(IN_PLANE)
"""All in-plane symmetries."""
Cell = tuple[str, str, Sequence[str], list[Checkpoint], PickingPlan]
"""What is picked: row, fold (or "-"), runs, checkpoints, plan."""


def cells(out: Path, project: Project, seed: int) -> Iterator[Cell]:
    """All that is picked with a seed's models."""
    for name in ("pretrained", "scratch", "A"):
        yield from averages(out, project, name, seed)
    yield from read_by_peaks(out, project, seed)
    yield from soups_of_pretrained(out, project, seed)
    yield from mixed(out, project, seed)


def averages(out: Path, project: Project, name: str, seed: int) -> Iterator[Cell]:
    """Single folds, the average of their outputs, and the average of their weights."""
    unseen, folds = project.runs[-UNSEEN:], models(out, name, seed)
    for fold, checkpoint in zip(FOLDS, folds, strict=True):
        yield f"{name}: single fold", str(fold), unseen, [checkpoint], PLAN
    yield f"{name}: outputs of the folds averaged", "-", unseen, folds, PLAN
    mean = soup(folds)
    if name == "A":
        yield "A: soup, statistics of batch norm averaged", "-", unseen, [mean], PLAN
        runs = tuple(sorted(runs_seen(mean.history).trained))
        examples = normalised(read_examples(project, AnnotatedData(runs=runs)), mean.normalisation)
        recipe = TrainingRecipe.of(last_training(folds[0].history).recipe, source="history")
        mean = with_statistics(mean, Crops(examples, mean.species, recipe))
    yield f"{name}: soup", "-", unseen, [mean], PLAN


def read_by_peaks(out: Path, project: Project, seed: int) -> Iterator[Cell]:
    """The 3D U-Nets, with picks from the peaks of their probabilities."""
    unseen, by_peaks = (
        project.runs[-UNSEEN:],
        PLAN.model_copy(update={"segmentation": SegmentationOptions(method="peaks")}),
    )
    for name in ("pretrained", "scratch"):
        folds = models(out, name, seed)
        yield f"{name}: outputs of the folds averaged, read by peaks", "-", unseen, folds, by_peaks
        yield f"{name}: soup, read by peaks", "-", unseen, [soup(folds)], by_peaks


def soups_of_pretrained(out: Path, project: Project, seed: int) -> Iterator[Cell]:
    """Soups of the pretrained 3D U-Nets: with views, of epochs, greedy, of both seeds."""
    unseen, folds = project.runs[-UNSEEN:], models(out, "pretrained", seed)
    for views, names in ((4, FOUR), (8, EIGHT)):
        yield f"pretrained: soup, {views} views", "-", unseen, [soup(folds)], PLAN.model_copy(update={"views": names})
    for fold in FOLDS:
        epochs = kept_checkpoints(out / "models" / f"pretrained-{fold}-{seed}.training")
        yield f"pretrained: soup of the {EPOCHS} epochs of a fold", str(fold), unseen, [soup(epochs)], PLAN
    for run, other in (unseen, unseen[::-1]):
        chosen = greedy(project, folds, other, read_truth(project, other))
        yield "pretrained: greedy soup", "-", [run], [chosen], PLAN
    if seed == SEEDS[0]:
        both = [m for s in SEEDS for m in models(out, "pretrained", s)]
        yield "pretrained: soup of both seeds", "-", unseen, [soup(both)], PLAN


def mixed(out: Path, project: Project, seed: int) -> Iterator[Cell]:
    """Both systems on their common scale."""
    unseen, a = project.runs[-UNSEEN:], calibrated(project, models(out, "A", seed))
    for name in ("pretrained", "scratch"):
        both = [*a, *calibrated(project, models(out, name, seed))]
        yield f"A and {name} mixed, outputs of the folds averaged", "-", unseen, both, PLAN


def calibrated(project: Project, checkpoints: list[Checkpoint]) -> list[Checkpoint]:
    """With calibrations from the runs that each of them held out, as `tomosoup tune` sets them."""
    species = checkpoints[0].species
    found = calibrate(pairs_of(out_of_fold(project, checkpoints, plan=PLAN).peaks), species)
    return [replace(c, calibration=found) for c in checkpoints]


def greedy(project: Project, checkpoints: list[Checkpoint], run: str, truth: dict[str, Picks]) -> Checkpoint:
    """A greedy soup chosen on one run."""

    def score_of(mean: Checkpoint) -> float:
        return best_thresholds([(pick(project, run, [mean], PLAN), truth)], mean.species)[1].weighted

    mean, steps = greedy_soup(checkpoints, score_of)
    print("greedy on", run, [(FOLDS[i], round(value, 3), kept) for i, value, kept in steps], flush=True)
    return mean


def pick(project: Project, run: str, checkpoints: Sequence[Checkpoint], plan: PickingPlan) -> dict[str, Picks]:
    """Candidates of a run."""
    volume = select_tomogram(project, run, DataOptions()).read()
    return picks_of(ensemble_heatmap(volume, checkpoints, plan=plan), checkpoints, plan=plan)
