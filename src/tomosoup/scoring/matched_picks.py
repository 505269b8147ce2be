"""Picks against true particles, ranked once: what holds at one threshold is read off for all of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tomosoup.core.types import Array, Picks
from tomosoup.scoring.matching import Matches, first_hits

FALSE, REPEATED, HIT = 0, 1, 2
"""What a pick is: near no particle; near one that a better pick hits; the best pick of at least one particle."""


@dataclass(frozen=True)
class MatchedPicks:
    """Picks of one species in one run, best first, and the true particles of that species.

    A particle belongs to the best pick within the matching distance. A threshold removes the worst picks only, so a
    particle keeps its pick until that pick itself is removed.
    """

    zyx: Array
    """`(n, 3)` Å, of the picks."""
    score: Array
    """`(n,)`, falling."""
    truth: Array
    """`(m, 3)` Å, of the true particles, in their own order."""
    best: NDArray[np.int64]
    """`(m,)`: index of the best pick of each particle; n where no pick is within the distance."""
    distance: float
    """Å within which a pick hits a particle, inclusive."""
    mask_distance: Array | None = None
    """`(n,)`: Å to the surface of a mask, as `Picks.mask_distance`."""

    @classmethod
    def of(cls, picks: Picks, truth: Picks, *, distance: float) -> MatchedPicks:
        """Match picks with true particles within `distance` (Å, inclusive)."""
        order = np.argsort(-picks.score, kind="stable")
        zyx = picks.zyx[order]
        best = first_hits(zyx, truth.zyx, distance=distance)
        measured = None if picks.mask_distance is None else picks.mask_distance[order]
        return cls(zyx, picks.score[order], truth.zyx, best, distance, measured)

    @property
    def found(self) -> NDArray[np.bool_]:
        """`(m,)`: the particles that a pick hits."""
        return self.best < len(self.score)

    @property
    def hit_at(self) -> Array:
        """`(m,)`: the score of each particle's best pick, -inf where there is none. Higher thresholds miss it."""
        return np.append(self.score, -np.inf)[self.best]

    @property
    def gain(self) -> Array:
        """`(n,)`: of how many particles each pick is the best."""
        return np.bincount(self.best[self.found], minlength=len(self.score)).astype(float)

    @cached_property
    def near(self) -> NDArray[np.bool_]:
        """`(n,)`: the picks that are within the distance of any particle."""
        return first_hits(self.truth, self.zyx, distance=self.distance) < len(self.truth)

    @property
    def outcome(self) -> NDArray[np.uint8]:
        """`(n,)`: `FALSE`, `REPEATED` or `HIT`, the same at every threshold that a pick reaches."""
        return np.where(self.gain > 0, HIT, np.where(self.near, REPEATED, FALSE)).astype(np.uint8)

    def at(self, threshold: float) -> Matches:
        """What `matching.match` counts of the picks that reach the threshold."""
        picked, tp = int((self.score >= threshold).sum()), int((self.hit_at[self.found] >= threshold).sum())
        return Matches(tp, picked - tp, len(self.truth) - tp)


@dataclass(frozen=True)
class RankedPicks:
    """Picks of one species in any number of tomograms, best first. Counts are pooled, as in the contest's metric."""

    score: Array
    """`(n,)`, falling."""
    gain: Array
    """`(n,)`: of how many particles each pick is the best."""
    particles: int
    """True particles in all the tomograms."""

    @classmethod
    def of(cls, matched: Iterable[MatchedPicks]) -> RankedPicks:
        """The picks of some tomograms in one ranking."""
        scores, gains, particles = [np.empty(0)], [np.empty(0)], 0
        for one in matched:
            scores.append(one.score)
            gains.append(one.gain)
            particles += len(one.truth)
        return cls.sorted(np.concatenate(scores), np.concatenate(gains), particles)

    @classmethod
    def sorted(cls, score: Array, gain: Array, particles: int) -> RankedPicks:
        """Picks in any order, with what each gains, ranked."""
        order = np.argsort(-score, kind="stable")
        return cls(score[order], gain[order], particles)

    def at(self, threshold: float) -> Matches:
        """Hits, false picks and missed particles of the picks that reach the threshold."""
        passed = self.score >= threshold
        tp = int(self.gain[passed].sum())
        return Matches(tp, int(passed.sum()) - tp, self.particles - tp)
