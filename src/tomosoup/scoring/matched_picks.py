"""Picks of one species in one run against the truth, at every threshold at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomosoup.core.types import Array, Picks
from tomosoup.scoring.matching import Matches, first_hits

FALSE, REPEATED, HIT = 0, 1, 2
"""What a pick is: near no particle, near one that a better pick hits, or the best to hit one."""


@dataclass(frozen=True)
class Hits:
    """Candidates `(n,)`, best first, and true particles `(m,)`.

    A particle is hit at threshold t if `hit_at` >= t: it is the score of the best pick within the distance.
    """

    zyx: Array
    score: Array
    kind: NDArray[np.uint8]
    """FALSE, REPEATED or HIT, at any threshold: what a better pick hits, it hits first."""
    truth: Array
    hit_at: Array
    """-inf where no candidate is near."""

    def at(self, threshold: float) -> Matches:
        """What `matching.match` counts of the candidates that reach the threshold."""
        picked, tp = int((self.score >= threshold).sum()), int((self.hit_at[self.hit_at > -np.inf] >= threshold).sum())
        return Matches(tp, picked - tp, len(self.truth) - tp)


def hits(candidates: Picks, truth: Picks, *, distance: float) -> Hits:
    """Match candidates with true particles; `distance` in Å, inclusive."""
    order = np.argsort(-candidates.score, kind="stable")
    zyx, score = candidates.zyx[order], candidates.score[order]
    ranks = first_hits(zyx, truth.zyx, distance=distance)
    found = ranks < len(zyx)
    hit_at = np.full(len(truth), -np.inf)
    hit_at[found] = score[ranks[found].astype(int)]
    near = first_hits(truth.zyx, zyx, distance=distance) < len(truth)
    kind = np.where(near, REPEATED, FALSE).astype(np.uint8)
    kind[ranks[found].astype(int)] = HIT
    return Hits(zyx, score, kind, truth.zyx, hit_at)
