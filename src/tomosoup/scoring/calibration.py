"""The probability that a pick of some score is a particle, and the false-discovery rate that follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import geometric_mean
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tomosoup.core.errors import InputError, shortened
from tomosoup.core.thresholds import positive
from tomosoup.core.types import Array, PicksBySpecies

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

    def probabilities(self, scores: Array) -> Array:
        """The same for an array `(n,)`."""
        return self.apply(torch.from_numpy(scores).double()).numpy()

    def threshold(self, scores: Array, *, max_fdr: float) -> float:
        """The lowest of the scores `(n,)` at which at most this fraction of the picks is expected to be false.

        Infinity where even the best pick is more likely false.
        """
        falling = np.sort(scores)[::-1]
        expected = np.cumsum(1 - self.probabilities(falling.copy())) / np.arange(1, len(falling) + 1)
        last = np.diff(falling, append=-np.inf) < 0  # equal scores pass together
        passing = np.flatnonzero((expected <= max_fdr) & last)
        return float(falling[passing[-1]]) if len(passing) else np.inf

    def as_metadata(self) -> dict[str, Any]:
        """What a checkpoint file holds; `middle` is the name that its format 1 gives to the centre."""
        return {"middle": self.centre, "steepness": self.steepness}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> Calibration:
        """The calibration that a checkpoint file holds. Raises `KeyError` or `ValueError` where it is none."""
        return cls(positive(metadata["middle"]), positive(metadata["steepness"]))


def mean_calibrations(models: Sequence[Mapping[str, Calibration]]) -> dict[str, Calibration]:
    """The calibration of each species, averaged over the models that have one for it: geometric means."""
    found = {}
    for name in dict.fromkeys(name for model in models for name in model):
        own = [model[name] for model in models if name in model]
        found[name] = Calibration(
            *(geometric_mean([getattr(c, field) for c in own]) for field in ("centre", "steepness"))
        )
    return found


def fdr_thresholds(
    candidates: PicksBySpecies, calibrations: Mapping[str, Calibration], max_fdr: float
) -> dict[str, float]:
    """The threshold of each species in a tomogram for this false-discovery rate; infinity without a calibration."""
    return {
        name: calibrations[name].threshold(found.score, max_fdr=max_fdr) if name in calibrations else np.inf
        for name, found in candidates.items()
    }


def refuse_unknown(species: Iterable[str], calibrations: Mapping[str, Calibration]) -> None:
    """Raises `InputError` for species without a calibration, whose picks a false-discovery rate would all drop."""
    if unknown := [name for name in species if name not in calibrations]:
        raise InputError(
            f"No particle of {shortened(unknown)} was found when the probabilities were set, so that `max_fdr` would "
            "drop all its picks: give a `threshold` instead."
        )


def expected_false(picks: PicksBySpecies, calibrations: Mapping[str, Calibration]) -> dict[str, float]:
    """The number of picks of a tomogram that are expected to be false, by species with a calibration."""
    known = {name: found for name, found in picks.items() if name in calibrations}
    return {name: float((1 - calibrations[name].probabilities(p.score)).sum()) for name, p in known.items()}


def metadata_of(calibrations: Mapping[str, Calibration]) -> dict[str, Any]:
    """Calibrations by species, in JSON's types."""
    return {name: calibration.as_metadata() for name, calibration in calibrations.items()}


def read_calibrations(metadata: Mapping[str, Any]) -> dict[str, Calibration]:
    """The calibrations by species that `metadata_of` wrote. Raises `KeyError` or `ValueError` where they are none."""
    return {name: Calibration.from_metadata(values) for name, values in metadata.items()}


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
