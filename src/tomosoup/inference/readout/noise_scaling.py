"""Correction of scores for a tomogram's noise level.

In a noisier tomogram every particle scores lower, down to a third, and thresholds that were set on a clearer one keep
none of them. The scores of the best picks (the signal level) show how much noisier it is, without any truth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean, median

import numpy as np

from tomosoup.core.types import Picks, PicksBySpecies

BEST = 3
"""How many picks of a species, the best of a tomogram, its signal level is the mean of: a rare particle has so many."""
LEAST = 0.1
"""Scores are divided by this at the least: in a tomogram without any particle all signal levels are low."""


def signal_level(picks: Picks) -> float:
    """The mean of the `BEST` highest scores of a species in a tomogram; 0 where nothing was picked."""
    return float(np.sort(picks.score)[-BEST:].mean()) if len(picks) else 0.0


def mean_signal_levels(tomograms: Sequence[PicksBySpecies]) -> dict[str, float]:
    """The mean signal level of each species over tomograms; species that were picked nowhere are left out."""
    names = dict.fromkeys(name for picks in tomograms for name in picks)
    levels = {name: fmean(signal_level(picks[name]) for picks in tomograms if name in picks) for name in names}
    return {name: level for name, level in levels.items() if level > 0}


def noise_corrected(picks: PicksBySpecies, usual: Mapping[str, float], *, power: float) -> dict[str, Picks]:
    """The picks of a tomogram with the scores that they would have at the `usual` signal levels, by species.

    All scores are divided by q^power, but by no less than `LEAST`. q is the median over species of the tomogram's
    signal level as a fraction of the usual one: the median, since some species may be absent. Scores of a tomogram with
    higher levels than usual, and of species without a usual level in any, stay as they are. The power is an
    observation: a threshold has to fall faster than the best scores do, as those are of the clearest particles.
    """
    fractions = [signal_level(found) / usual[name] for name, found in picks.items() if name in usual]
    divisor = max(LEAST, min(1.0, median(fractions)) ** power) if fractions else 1.0
    if divisor == 1:
        return dict(picks)
    return {name: replace(found, score=found.score / divisor) for name, found in picks.items()}
