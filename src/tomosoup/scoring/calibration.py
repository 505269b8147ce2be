"""Scores of different nets on one scale: the chance that a peak so high is a particle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from tomosoup.core.types import Array

STEEPNESS = 0.5, 50.0
"""Limits of a fit: a lower one says that the score tells almost nothing, a higher one that there are too few picks."""


@dataclass(frozen=True)
class Calibration:
    """A score s is worth 1 / (1 + (middle / s)^steepness): the chance that a peak so high is a particle."""

    middle: float
    """The score at which every second peak is a particle."""
    steepness: float

    def apply(self, scores: Tensor) -> Tensor:
        """Scores of any shape -> chances from 0 to 1, in the same order; scores of 0 and less have none."""
        ratio = scores.clamp(min=0) / self.middle
        powers = ratio.pow(self.steepness)
        return (powers / (1 + powers)).nan_to_num(nan=1.0)  # of infinity by infinity, for scores far past the middle


def fit_calibration(scores: Array, right: Array) -> Calibration | None:
    """The calibration under which picks with these `scores` `(n,)` most likely came out `right` `(n,)`, 0 or 1, or so.

    Logistic regression on the logarithm of the score, each of the two kinds with one more imagined pick that came out
    otherwise (Platt 1999), so that few picks give no certainty. None where nothing was right.
    """
    from scipy.optimize import minimize  # here, as it takes longer to import than most that picks
    from scipy.special import log_expit

    logs, hit = np.log(scores[scores > 0]), right[scores > 0] > 0
    hits = int(hit.sum())
    if not hits:
        return None
    target = np.where(hit, (hits + 1) / (hits + 2), 1 / (len(hit) - hits + 2))

    def cost(at: Array) -> float:
        z = at[1] * (logs - at[0])
        return float(-(target * log_expit(z) + (1 - target) * log_expit(-z)).sum())

    first = np.array([np.median(logs[hit]), 4.0])
    bounds = [(logs.min() - 3, logs.max() + 3), STEEPNESS]
    middle, steepness = minimize(cost, first, bounds=bounds, method="L-BFGS-B").x
    return Calibration(float(np.exp(middle)), float(steepness))
