"""Thresholds by cross-validation: models pick runs that they were not trained on, and all picks are pooled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from tomosoup.core.progress import Progress, no_progress
from tomosoup.core.types import NO_PICKS, Species
from tomosoup.data.options import RegionOptions, TuningData
from tomosoup.data.project import Project, open_project
from tomosoup.inference.ensemble import AS_TRAINED, all_species, mixed
from tomosoup.inference.options.hardware import InferenceOptions
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.models.adapt import named_for
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.models.history import Tuned
from tomosoup.scoring.bootstrap import bootstrap, interval
from tomosoup.scoring.matched_picks import MatchedPicks, RankedPicks
from tomosoup.scoring.matching import MATCH_RADII
from tomosoup.scoring.thresholds import UNTUNED, Pairs, best_threshold, calibrate, steady_threshold
from tomosoup.training.run.out_of_fold import Fold, OutOfFold, out_of_fold

FEW = 20
"""A threshold backed by fewer true particles than this deserves a warning."""


@dataclass(frozen=True)
class TunedThreshold:
    """The threshold of a species, its F4 on the pooled out-of-fold picks, and 95 % intervals of both."""

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


def tune(
    project: Project | str | Path,
    checkpoints: Sequence[Checkpoint],
    *,
    data: TuningData = TuningData(),  # noqa: B008 - immutable
    plan: PickingPlan = AS_TRAINED,
    threshold_margin: float = 0.0,
    inference: InferenceOptions = InferenceOptions(),  # noqa: B008 - immutable
    region: RegionOptions = RegionOptions(),  # noqa: B008 - immutable
    progress: Progress = no_progress,
) -> list[Checkpoint]:
    """The checkpoints with thresholds from cross-validation: each picks the run that its training held out.

    Args:
        project: The project that the checkpoints were trained on; with `data.all_runs`, another.
        checkpoints: One or more a held-out run. Those that held out the same run pick it as an ensemble.
        data: The tomograms and their true picks. With `TuningData(all_runs=True)` all checkpoints pick all annotated
            runs, which none of them must have been trained on.
        plan: How to lay windows and read picks.
        threshold_margin: 0 gives the F4-best thresholds. 0.1 gives the lower ones of `train`, better from few
            particles (`scoring.thresholds.steady_threshold`).
        inference: Engine, device and precision.
        region: A mask of each run, in a file or in copick, and where picks may be. Picks and true particles elsewhere
            do not count, and grey values are normalised by what is in the mask.
        progress: Called as work advances.

    Raises `InputError` as `out_of_fold`.
    """
    project = open_project(project)
    checkpoints = named_for(project, checkpoints)
    found = out_of_fold(
        project, checkpoints, data=data, plan=plan, inference=inference, region=region, progress=progress
    )
    tuned = tune_thresholds(found.folds, all_species(checkpoints), margin=threshold_margin, progress=progress)
    return with_thresholds(checkpoints, tuned, found)


def tune_thresholds(
    folds: Sequence[Fold],
    species: Sequence[Species],
    *,
    margin: float = 0.0,
    resamples: int = 1000,
    seed: int = 0,
    progress: Progress = no_progress,
) -> dict[str, TunedThreshold]:
    """The F4-best threshold of each species over the folds whose nets know it, with bootstrap intervals.

    With a `margin` the threshold and its interval are those of `steady_threshold`. A species without a hit gets
    `UNTUNED` and an empty interval.
    """
    rule: Rule = partial(steady_threshold, margin=margin) if margin else best_threshold
    found = {}
    for i, one in enumerate(species):
        runs: dict[str, list[MatchedPicks]] = {}
        for run, matched in _matched(folds, one):
            runs.setdefault(run, []).append(matched)
        ranked = RankedPicks.of(matched for views in runs.values() for matched in views)
        threshold = rule(ranked)
        particles = sum(len(views[0].truth) for views in runs.values())
        if not np.isfinite(threshold):
            found[one.name] = TunedThreshold(UNTUNED, (UNTUNED, UNTUNED), 0.0, (0.0, 0.0), particles)
            continue
        drawn = []
        for j, sample in enumerate(bootstrap(list(runs.values()), resamples=resamples, seed=seed)):
            drawn.append((rule(sample), sample.at(threshold).f_beta()))
            progress("Bootstrapping", i * resamples + j + 1, len(species) * resamples)
        thresholds, scores = np.array(drawn).T
        f4 = ranked.at(threshold).f_beta()
        found[one.name] = TunedThreshold(threshold, interval(thresholds), f4, interval(scores), particles)
    return found


def averaging_thresholds(folds: Sequence[Fold], species: Sequence[Species], *, margin: float = 0.0) -> dict[str, float]:
    """The F1-best threshold of each species, which balances false and missed picks; `UNTUNED` where nothing was hit.

    With a `margin` they are those of `steady_threshold`.
    """
    ranked = {s.name: RankedPicks.of(matched for _, matched in _matched(folds, s)) for s in species}
    found = {
        name: steady_threshold(picks, margin=margin, beta=1.0) if margin else best_threshold(picks, beta=1.0)
        for name, picks in ranked.items()
    }
    return {name: threshold if np.isfinite(threshold) else UNTUNED for name, threshold in found.items()}


Rule = Callable[[RankedPicks], float]
"""Ranked picks of one species -> its threshold."""


def _matched(folds: Sequence[Fold], species: Species) -> Iterator[tuple[str, MatchedPicks]]:
    """Run and matched picks of each fold whose nets know the species."""
    for run, picks, truth in folds:
        if species.name in picks:
            true = truth.get(species.name, NO_PICKS)
            yield run, MatchedPicks.of(picks[species.name], true, distance=MATCH_RADII * species.radius)


def pairs_of(folds: Sequence[Fold]) -> Pairs:
    """Picks and truth of each fold."""
    return [(picks, truth) for _, picks, truth in folds]


def with_thresholds(
    checkpoints: Sequence[Checkpoint],
    tuned: Mapping[str, TunedThreshold],
    found: OutOfFold,
    *,
    averaging: Mapping[str, float] | None = None,
) -> list[Checkpoint]:
    """The checkpoints with new thresholds, signal levels and calibrations; their history says from which runs.

    Where heatmap and segmentation models were tuned together, only the thresholds for picking together are new.
    `averaging` are `averaging_thresholds` to store, too. A species without true particles keeps its threshold.
    """
    species = all_species(checkpoints)
    calibration = None if mixed(checkpoints) else calibrate(pairs_of(found.peaks), species)
    of_picks = {} if mixed(checkpoints) else calibrate(pairs_of(found.folds), species)
    changed = []
    for checkpoint in checkpoints:
        names = [s.name for s in checkpoint.species]
        own = {name: tuned[name] for name in names}
        event = Tuned(
            runs=tuple(sorted({run for run, _, _ in found.folds})),
            thresholds={
                n: {"threshold": t.threshold, "interval": list(t.interval), "f4": t.f4} for n, t in own.items()
            },
        )
        known = {name: t.threshold for name, t in own.items() if t.particles}
        before = checkpoint.mixed_thresholds if calibration is None else checkpoint.thresholds
        thresholds = {name: known.get(name, before.get(name, UNTUNED)) for name in names}
        after = replace(checkpoint, history=(*checkpoint.history, event))
        if calibration is None:
            changed.append(replace(after, mixed_thresholds=thresholds))
            continue
        changed.append(
            replace(
                after,
                thresholds=thresholds,
                averaging_thresholds={name: averaging[name] for name in names} if averaging else {},
                calibration={name: calibration[name] for name in names if name in calibration},
                pick_calibration={name: of_picks[name] for name in names if name in of_picks},
                signal_levels=found.signal_levels.of_species(names),
            )
        )
    return changed
