"""Thresholds by cross-validation: every model picks the run that its training held out, and all picks are pooled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tomosoup.checkpoints import Checkpoint
from tomosoup.errors import InputError
from tomosoup.evaluation import MATCH_RADII, UNTUNED, pairs_of
from tomosoup.io.project import Project
from tomosoup.io.selection import read_truths, select_tomogram
from tomosoup.matching import BETA, Matches, best_threshold, match, ranked_hits, steady_threshold
from tomosoup.prediction import AS_TRAINED, pick
from tomosoup.recipes.data import AnnotatedData
from tomosoup.recipes.picking import PickingPlan
from tomosoup.types import Array, PicksBySpecies, Progress, Species, quiet
from tomosoup.views import VIEWS

FEW = 20
"""A threshold backed by fewer true particles than this deserves a warning."""
LEVEL = 0.95
"""Share of the bootstrap that an interval holds."""


@dataclass(frozen=True)
class Tuned:
    """A species' threshold, what it gives on the pooled out-of-fold picks, and how far chance could move both."""

    threshold: float
    interval: tuple[float, float]
    """Of the threshold, over the bootstrap."""
    f4: float
    f4_interval: tuple[float, float]
    """Of the F4 at the threshold, over the bootstrap; the particles that set the threshold are those scored."""
    particles: int
    """True particles behind it, each counted once however many views were picked."""

    @property
    def few(self) -> bool:
        """Whether too few particles back it."""
        return self.particles < FEW


Fold = tuple[str, PicksBySpecies, PicksBySpecies]
"""A held-out run, what was picked there by a net that never trained on it, and its truth."""


def out_of_fold(
    project: Project,
    models: Sequence[Checkpoint],
    *,
    data: AnnotatedData = AnnotatedData(),  # noqa: B008 - immutable
    plan: PickingPlan = AS_TRAINED,
    device: str = "auto",
    progress: Progress = quiet,
) -> list[Fold]:
    """Each model's picks, above the plan's floor, of the run that its training held out: an entry a model and view.

    Views are not averaged here: each is one more look at the same particles.

    `data.runs`, if any are named, leaves out the models that held out other runs. Raises `InputError` for a model whose
    history names no held-out run, for such a run that the project lacks or has no truth of, and for an unknown view.
    """
    views = tuple(VIEWS) if "all" in plan.views else plan.views
    models = [m for m in models if not data.runs or held_out_run(m) in data.runs]
    if not models:
        raise InputError(f"None of the models held out {', '.join(data.runs)}: leave --runs out, or name others.")
    held_out = [held_out_run(model) for model in models]
    truths = read_truths(project, data.model_copy(update={"runs": tuple(dict.fromkeys(held_out))}))
    folds: list[Fold] = []
    for i, (model, run) in enumerate(zip(models, held_out, strict=True)):
        volume = select_tomogram(project, run, data).read()
        for j, name in enumerate(views):
            step = i * len(views) + j

            def report(_: str, done: int, total: int, step: int = step, run: str = run) -> None:
                progress(f"Picking (held-out {run})", step * total + done, len(models) * len(views) * total)

            alone = plan.model_copy(update={"views": (name,)})
            picks = pick(volume, model, plan=alone, device=device, progress=report)
            folds.append((run, picks, truths[run]))
    return folds


def held_out_run(model: Checkpoint) -> str:
    """The run that a checkpoint's training held out. Raises `InputError` where its history names none."""
    for event in reversed(model.history):
        if "held_out" in event:
            return str(event["held_out"])
    raise InputError(
        "A model's history names no held-out run, so none of its picks are out of fold: tune with checkpoints of "
        "`tomosoup train --all-folds`, or set thresholds yourself (--threshold)."
    )


def tune(
    folds: Sequence[Fold], species: Sequence[Species], *, softness: float = 0.0, resamples: int = 1000, seed: int = 0
) -> dict[str, Tuned]:
    """The F4-best threshold of each species over all folds' picks, with bootstrap intervals.

    The bootstrap draws runs, then particles and false picks within each run, with replacement. With `softness` the
    threshold is `matching.steady_threshold`'s. Species of which nothing was hit get `UNTUNED` and an empty interval.
    """
    found = {}
    for kind in species:
        distance = MATCH_RADII * kind.radius
        pairs = pairs_of(kind, [(picks, truth) for _, picks, truth in folds])
        threshold = (
            steady_threshold(pairs, distance=distance, softness=softness)
            if softness
            else best_threshold(pairs, distance=distance)[0]
        )
        particles = sum({run: len(truth.get(kind.name, ())) for run, _, truth in folds}.values())
        if not np.isfinite(threshold):
            found[kind.name] = Tuned(UNTUNED, (UNTUNED, UNTUNED), 0.0, (0.0, 0.0), particles)
            continue
        runs: dict[str, list[tuple[Array, Array, int]]] = {}
        for (run, _, _), (picks, truth) in zip(folds, pairs, strict=True):
            runs.setdefault(run, []).append(ranked_hits(picks, truth, distance=distance))
        thresholds, scores = bootstrap(list(runs.values()), threshold, resamples=resamples, seed=seed)
        at = sum((match(p.above(threshold), t, distance=distance) for p, t in pairs), Matches())
        found[kind.name] = Tuned(threshold, interval(thresholds), at.f_beta(), interval(scores), particles)
    return found


def bootstrap(
    runs: Sequence[Sequence[tuple[Array, Array, int]]], threshold: float, *, resamples: int, seed: int
) -> tuple[Array, Array]:
    """The best threshold of each resample, and each resample's F4 at the given one: `(resamples,)` each.

    `runs`: for each run, for each of its views, `matching.ranked_hits`.
    """
    random = np.random.default_rng(seed)
    thresholds, scores = np.empty(resamples), np.empty(resamples)
    for i in range(resamples):
        score, gain, total = [], [], 0.0
        for run in random.integers(len(runs), size=len(runs)):
            for values, hits, particles in runs[run]:
                # Particles, the missed ones last; one that is drawn n times brings its pick n times along.
                found = np.repeat(values, hits.astype(int))
                drawn = random.integers(max(particles, 1), size=particles)
                false = values[hits == 0]
                again = random.integers(max(len(false), 1), size=len(false))
                score += [found[drawn[drawn < len(found)]], false[again]]
                gain += [np.ones(int((drawn < len(found)).sum())), np.zeros(len(false))]
                total += particles
        thresholds[i], scores[i] = _best(np.concatenate(score), np.concatenate(gain), total, threshold)
    return thresholds, scores


def _best(score: Array, gain: Array, total: float, threshold: float) -> tuple[float, float]:
    """The F4-best threshold over picks with their gains, and the F4 at `threshold`."""
    order = np.argsort(-score, kind="stable")
    score, hits = score[order], np.cumsum(gain[order])
    b2 = BETA * BETA
    picked = np.arange(1, len(score) + 1)
    f4 = (1 + b2) * hits / (b2 * total + picked)
    last = np.flatnonzero(np.diff(score, append=-np.inf))
    n = int(np.searchsorted(-score, -threshold, side="right"))
    best = score[last[np.argmax(f4[last])]] if len(last) and hits[-1] else np.nan
    return float(best), float(f4[n - 1]) if n else 0.0


def interval(values: Array) -> tuple[float, float]:
    """The middle `LEVEL` of a bootstrap; resamples that hit nothing say nothing."""
    low, high = np.nanquantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def with_thresholds(model: Checkpoint, tuned: Mapping[str, Tuned], folds: Sequence[Fold]) -> Checkpoint:
    """The checkpoint with its species' new thresholds; its history says from which runs they come."""
    mine = {s.name: tuned[s.name] for s in model.species}
    event = {
        "step": "tune",
        "runs": sorted({run for run, _, _ in folds}),
        "thresholds": {n: {"threshold": t.threshold, "interval": t.interval, "f4": t.f4} for n, t in mine.items()},
    }
    thresholds = {name: t.threshold for name, t in mine.items()}
    return replace(model, thresholds=thresholds, history=(*model.history, event))
