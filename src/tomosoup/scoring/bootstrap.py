"""How far chance could move a threshold or a score: the same tomograms and particles, drawn anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tomosoup.core.types import Array, Picks
from tomosoup.scoring.matching import Matches, first_hits

LEVEL = 0.95
"""Share of the bootstrap that an interval holds."""


@dataclass(frozen=True)
class Look:
    """One species' picks of one run in one view, as the bootstrap draws them."""

    particles: Array
    """For each true particle, always in the same order, the score of the best pick that hits it; -inf if missed."""
    false: Array
    """The scores of the other picks, best first."""


def look(picks: Picks, truth: Picks, *, distance: float) -> Look:
    """What the bootstrap draws of one run and view."""
    order = np.argsort(-picks.score, kind="stable")
    score = np.append(picks.score[order], -np.inf)  # where no pick hits, the one past the last stands
    hit = first_hits(picks.zyx[order], truth.zyx, distance=distance).astype(int)
    return Look(score[hit], np.delete(score[:-1], hit[hit < len(picks)]))


def bootstrap(runs: Sequence[Sequence[Look]], *, resamples: int, seed: int) -> Iterator[tuple[Array, Array, int]]:
    """Resamples of the looks at each of `runs`: scores, best first, what each gains, and all particles.

    Drawn with replacement are runs, then within each run its particles and its false picks. The views of a run are no
    new data: in all of them the same particles are drawn, and false picks of the same rank.
    """
    random = np.random.default_rng(seed)
    for _ in range(resamples):
        scores, gains, total = [], [], 0
        for run in random.integers(len(runs), size=len(runs)):
            particles = len(runs[run][0].particles)
            drawn = random.integers(max(1, particles), size=particles)
            ranks = random.random(max(len(view.false) for view in runs[run]))
            for view in runs[run]:
                hits = view.particles[drawn]
                false = view.false[(ranks[: len(view.false)] * len(view.false)).astype(int)]
                scores += [hits[np.isfinite(hits)], false]
                gains += [np.ones(np.isfinite(hits).sum()), np.zeros(len(false))]
                total += particles
        score, gain = np.concatenate(scores), np.concatenate(gains)
        order = np.argsort(-score, kind="stable")
        yield score[order], gain[order], total


def f4_at(threshold: float, score: Array, gain: Array, total: int) -> float:
    """F4 of the picks that reach a threshold."""
    passed = score >= threshold
    tp = int(gain[passed].sum())
    return Matches(tp, int(passed.sum()) - tp, total - tp).f_beta()


def interval(values: Array) -> tuple[float, float]:
    """The middle `LEVEL` of a bootstrap; resamples that hit nothing say nothing."""
    low, high = np.nanquantile(np.where(np.isfinite(values), values, np.nan), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
