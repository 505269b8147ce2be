"""Signal levels: how high the best picks of a tomogram score. A model stores them to recognise noisier tomograms."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr

from tomosoup.core.thresholds import positive
from tomosoup.core.types import PicksBySpecies, Searched, Slices

BEST = 3
"""The signal level is the mean of this many best scores of a species in a tomogram. Rare species have as many."""
RANKS = 200
"""How many of the best scores a model stores: enough for tomograms of a fiftieth of the volume."""


@dataclass(frozen=True)
class SignalLevels:
    """The best scores in the tomograms that set a model's thresholds."""

    scores: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """By species name the best scores, the highest first: at each rank the mean over the tomograms."""
    volume: float | None = None
    """The mean volume that was searched in these tomograms (µm³); None in files that do not say it."""

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> SignalLevels:
        """What a checkpoint file holds. Raises `KeyError`, `TypeError` or `ValueError` where it is garbled.

        Older files hold the level of each species alone, as `loudness`.
        """
        if "signal_levels" not in metadata:
            return cls({name: (positive(level),) * BEST for name, level in metadata.get("loudness", {}).items()})
        stored = metadata["signal_levels"]
        scores = {name: tuple(map(positive, best)) for name, best in stored["scores"].items()}
        return cls(scores, None if stored["volume"] is None else positive(stored["volume"]))

    def record(self) -> dict[str, Any]:
        """The same in JSON's types."""
        return {"scores": {name: list(best) for name, best in self.scores.items()}, "volume": self.volume}

    def under(self, names: Mapping[str, str]) -> SignalLevels:
        """With other names for species: old name -> new one."""
        return SignalLevels({names.get(name, name): best for name, best in self.scores.items()}, self.volume)

    def of_species(self, names: Collection[str]) -> SignalLevels:
        """Those of some species."""
        return SignalLevels({name: best for name, best in self.scores.items() if name in names}, self.volume)


def searched_volume(source: Slices) -> float:
    """The volume (µm³) in which picks can be."""
    voxels = int(source.where.sum()) if isinstance(source, Searched) else prod(source.shape)
    return voxels * (source.voxel_size * 1e-4) ** 3


def signal_level(scores: ArrayLike, *, share: float = 1.0) -> float:
    """The mean of the `BEST` highest of some scores `(n,)`; scores that are missing count as 0.

    With a `share` p below 1 it is the mean to be expected in this share of the volume, where each score is kept with
    probability p. The score of rank i is among the `BEST` there with probability p * P(X < BEST), X being the number of
    the i - 1 higher ones that are kept (binomial).
    """
    ordered = np.sort(np.asarray(scores, dtype=float))[::-1]
    higher = np.arange(len(ordered))
    counts = share * bdtr(np.minimum(BEST - 1, higher), higher, share)
    return float((ordered * counts).sum() / BEST)


def measured_levels(tomograms: Sequence[tuple[PicksBySpecies, float]]) -> SignalLevels:
    """The mean over tomograms: all candidates of each, and the volume that was searched (µm³).

    Species that were picked nowhere are left out.
    """
    ordered = [
        SignalLevels(
            {name: tuple(np.sort(found.score)[::-1][:RANKS].tolist()) for name, found in picks.items()}, volume
        )
        for picks, volume in tomograms
    ]
    return mean_levels(ordered)


def mean_levels(levels: Sequence[SignalLevels], weights: Sequence[float] | None = None) -> SignalLevels:
    """The weighted mean at each rank, of each species over those that have it; missing ranks count as 0."""
    parts = [1.0] * len(levels) if weights is None else list(weights)
    scores = {}
    for name in dict.fromkeys(name for one in levels for name in one.scores):
        having = [(one.scores[name], part) for one, part in zip(levels, parts, strict=True) if name in one.scores]
        table = np.zeros((len(having), max(len(best) for best, _ in having)))
        for row, (best, _) in zip(table, having, strict=True):
            row[: len(best)] = best
        if table.size:
            mean = np.average(table, axis=0, weights=[part for _, part in having])
            scores[name] = tuple(float(f"{score:.4g}") for score in mean)
    volumes = [one.volume for one in levels if one.volume]
    known = bool(volumes) and len(volumes) == len(levels)
    return SignalLevels(scores, float(np.average(volumes, weights=parts)) if known else None)
