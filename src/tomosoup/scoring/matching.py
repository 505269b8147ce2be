"""Which picks are right: matching to true positions, and F-beta."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from tomosoup.core.types import Array, Picks

BETA = 4.0
"""The contest's beta: one missed particle costs as much as sixteen false picks."""
MATCH_RADII = 0.5
"""A pick is right within this many radii of a true particle (the contest's rule)."""


@dataclass(frozen=True)
class Matches:
    """True particles hit (tp), picks beyond those (fp), true particles missed (fn). Adds up over tomograms."""

    tp: int = 0
    fp: int = 0
    fn: int = 0

    def __add__(self, other: Matches) -> Matches:
        return Matches(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    def f_beta(self, beta: float = BETA) -> float:
        """(1 + b²) tp / ((1 + b²) tp + b² fn + fp); 0 where there is nothing to find and nothing found."""
        b2 = beta * beta
        whole = (1 + b2) * self.tp + b2 * self.fn + self.fp
        return (1 + b2) * self.tp / whole if whole else 0.0


def match(picks: Picks, truth: Picks, *, distance: float) -> Matches:
    """Count the picks of one species in one tomogram against the true ones.

    A true particle is hit if any pick lies within `distance` (Å, inclusive). As in the contest's code tp counts the
    distinct particles hit and fp = picks - tp: one pick that hits two particles counts two, and a particle's second
    pick is a false one.
    """
    tp = int((first_hits(picks.zyx, truth.zyx, distance=distance) < len(picks)).sum())
    return Matches(tp, len(picks) - tp, len(truth) - tp)


def first_hits(zyx: Array, truth: Array, *, distance: float) -> NDArray[np.int64]:
    """For each of `truth` `(m, 3)`, the index of the first of `zyx` `(n, 3)` within `distance`; n where none is.

    All positions and the distance are in Å; the distance is inclusive.
    """
    first = np.full(len(truth), len(zyx), dtype=np.int64)
    if len(zyx) and len(truth):
        for i, near in enumerate(KDTree(zyx).query_ball_point(truth, r=distance)):
            first[i] = np.min(near, initial=len(zyx))
    return first
