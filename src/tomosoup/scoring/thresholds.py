"""Thresholds from picks whose truth is known (F-beta-best, and steadier for new tomograms), and probabilities."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from scipy.special import expit

from tomosoup.core.types import NO_PICKS, PicksBySpecies, Species
from tomosoup.scoring.calibration import Calibration, fit_calibration
from tomosoup.scoring.matched_picks import MatchedPicks, RankedPicks
from tomosoup.scoring.matching import BETA, MATCH_RADII
from tomosoup.scoring.score import Score

UNTUNED = 0.5
"""Threshold of a species of which no particle was hit."""
MARGIN = 0.1
"""How far a particle's score may be off in the next tomogram, relative to the score."""
STEPS = 200
"""Thresholds that `steady_threshold` tries, from the lowest score to the highest."""

Pairs = Sequence[tuple[PicksBySpecies, PicksBySpecies]]
"""One pair (picks, truth) per tomogram. Counts are pooled over tomograms, as in the contest."""


def best_threshold(picks: RankedPicks, *, beta: float = BETA, among: Sequence[float] = ()) -> float:
    """The score threshold with the highest F-beta on these very picks; infinity where no particle is hit.

    Equal scores pass or fail together. The threshold is a pick's own score or, where some are given, the first best
    `among` these.
    """
    if not picks.gain.any():
        return math.inf
    if among:
        return max(among, key=lambda threshold: picks.at(threshold).f_beta(beta))
    last = np.flatnonzero(np.diff(picks.score, append=-np.inf))  # equal scores pass together
    tp, b2 = np.cumsum(picks.gain)[last], beta * beta
    return float(picks.score[last[np.argmax((1 + b2) * tp / (b2 * picks.particles + last + 1))]])


def steady_threshold(picks: RankedPicks, *, margin: float = MARGIN, beta: float = BETA) -> float:
    """A threshold for new tomograms, from few particles. It is lower than the best threshold.

    The best threshold on a dozen particles is the score of the worst of them that is worth keeping. In half of all new
    tomograms some particles score lower. So a pick of score s passes threshold t here with probability
    1 / (1 + (t / s)^(1 / margin)), and the expected counts are scored. Picks with scores of 0 or below never pass.
    Infinity where no other pick hits a particle.

    Args:
        picks: ranked picks of one species.
        margin: how far a score may be off in the next tomogram, relative to the score.
        beta: weight of recall against precision in F-beta.
    """
    score, gain = picks.score[picks.score > 0], picks.gain[picks.score > 0]
    if not gain.any():
        return math.inf
    b2 = beta * beta
    best = (-1.0, 0.0)
    for threshold in np.geomspace(score.min(), score.max(), STEPS):
        passes = expit((np.log(score) - np.log(threshold)) / margin)
        tp, picked = float(passes @ gain), float(passes.sum())
        best = max(best, ((1 + b2) * tp / (b2 * picks.particles + picked), float(threshold)))
    return best[1]


def best_thresholds(
    pairs: Pairs, species: Sequence[Species], *, among: Sequence[float] = ()
) -> tuple[dict[str, float], Score]:
    """The F4-best threshold of each species over (picks, truth) of some tomograms, and the score that they give.

    That score is too good, as the thresholds were chosen on the same picks: use it to choose, not to report.
    """
    ranked = _ranked(pairs, species)
    thresholds = {name: best_threshold(picks, among=among) for name, picks in ranked.items()}
    matches = {name: picks.at(thresholds[name]) for name, picks in ranked.items()}
    return thresholds, Score(matches, {s.name: s.weight for s in species}, ())


def steady_thresholds(pairs: Pairs, species: Sequence[Species]) -> dict[str, float]:
    """The threshold of each species for new tomograms, from (picks, truth) of some; `UNTUNED` without a hit."""
    found = {name: steady_threshold(picks) for name, picks in _ranked(pairs, species).items()}
    return {name: threshold if math.isfinite(threshold) else UNTUNED for name, threshold in found.items()}


def calibrate(pairs: Pairs, species: Sequence[Species]) -> dict[str, Calibration]:
    """The probability that a pick is a particle, by species, from (picks, truth) of some tomograms.

    A pick counts as a particle if it is the best one to hit some particle. Species without a hit are left out.
    """
    found = {name: fit_calibration(picks.score, picks.gain) for name, picks in _ranked(pairs, species).items()}
    return {name: calibration for name, calibration in found.items() if calibration}


def _ranked(pairs: Pairs, species: Sequence[Species]) -> dict[str, RankedPicks]:
    return {s.name: RankedPicks.of(_matched(pairs, s)) for s in species}


def _matched(pairs: Pairs, species: Species) -> Iterator[MatchedPicks]:
    for picks, truth in pairs:
        found, true = picks.get(species.name, NO_PICKS), truth.get(species.name, NO_PICKS)
        yield MatchedPicks.of(found, true, distance=MATCH_RADII * species.radius)
