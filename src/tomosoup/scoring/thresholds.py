"""Thresholds from picks whose truth is known: the F-beta-best one, and one for tomograms to come."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from scipy.special import expit

from tomosoup.core.types import NO_PICKS, Array, Picks, PicksBySpecies, Species
from tomosoup.scoring.matching import BETA, MATCH_RADII, Matches, first_hits
from tomosoup.scoring.score import Score

UNTUNED = 0.5
"""Threshold of a species of which the tomograms tell nothing."""
SpeciesPairs = Iterable[tuple[Picks, Picks]]
"""(picks, truth) of one species, one pair a tomogram. Counts are pooled over them, as the contest pools them."""


def ranked(pairs: SpeciesPairs, *, distance: float) -> tuple[Array, Array, int]:
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


def best_threshold(pairs: SpeciesPairs, *, distance: float, beta: float = BETA) -> tuple[float, Matches]:
    """The score threshold with the highest F-beta on these very picks, and what it gives.

    Equal scores pass or fail together. A threshold is a pick's own score; infinity where picking nothing is no worse.
    """
    score, gain, total = ranked(pairs, distance=distance)
    threshold = best_cutoff(score, gain, total, beta=beta)
    picked, tp = int((score >= threshold).sum()), int(gain[score >= threshold].sum())
    return threshold, Matches(tp, picked - tp, total - tp)


def best_cutoff(score: Array, gain: Array, total: int, *, beta: float = BETA) -> float:
    """`best_threshold` of picks that are `ranked` already."""
    if not gain.any():
        return float("inf")
    last = np.flatnonzero(np.diff(score, append=-np.inf))  # equal scores pass together
    tp, b2 = np.cumsum(gain)[last], beta * beta
    return float(score[last[np.argmax((1 + b2) * tp / (b2 * total + last + 1))]])


SOFTNESS = 0.1
"""How far a particle's score may be off on the next tomogram, relative to the score."""


def steady_threshold(pairs: SpeciesPairs, *, distance: float, beta: float = BETA, softness: float = SOFTNESS) -> float:
    """A threshold for tomograms to come, from few particles.

    The best threshold on a dozen particles is the score of the worst of them that pays, and the next tomogram's are
    worse as often as not. Here a pick of score s passes threshold t with probability 1 / (1 + (t / s)^(1 / softness)),
    as if its score could have come out otherwise, and the expected counts are scored. Infinity where nothing is hit.
    """
    return steady_cutoff(*ranked(pairs, distance=distance), softness=softness, beta=beta)


def steady_cutoff(score: Array, gain: Array, total: int, *, softness: float = SOFTNESS, beta: float = BETA) -> float:
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


Pairs = Sequence[tuple[PicksBySpecies, PicksBySpecies]]
"""(picks, truth), a pair a tomogram."""


def _of(kind: Species, pairs: Pairs) -> list[tuple[Picks, Picks]]:
    return [(picks.get(kind.name, NO_PICKS), truth.get(kind.name, NO_PICKS)) for picks, truth in pairs]


def best_thresholds(pairs: Pairs, species: Sequence[Species]) -> tuple[dict[str, float], Score]:
    """The F4-best threshold of each species over (picks, truth) of some tomograms, and the score that they give.

    A score at thresholds tuned on the same picks flatters: use it to choose, not to report.
    """
    found = {s.name: best_threshold(_of(s, pairs), distance=MATCH_RADII * s.radius) for s in species}
    thresholds = {name: threshold for name, (threshold, _) in found.items()}
    return thresholds, Score({n: m for n, (_, m) in found.items()}, {s.name: s.weight for s in species}, ())


def steady_thresholds(pairs: Pairs, species: Sequence[Species]) -> dict[str, float]:
    """A threshold a species for tomograms to come, from (picks, truth) of some; `UNTUNED` where nothing was hit."""
    found = {s.name: steady_threshold(_of(s, pairs), distance=MATCH_RADII * s.radius) for s in species}
    return {name: threshold if math.isfinite(threshold) else UNTUNED for name, threshold in found.items()}
