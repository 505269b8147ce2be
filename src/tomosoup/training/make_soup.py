"""Soups of checkpoints, with thresholds and batch norm statistics from the runs of a project."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tomosoup.core.errors import InputError, shortened
from tomosoup.core.progress import Progress, no_progress, part
from tomosoup.core.runtime import best_device
from tomosoup.core.types import PicksBySpecies
from tomosoup.data.options import AnnotatedData
from tomosoup.data.project import Project, open_project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.data.truth import read_truths
from tomosoup.inference.engines.net_cache import Nets
from tomosoup.inference.ensemble import AS_TRAINED, ensemble_heatmap, picks_of
from tomosoup.inference.options.hardware import InferenceOptions
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.inference.readout.noise_scaling import noise_corrected
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.models.history import Souped, last_training, runs_seen
from tomosoup.models.soup import greedy_soup, mismatches, soup
from tomosoup.scoring.signal_levels import SignalLevels, measured_levels, searched_volume
from tomosoup.scoring.thresholds import best_thresholds, calibrate, steady_thresholds
from tomosoup.training.run.batch_norm import statistics_differ, training_crops, with_statistics
from tomosoup.training.run.best_epochs import kept_checkpoints
from tomosoup.training.supervision.crops import Crops


@dataclass(frozen=True)
class NamedCheckpoint:
    """A checkpoint and what messages call it."""

    name: str
    checkpoint: Checkpoint


@dataclass(frozen=True)
class FinishedSoup:
    """A soup, and sentences on what its score is worth."""

    checkpoint: Checkpoint
    notes: tuple[str, ...]

    @property
    def ingredients(self) -> int:
        """How many checkpoints went into it."""
        return sum(len(event.ingredients) for event in self.checkpoint.history if isinstance(event, Souped))


@dataclass(frozen=True)
class SoupScorer:
    """Finishes soups and scores them on some runs of a project."""

    project: Project
    runs: Sequence[str]
    data: AnnotatedData
    plan: PickingPlan
    inference: InferenceOptions
    crops: Crops | None
    """Training crops for the statistics of batch norms; None where the ingredients have none of their own."""
    progress: Progress = no_progress

    def finished(self, mean: Checkpoint) -> Checkpoint:
        """The soup with the statistics of its batch norms re-estimated, where they need it."""
        if self.crops is None:
            return mean
        return with_statistics(mean, self.crops, device=best_device(self.inference.device))

    def found(self, checkpoint: Checkpoint) -> list[tuple[PicksBySpecies, PicksBySpecies, float]]:
        """Picks, true picks and volume (µm³) of every run."""
        truths = read_truths(self.project, self.data.model_copy(update={"runs": tuple(self.runs)}))
        found: list[tuple[PicksBySpecies, PicksBySpecies, float]] = []
        for i, (run, truth) in enumerate(truths.items()):
            heatmap = ensemble_heatmap(
                select_tomogram(self.project, run, self.data),
                [checkpoint],
                plan=self.plan,
                nets=Nets(self.inference),
                progress=part(self.progress, i, len(truths)),
            )
            found.append((picks_of(heatmap, [checkpoint], plan=self.plan), truth, searched_volume(heatmap)))
        return found

    def score(self, mean: Checkpoint) -> float:
        """Weighted F4 at the best thresholds."""
        pairs = [(picks, truth) for picks, truth, _ in self.found(self.finished(mean))]
        return best_thresholds(pairs, mean.species)[1].weighted

    def with_thresholds(self, mean: Checkpoint) -> Checkpoint:
        """A finished soup, its thresholds, signal levels and probabilities from the runs.

        Its history keeps the F4 and the runs.
        """
        found, power = self.found(mean), self.plan.noise_correction
        levels = measured_levels([(picks, volume) for picks, _, volume in found]) if power else SignalLevels()
        pairs = [(noise_corrected(picks, levels, volume=volume, power=power), truth) for picks, truth, volume in found]
        event = mean.history[-1]
        assert isinstance(event, Souped)  # every soup's history ends so
        event = replace(event, chosen_on=tuple(self.runs), f4=best_thresholds(pairs, mean.species)[1].weighted)
        return replace(
            mean,
            thresholds=steady_thresholds(pairs, mean.species),
            pick_calibration=calibrate(pairs, mean.species),
            signal_levels=levels,
            history=(event,),
        )


def make_soup(
    ingredients: Sequence[str | Path | Checkpoint],
    *,
    weights: Sequence[float] = (),
    greedy: bool = False,
    project: Project | str | Path | None = None,
    data: AnnotatedData = AnnotatedData(),  # noqa: B008 - immutable
    plan: PickingPlan = AS_TRAINED,
    inference: InferenceOptions = InferenceOptions(),  # noqa: B008 - immutable
    progress: Progress = no_progress,
) -> FinishedSoup:
    """The soup of some checkpoints, with notes on what its score is worth.

    With a project, the statistics of batch norms are re-estimated on crops of the runs that the ingredients trained on,
    unless all ingredients have the same (`freeze_norms`).
    `data.runs`, or the runs that no ingredient has seen, choose what goes into a greedy soup and set thresholds.

    Args:
        ingredients: Checkpoints or their files. The folder of a training stands for the best epochs that it kept.
        weights: Of each ingredient in the mean; by default all are equal.
        greedy: Start with the best ingredient, and add another one only if the score on the runs rises.
        plan: How to pick these runs.

    Raises `InputError` for ingredients that do not go together, for batch norms that differ or a greedy soup without a
    project, and for a greedy soup without a run to choose by.
    """
    named = read_ingredients(ingredients)
    mean = _mean(named, weights, greedy=greedy)
    if project is None:
        _refuse_without_project(named, greedy=greedy)
        return FinishedSoup(mean, tuple(seen_by(named, None)[1]))
    project = project if not isinstance(project, str | Path) else open_project(project)
    annotated = list(read_truths(project, data.model_copy(update={"runs": ()})))
    unseen, notes = seen_by(named, annotated)
    runs = list(data.runs) or unseen
    notes += _notes_on_runs(mean, runs, annotated, project)
    estimated = statistics_differ([one.checkpoint for one in named])
    crops = training_crops(project, data, mean, progress=progress) if estimated else None
    scorer = SoupScorer(project, runs, data, plan, inference, crops, progress)
    if greedy:
        mean, added = _greedy(named, scorer, annotated)
        notes += added
    mean = scorer.finished(mean)
    if runs:
        mean = scorer.with_thresholds(mean)
        notes.append(_note_on_score(mean, runs, greedy=greedy))
    return FinishedSoup(mean, tuple(notes))


def _mean(named: Sequence[NamedCheckpoint], weights: Sequence[float], *, greedy: bool) -> Checkpoint:
    """The mean of all ingredients. Raises `InputError` for those that do not go together, by their names."""
    if greedy and weights:
        raise InputError("A greedy soup gives all that it keeps the same weight: leave out `weights` or `greedy`.")
    for other in named[1:]:
        if found := mismatches(named[0].checkpoint, other.checkpoint):
            raise InputError(f"{named[0].name} and {other.name} cannot be averaged: they differ in {'; '.join(found)}.")
    return soup([one.checkpoint for one in named], weights=weights or None)


def _refuse_without_project(named: Sequence[NamedCheckpoint], *, greedy: bool) -> None:
    """Raises `InputError` for a soup that needs a project."""
    if greedy:
        raise InputError("A greedy soup is chosen by annotated runs: give their `project`.")
    if statistics_differ([one.checkpoint for one in named]):
        raise InputError(
            f"The net {named[0].checkpoint.architecture.name} has batch norm, whose statistics must be re-estimated "
            "for the mean of the weights: give the `project` that the ingredients were trained on."
        )


def _notes_on_runs(mean: Checkpoint, runs: Sequence[str], annotated: list[str], project: Project) -> list[str]:
    """A warning where the runs were trained on. Raises `InputError` for runs that are not annotated."""
    if unknown := [run for run in runs if run not in annotated]:
        raise InputError(f"{project.path} has no true picks of {shortened(unknown)}: name others with `runs`.")
    if known := [run for run in runs if run in runs_seen(mean.history).trained]:
        return [f"an ingredient was trained on {shortened(known)}: a score there is too high"]
    return []


def _greedy(named: Sequence[NamedCheckpoint], scorer: SoupScorer, annotated: list[str]) -> tuple[Checkpoint, list[str]]:
    """A greedy soup, and a note on each step. Raises `InputError` where there is no run to choose by."""
    if not scorer.runs:
        raise InputError(
            f"A greedy soup is chosen by runs that no ingredient has seen, and {scorer.project.path} has none "
            f"(annotated are {shortened(annotated)}): name runs with `runs`; the score there will be too high."
        )
    mean, steps = greedy_soup([one.checkpoint for one in named], scorer.score)
    return mean, [
        f"{'kept' if kept else 'left'} {named[i].name}: F4 {value:.3f}{' with it' if n else ' alone'}"
        for n, (i, value, kept) in enumerate(steps)
    ]


def _note_on_score(mean: Checkpoint, runs: list[str], *, greedy: bool) -> str:
    event = mean.history[-1]
    assert isinstance(event, Souped)
    what = "ingredients and thresholds" if greedy else "thresholds"
    return (
        f"weighted F4 {event.f4:.3f} on {shortened(runs)} (best thresholds there), where {what} were chosen: score "
        "other runs to know how good it is"
    )


def read_ingredients(ingredients: Sequence[str | Path | Checkpoint]) -> list[NamedCheckpoint]:
    """The checkpoints, those of files read; the folder of a training stands for all the best epochs that it kept."""
    found = []
    for number, one in enumerate(ingredients, start=1):
        if isinstance(one, Checkpoint):
            found.append(NamedCheckpoint(f"checkpoint {number}", one))
        elif Path(one).is_dir():
            kept = kept_checkpoints(one)
            found += [NamedCheckpoint(f"{one} epoch {last_training(c.history).epoch}", c) for c in kept]
        else:
            found.append(NamedCheckpoint(str(one), load(one)))
    return found


def seen_by(ingredients: Sequence[NamedCheckpoint], runs: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Which of these runs no ingredient has seen, and a warning where there is none.

    Where the runs are not known (None), the runs that the ingredients' histories name stand for them.
    """
    seen = [runs_seen(i.checkpoint.history) for i in ingredients]
    trained = frozenset[str]().union(*(s.trained for s in seen))
    held_out = frozenset[str]().union(*(s.held_out for s in seen))
    unseen = [run for run in runs or () if run not in trained | held_out]
    if unseen:
        return unseen, [f"seen by no ingredient: {shortened(unseen)}"]
    if only_chose := sorted(held_out - trained):
        return [], [
            f"no known run is unseen by every ingredient; {shortened(only_chose)} chose the weights: a score there is "
            "too high"
        ]
    return [], [
        "no known run is unseen by every ingredient: a score on any of them is not a held-out score"
        if trained
        else "the ingredients' histories name no runs: only you know on which runs a score is a held-out score"
    ]
