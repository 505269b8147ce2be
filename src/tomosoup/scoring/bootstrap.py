"""How far chance could move a threshold or a score: the bootstrap over tomograms and particles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tomosoup.core.types import Array
from tomosoup.scoring.matched_picks import MatchedPicks, RankedPicks

LEVEL = 0.95
"""Fraction of the bootstrap that an interval holds."""


def bootstrap(runs: Sequence[Sequence[MatchedPicks]], *, resamples: int, seed: int) -> Iterator[RankedPicks]:
    """Resamples of one species' picks in `runs`; each run holds the picks of one or more views of its tomogram.

    Runs are drawn with replacement, then the particles and the false picks within each drawn run (Efron and Tibshirani,
    An Introduction to the Bootstrap, 1993). Views of a run are not new data: all of them get the same particles, and
    false picks of the same rank. All views of a run list its particles in the same order.
    """
    random = np.random.default_rng(seed)
    hit_at = [[view.hit_at for view in run] for run in runs]
    false = [[view.score[view.gain == 0] for view in run] for run in runs]
    for _ in range(resamples):
        scores, gains, total = [], [], 0
        for run in random.integers(len(runs), size=len(runs)):
            particles = len(hit_at[run][0])
            drawn = random.integers(max(1, particles), size=particles)
            ranks = random.random(max(map(len, false[run])))
            for found_at, others in zip(hit_at[run], false[run], strict=True):
                hits = found_at[drawn]
                drawn_false = others[(ranks[: len(others)] * len(others)).astype(int)]
                scores += [hits[np.isfinite(hits)], drawn_false]
                gains += [np.ones(np.isfinite(hits).sum()), np.zeros(len(drawn_false))]
                total += particles
        yield RankedPicks.sorted(np.concatenate(scores), np.concatenate(gains), total)


def interval(values: Array) -> tuple[float, float]:
    """The central `LEVEL` of bootstrapped values `(n,)`; resamples that hit nothing are left out (infinite, NaN)."""
    low, high = np.nanquantile(np.where(np.isfinite(values), values, np.nan), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
