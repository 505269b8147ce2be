"""Correction of scores for a tomogram's noise level.

In a noisier tomogram every particle scores lower, down to a third, so thresholds from a clearer tomogram keep too few.
The scores of the best picks (the signal level) show how noisy a tomogram is, without annotations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean, median

import numpy as np

from tomosoup.core.types import Picks, PicksBySpecies

BEST = 3
"""The signal level is the mean of this many best scores of a species in a tomogram. Rare species have as many."""
LEAST = 0.1
"""Smallest divisor of the scores, for tomograms without particles, where all signal levels are low."""


def signal_level(picks: Picks) -> float:
    """The mean of the `BEST` highest scores of a species in a tomogram; 0 without picks."""
    return float(np.sort(picks.score)[-BEST:].mean()) if len(picks) else 0.0


def mean_signal_levels(tomograms: Sequence[PicksBySpecies]) -> dict[str, float]:
    """The mean signal level of each species over tomograms; species that were picked nowhere are left out."""
    names = dict.fromkeys(name for picks in tomograms for name in picks)
    levels = {name: fmean(signal_level(picks[name]) for picks in tomograms if name in picks) for name in names}
    return {name: level for name, level in levels.items() if level > 0}


def noise_corrected(picks: PicksBySpecies, reference: Mapping[str, float], *, power: float) -> dict[str, Picks]:
    """The picks of a tomogram with scores corrected to the `reference` signal levels (by species).

    All scores are divided by max(`LEAST`, q^power). q is the median over species of the signal level of the tomogram
    divided by the reference; the median, because some species may be absent. If q >= 1, and if no species has a
    reference, scores stay unchanged. The power is empirical: thresholds must fall faster than the best scores, which
    belong to the clearest particles.
    """
    fractions = [signal_level(found) / reference[name] for name, found in picks.items() if name in reference]
    divisor = max(LEAST, min(1.0, median(fractions)) ** power) if fractions else 1.0
    if divisor == 1:
        return dict(picks)
    return {name: replace(found, score=found.score / divisor) for name, found in picks.items()}
