"""Which picks are right: matching to true positions, F-beta, and the threshold that maximises it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree
from scipy.special import expit

from tomosoup.types import Array, Picks

BETA = 4.0
"""The contest's: a missed particle weighs sixteen false picks."""


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
    ranks = first_hits(picks.zyx, truth.zyx, distance=distance)
    tp = int((ranks < len(picks)).sum())
    return Matches(tp, len(picks) - tp, len(truth) - tp)


def first_hits(zyx: Array, truth: Array, *, distance: float) -> Array:
    """For each of `truth` `(m, 3)`, the index of the first of `zyx` `(n, 3)` within `distance`; n where none is."""
    ranks = np.full(len(truth), len(zyx), dtype=float)
    if len(zyx) and len(truth):
        for i, near in enumerate(KDTree(zyx).query_ball_point(truth, r=distance)):
            ranks[i] = np.min(near, initial=len(zyx))
    return ranks


Pairs = Iterable[tuple[Picks, Picks]]
"""(picks, truth) of one species, one pair a tomogram. Counts are pooled over them, as the contest pools them."""


def ranked(pairs: Pairs, *, distance: float) -> tuple[Array, Array, int]:
    """All picks, best first: their scores `(n,)`, how many particles each is the first to hit `(n,)`; all particles."""
    scores, gains, total = [np.empty(0)], [np.empty(0)], 0
    for picks, truth in pairs:
        order = np.argsort(-picks.score, kind="stable")
        ranks = first_hits(picks.zyx[order], truth.zyx, distance=distance)
        scores.append(picks.score[order])
        gains.append(np.bincount(ranks[ranks < len(picks)].astype(int), minlength=len(picks)).astype(float))
        total += len(truth)
    score = np.concatenate(scores)
    order = np.argsort(-score, kind="stable")
    return score[order], np.concatenate(gains)[order], total


def best_threshold(pairs: Pairs, *, distance: float, beta: float = BETA) -> tuple[float, Matches]:
    """The score threshold with the highest F-beta on these very picks, and what it gives.

    Equal scores pass or fail together. A threshold is a pick's own score; infinity where picking nothing is no worse.
    """
    score, gain, total = ranked(pairs, distance=distance)
    threshold = best_cut(score, gain, total, beta=beta)
    picked, tp = int((score >= threshold).sum()), int(gain[score >= threshold].sum())
    return threshold, Matches(tp, picked - tp, total - tp)


def best_cut(score: Array, gain: Array, total: int, *, beta: float = BETA) -> float:
    """`best_threshold` of picks that are `ranked` already."""
    if not gain.any():
        return float("inf")
    last = np.flatnonzero(np.diff(score, append=-np.inf))  # equal scores pass together
    tp, b2 = np.cumsum(gain)[last], beta * beta
    return float(score[last[np.argmax((1 + b2) * tp / (b2 * total + last + 1))]])


SOFTNESS = 0.1
"""How far a particle's score may be off on the next tomogram, relative to the score."""


def steady_threshold(pairs: Pairs, *, distance: float, beta: float = BETA, softness: float = SOFTNESS) -> float:
    """A threshold for tomograms to come, from few particles.

    The best threshold on a dozen particles is the score of the worst of them that pays, and the next tomogram's are
    worse as often as not. Here a pick of score s passes threshold t with probability 1 / (1 + (t / s)^(1 / softness)),
    as if its score could have come out otherwise, and the expected counts are scored. Infinity where nothing is hit.
    """
    return steady_cut(*ranked(pairs, distance=distance), softness=softness, beta=beta)


def steady_cut(score: Array, gain: Array, total: int, *, softness: float = SOFTNESS, beta: float = BETA) -> float:
    """`steady_threshold` of picks that are `ranked` already."""
    if not gain.any():
        return float("inf")
    b2 = beta * beta
    best = (-1.0, 0.0)
    for threshold in np.geomspace(score.min(), score.max(), 200):
        passes = expit(np.log(score / threshold) / softness)
        tp, picked = float(passes @ gain), float(passes.sum())
        best = max(best, ((1 + b2) * tp / (b2 * total + picked), float(threshold)))
    return best[1]
