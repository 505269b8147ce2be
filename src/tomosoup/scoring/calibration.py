"""Scores of different networks on one scale: the probability that a peak of this score is a particle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from tomosoup.core.thresholds import positive
from tomosoup.core.types import Array

STEEPNESS = 0.5, 50.0
"""Range of a fit: at the lower end the score says almost nothing, at the upper end there are too few picks."""


@dataclass(frozen=True)
class Calibration:
    """A peak of score s is a particle with probability 1 / (1 + (centre / s)^steepness)."""

    centre: float
    """The score at which every second peak is a particle."""
    steepness: float

    def apply(self, scores: Tensor) -> Tensor:
        """Scores of any shape -> probabilities in the same order; 0 for scores of 0 and below."""
        ratio = scores.clamp(min=0) / self.centre
        powers = ratio.pow(self.steepness)
        return (powers / (1 + powers)).nan_to_num(nan=1.0)  # infinity by infinity, for scores far above the centre

    def as_metadata(self) -> dict[str, float]:
        """What a checkpoint file holds; `middle` is the name that its format 1 gives to the centre."""
        return {"middle": self.centre, "steepness": self.steepness}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, float]) -> Calibration:
        """The calibration that a checkpoint file holds. Raises `KeyError` or `ValueError` where it is none."""
        return cls(positive(metadata["middle"]), positive(metadata["steepness"]))


def fit_calibration(scores: Array, right: Array) -> Calibration | None:
    """The calibration under which picks with these `scores` `(n,)` most likely came out `right` `(n,)`, 0 or above.

    Logistic regression on the logarithm of the score. Right and wrong picks each get one imagined pick that came out
    otherwise (Platt 1999), so that few picks give no certainty. None where no pick was right.
    """
    from scipy.optimize import minimize  # here, as it takes longer to import than most commands run
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
    centre, steepness = minimize(cost, first, bounds=bounds, method="L-BFGS-B").x
    return Calibration(float(np.exp(centre)), float(steepness))
