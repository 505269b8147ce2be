"""Soups of checkpoint files, held against the runs of a project: what `tomosoup soup` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from tomosoup.cli.options.commands import SoupCommand
from tomosoup.core.errors import InputError, shortened
from tomosoup.core.progress import Progress, no_progress
from tomosoup.data.project import Project, open_project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.data.truth import read_truths
from tomosoup.inference.engines.choice import best_device
from tomosoup.inference.engines.net_cache import Nets
from tomosoup.inference.ensemble import ensemble_heatmap, read_picks
from tomosoup.inference.readout.noise_scaling import mean_signal_levels, noise_corrected
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.models.history import Souped, first_training, last_training, runs_seen
from tomosoup.models.soup import greedy_soup, mismatches, soup
from tomosoup.scoring.thresholds import Pairs, best_thresholds, steady_thresholds
from tomosoup.training.batch_norm import estimate_norms, has_batch_norm
from tomosoup.training.options import LossOptions, TrainingRecipe
from tomosoup.training.run.best_epochs import kept_checkpoints
from tomosoup.training.supervision.crops import Crops, large_crops, normalised, read_examples

CROPS = 256
"""How many training crops re-estimate the statistics of batch norm."""


def with_statistics(checkpoint: Checkpoint, crops: Crops, *, device: torch.device | None = None) -> Checkpoint:
    """The checkpoint with the statistics of its batch norms re-estimated on training crops, as many as `CROPS`.

    A checkpoint without batch norm comes back as it is.
    """
    net = checkpoint.net().to(device)
    if not has_batch_norm(net):
        return checkpoint
    estimate_norms(net, crops, most=CROPS, device=device)
    return replace(checkpoint, weights={k: v.cpu() for k, v in net.state_dict().items()})


@dataclass(frozen=True)
class Ingredient:
    """A checkpoint and what to call it."""

    name: str
    checkpoint: Checkpoint


@dataclass(frozen=True)
class Made:
    """A soup, and what its maker should know."""

    checkpoint: Checkpoint
    notes: tuple[str, ...]


def make_soup(options: SoupCommand, *, progress: Progress = no_progress) -> Made:
    """The soup that the options ask for, with notes on what it is worth.

    With a project, the statistics of batch norms are re-estimated on crops of the runs that the ingredients trained
    on; the runs named, or those that no ingredient has seen, choose what goes into a greedy soup and set thresholds.
    Raises `InputError` for ingredients that do not go together, for a net with batch norm or a greedy soup without a
    project, and for a greedy soup without a run to choose by.
    """
    ingredients = read_ingredients(options.ingredients)
    checkpoints = [i.checkpoint for i in ingredients]
    if options.greedy and options.weights:
        raise InputError("A greedy soup weighs what it keeps alike: leave --weights or --greedy out.")
    for other in ingredients[1:]:
        if found := mismatches(checkpoints[0], other.checkpoint):
            raise InputError(
                f"{ingredients[0].name} and {other.name} cannot be averaged: they differ in {'; '.join(found)}."
            )
    mean = soup(checkpoints, weights=options.weights or None)
    if options.project is None:
        return Made(_without_project(options, mean, ingredients), tuple(seen_by(ingredients, None)[1]))
    project = open_project(options.project)
    truths = read_truths(project, options.data.model_copy(update={"runs": ()}))
    unseen, notes = seen_by(ingredients, list(truths))
    runs = list(options.data.runs) or unseen
    if unknown := [run for run in runs if run not in truths]:
        raise InputError(f"{project.path} has no true picks of {shortened(unknown)}: name others with --runs.")
    if known := [run for run in runs if run in runs_seen(mean.history).trained]:
        notes.append(f"an ingredient was trained on {shortened(known)}: what is chosen there flatters")
    crops = training_crops(project, options, mean, progress=progress) if has_batch_norm(mean.net()) else None
    judge = Judge(project, options, runs, crops, progress=progress)
    if options.greedy:
        if not runs:
            raise InputError(
                f"A greedy soup is chosen by runs that no ingredient has seen, and {project.path} has none "
                f"(annotated are {shortened(list(truths))}): name runs with --runs; the score there will flatter."
            )
        mean, steps = greedy_soup(checkpoints, judge.score)
        notes += [
            f"{'kept' if kept else 'left'} {ingredients[i].name}: F4 {value:.3f}{' with it' if n else ' alone'}"
            for n, (i, value, kept) in enumerate(steps)
        ]
    mean = judge.finished(mean)
    if runs:
        pairs = judge.pairs(mean)
        usual = mean_signal_levels([picks for picks, _ in pairs]) if options.picking.noise_correction else {}
        pairs = [
            (noise_corrected(picks, usual, power=options.picking.noise_correction), truth) for picks, truth in pairs
        ]
        value = best_thresholds(pairs, mean.species)[1].weighted
        what = "ingredients and thresholds" if options.greedy else "thresholds"
        notes.append(
            f"weighted F4 {value:.3f} on {shortened(runs)} (best thresholds there), where {what} were chosen: score "
            "other runs to know how good it is"
        )
        event = mean.history[-1]
        assert isinstance(event, Souped)
        event = replace(event, chosen_on=tuple(runs), f4=value)
        mean = replace(mean, thresholds=steady_thresholds(pairs, mean.species), signal_levels=usual, history=(event,))
    return Made(mean, tuple(notes))


def read_ingredients(paths: Sequence[Path]) -> list[Ingredient]:
    """The checkpoints at these paths; a training's folder stands for all the best epochs that it kept."""
    found = []
    for path in paths:
        if path.is_dir():
            kept = kept_checkpoints(path)
            found += [Ingredient(f"{path} epoch {last_training(c.history).epoch}", c) for c in kept]
        else:
            found.append(Ingredient(str(path), load(path)))
    return found


def seen_by(ingredients: Sequence[Ingredient], runs: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Which of these runs no ingredient has seen, and a warning where there is none.

    Where the runs are not known (None) those stand for them that the ingredients' trainings name.
    """
    seen = [runs_seen(i.checkpoint.history) for i in ingredients]
    trained = frozenset().union(*(s.trained for s in seen))
    held_out = frozenset().union(*(s.held_out for s in seen))
    unseen = [run for run in runs or () if run not in trained | held_out]
    if unseen:
        return unseen, [f"seen by no ingredient: {shortened(unseen)}"]
    if only_chose := sorted(held_out - trained):
        return [], [
            f"no known run is unseen by every ingredient; {shortened(only_chose)} only chose weights: a score there "
            "flatters"
        ]
    return [], [
        "no known run is unseen by every ingredient: a score on any of them is not a held-out score"
        if trained
        else "the ingredients' histories name no runs: only you know on which runs a score is a held-out score"
    ]


@dataclass
class Judge:
    """What a soup is worth on some runs of a project."""

    project: Project
    options: SoupCommand
    runs: Sequence[str]
    crops: Crops | None
    progress: Progress = no_progress

    def finished(self, mean: Checkpoint) -> Checkpoint:
        """The soup with the statistics of its batch norms re-estimated, where it has any."""
        return (
            with_statistics(mean, self.crops, device=best_device(self.options.inference.device)) if self.crops else mean
        )

    def pairs(self, checkpoint: Checkpoint) -> Pairs:
        """Picks and true picks of every run."""
        options = self.options
        truths = read_truths(self.project, options.data.model_copy(update={"runs": tuple(self.runs)}))
        found = []
        for run, truth in truths.items():
            volume = select_tomogram(self.project, run, options.data)
            heatmap = ensemble_heatmap(
                volume, [checkpoint], plan=options.picking, nets=Nets(options.inference), progress=self.progress
            )
            found.append((read_picks(heatmap, [checkpoint], plan=options.picking), truth))
        return found

    def score(self, mean: Checkpoint) -> float:
        """Weighted F4 at the best thresholds."""
        return best_thresholds(self.pairs(self.finished(mean)), mean.species)[1].weighted


def _without_project(options: SoupCommand, mean: Checkpoint, ingredients: Sequence[Ingredient]) -> Checkpoint:
    """The mean as it is. Raises `InputError` where a project is needed."""
    if options.greedy:
        raise InputError("A greedy soup is chosen by annotated runs: name their --project.")
    if len(ingredients) > 1 and has_batch_norm(mean.net()):
        raise InputError(
            f"The net {mean.architecture.name} has batch norm, whose statistics must be re-estimated for the mean of "
            "the weights: name the --project that the ingredients were trained on."
        )
    return mean


def training_crops(
    project: Project, options: SoupCommand, mean: Checkpoint, *, progress: Progress = no_progress
) -> Crops:
    """Crops as the (first) ingredient's norms were of, from the runs that any ingredient was trained on."""
    runs = tuple(run for run in runs_seen(mean.history).trained if run in project.runs)
    if not runs:
        raise InputError(
            f"{project.path} has none of the runs that the ingredients were trained on, which re-estimate their batch "
            "norms: name the project that they were trained on."
        )
    data = options.data.model_copy(update={"runs": runs})
    examples = normalised(
        read_examples(project, data, voxel_size=mean.voxel_size, progress=progress), mean.normalisation
    )
    recipe = _recipe_of(mean)
    if recipe.norm_crops:
        multiple: Any = mean.net().multiple
        return large_crops(examples, mean.species, recipe, multiple=multiple)
    return Crops(examples, mean.species, recipe)


def _recipe_of(mean: Checkpoint) -> TrainingRecipe:
    """The recipe of the first training in the history, or a plain one for its net and windows."""
    training = first_training(mean.history)
    if training and training.recipe:
        return TrainingRecipe.of(training.recipe, source="The first ingredient's history")
    return TrainingRecipe(
        net=mean.architecture,
        windows=mean.windows,
        loss=LossOptions(name="dice" if mean.segments_voxels else "weighted"),
    )
