"""Thresholds by cross-validation: models pick the run that their training held out, and all picks are pooled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from tomosoup.core.errors import InputError
from tomosoup.core.progress import Progress, no_progress
from tomosoup.core.types import NO_PICKS, PicksBySpecies, Species, Volume
from tomosoup.data.options import AnnotatedData
from tomosoup.data.project import Project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.data.truth import read_truths
from tomosoup.inference.engines.net_cache import Nets
from tomosoup.inference.ensemble import AS_TRAINED, all_species, chosen_views, ensemble_heatmap, mixed, read_picks
from tomosoup.inference.options.hardware import InferenceOptions
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.inference.readout.noise_scaling import mean_signal_levels, noise_corrected
from tomosoup.inference.readout.peaks import find_peaks
from tomosoup.inference.readout.watershed import labels_to_heatmap
from tomosoup.inference.sliding_window import at_voxel_size
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.models.history import Tuned, held_out_run
from tomosoup.scoring.bootstrap import bootstrap, interval
from tomosoup.scoring.calibration import Calibration, fit_calibration
from tomosoup.scoring.matched_picks import MatchedPicks, RankedPicks
from tomosoup.scoring.matching import MATCH_RADII
from tomosoup.scoring.thresholds import UNTUNED, best_threshold, steady_threshold

FEW = 20
"""A threshold backed by fewer true particles than this deserves a warning."""


@dataclass(frozen=True)
class TunedThreshold:
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
"""A held-out run, what was picked there by nets that never trained on it, and its truth."""


@dataclass(frozen=True)
class OutOfFold:
    """What nets found in runs that they never trained on, an entry a run and view."""

    folds: list[Fold]
    """Picks as they are read from such nets, all as loud as on average."""
    peaks: list[Fold]
    """Peaks of their heatmaps, where those of nets that label voxels are smoothed probabilities: what is calibrated."""
    signal_levels: dict[str, float] = field(default_factory=dict)
    """The average, by species; none where scores do not follow it."""


def out_of_fold(
    project: Project,
    models: Sequence[Checkpoint],
    *,
    data: AnnotatedData = AnnotatedData(),  # noqa: B008 - immutable
    plan: PickingPlan = AS_TRAINED,
    inference: InferenceOptions = InferenceOptions(),  # noqa: B008 - immutable
    progress: Progress = no_progress,
) -> OutOfFold:
    """Picks and peaks, above the plan's floor, of every run that models held out: an entry a run and view.

    Models that held out the same run pick it as an ensemble. Views are not averaged: each is one more look at the same
    particles. `data.runs`, if any are named, leaves out the models that held out other runs. Raises `InputError` for a
    model whose history names no held-out run, for such a run that the project lacks or has no truth of, for voxel sizes
    that disagree and for an unknown view.
    """
    if plan.model_weights:
        raise InputError("Models are tuned alike: leave --model-weights to `tomosoup pick`.")
    as_is = plan.model_copy(update={"views": ()})
    views = chosen_views(plan.views)
    groups: dict[str, list[Checkpoint]] = {}
    for model in models:
        if not data.runs or held_out_run(model.history) in data.runs:
            groups.setdefault(held_out_run(model.history), []).append(model)
    lone = [run for run, group in groups.items() if not mixed(group)]
    if lone and mixed(models):
        raise InputError(
            f"Models of both kinds are tuned together, and only one kind held out {', '.join(lone)}: give both kinds "
            "for the same held-out runs."
        )
    if not groups:
        raise InputError(f"None of the models held out {', '.join(data.runs)}: leave --runs out, or name others.")
    truths = read_truths(project, data.model_copy(update={"runs": tuple(groups)}))
    tomograms = {run: select_tomogram(project, run, data) for run in groups}
    nets = Nets(inference)
    folds: list[Fold] = []
    peaks: list[Fold] = []
    for run, group in groups.items():
        slices = at_voxel_size(tomograms[run], group, log=nets.log_once)
        volume = Volume(slices.slices(0, slices.shape[0]), slices.voxel_size, slices.origin)
        for view in views:

            def report(_: str, done: int, total: int, run: str = run) -> None:
                progress(f"Picking (held-out {run})", len(folds) * total + done, len(groups) * len(views) * total)

            seen = replace(volume, data=view.apply(volume.data))
            heatmap = ensemble_heatmap(seen, group, plan=as_is, nets=nets, progress=report)
            back = replace(volume, data=view.undo(heatmap.data))
            folds.append((run, read_picks(back, group, plan=plan), truths[run]))
            if all(model.segments_voxels for model in group):
                species = all_species(group)
                found = find_peaks(labels_to_heatmap(back, species), species, peaks=plan.peaks)
                peaks.append((run, found, truths[run]))
            else:
                peaks.append(folds[-1])
    usual = mean_signal_levels([picks for _, picks, _ in folds]) if plan.noise_correction and not mixed(models) else {}
    return OutOfFold(
        [(run, noise_corrected(picks, usual, power=plan.noise_correction), truth) for run, picks, truth in folds],
        peaks,
        usual,
    )


def calibrate(peaks: Sequence[Fold], species: Sequence[Species]) -> dict[str, Calibration]:
    """What a peak's height is worth, by species, from `OutOfFold.peaks`; species of which nothing was hit are left out.

    A peak came out right if it is the best one to hit some particle.
    """
    found = {}
    for kind in species:
        ranked = RankedPicks.of(one for _, one in _matched(peaks, kind))
        if calibration := fit_calibration(ranked.score, ranked.gain):
            found[kind.name] = calibration
    return found


def tune(
    folds: Sequence[Fold],
    species: Sequence[Species],
    *,
    softness: float = 0.0,
    resamples: int = 1000,
    seed: int = 0,
    progress: Progress = no_progress,
) -> dict[str, TunedThreshold]:
    """The F4-best threshold of each species over the folds whose nets know it, with bootstrap intervals.

    With `softness` the threshold and its interval are those of `steady_threshold`. Species of which nothing
    was hit get `UNTUNED` and an empty interval.
    """
    rule: Rule = partial(steady_threshold, margin=softness) if softness else best_threshold
    found = {}
    for i, kind in enumerate(species):
        runs: dict[str, list[MatchedPicks]] = {}
        for run, matched in _matched(folds, kind):
            runs.setdefault(run, []).append(matched)
        ranked = RankedPicks.of(matched for views in runs.values() for matched in views)
        threshold = rule(ranked)
        particles = sum(len(views[0].truth) for views in runs.values())
        if not np.isfinite(threshold):
            found[kind.name] = TunedThreshold(UNTUNED, (UNTUNED, UNTUNED), 0.0, (0.0, 0.0), particles)
            continue
        drawn = []
        for j, sample in enumerate(bootstrap(list(runs.values()), resamples=resamples, seed=seed)):
            drawn.append((rule(sample), sample.at(threshold).f_beta()))
            progress("Bootstrapping", i * resamples + j + 1, len(species) * resamples)
        thresholds, scores = np.array(drawn).T
        f4 = ranked.at(threshold).f_beta()
        found[kind.name] = TunedThreshold(threshold, interval(thresholds), f4, interval(scores), particles)
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


def with_thresholds(
    model: Checkpoint,
    tuned: Mapping[str, TunedThreshold],
    found: OutOfFold,
    *,
    calibration: Mapping[str, Calibration] | None,
    averaging: Mapping[str, float] | None = None,
) -> Checkpoint:
    """The checkpoint with its species' new thresholds, signal levels and calibration; its history says from which runs.

    Without a calibration the thresholds are those of picking together with nets of the other kind. `averaging` are
    `averaging_thresholds` to store besides.
    """
    mine = {s.name: tuned[s.name] for s in model.species}
    event = Tuned(
        runs=tuple(sorted({run for run, _, _ in found.folds})),
        thresholds={n: {"threshold": t.threshold, "interval": list(t.interval), "f4": t.f4} for n, t in mine.items()},
    )
    thresholds = {name: t.threshold for name, t in mine.items()}
    tuned_model = replace(model, history=(*model.history, event))
    if calibration is None:
        return replace(tuned_model, mixed_thresholds=thresholds)
    own = {name: calibration[name] for name in mine if name in calibration}
    usual = {name: found.signal_levels[name] for name in mine if name in found.signal_levels}
    for_averages = {name: averaging[name] for name in mine} if averaging else {}
    return replace(
        tuned_model,
        thresholds=thresholds,
        averaging_thresholds=for_averages,
        calibration=own,
        signal_levels=usual,
    )
