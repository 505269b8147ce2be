"""Scores of a tomogram on the scale of those that set the thresholds.

In a noisier tomogram every particle scores lower, down to a third, and thresholds that were set on a clearer one keep
none of them. How loud the loudest picks are tells the two apart without any truth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean, median

import numpy as np

from tomosoup.core.types import Picks, PicksBySpecies

LOUDEST = 3
"""How many picks of a species, the best of a tomogram, tell how loud it is: so few that a rare particle has them."""
LEAST = 0.1
"""What a tomogram's scores are divided by at the least: where nothing of all species is there, all is quiet."""


def loudness(picks: Picks) -> float:
    """The mean of the highest scores of a species in a tomogram; 0 where nothing was picked."""
    return float(np.sort(picks.score)[-LOUDEST:].mean()) if len(picks) else 0.0


def mean_loudness(tomograms: Sequence[PicksBySpecies]) -> dict[str, float]:
    """By species, how loud it is on average; those that were picked nowhere are left out."""
    names = dict.fromkeys(name for picks in tomograms for name in picks)
    found = {name: fmean(loudness(picks[name]) for picks in tomograms if name in picks) for name in names}
    return {name: loud for name, loud in found.items() if loud > 0}


def as_loud(picks: PicksBySpecies, usual: Mapping[str, float], *, power: float) -> dict[str, Picks]:
    """The picks of a tomogram that is less loud than `usual`, by species, with scores as they would be there.

    All are divided by q^power, `LEAST` at the least, where q is the median over species of the tomogram's loudness as a
    share of the usual one: the median, since some species may not be there at all. A louder tomogram's scores stay. The
    power is an observation: a threshold has to fall faster than the loudest particles do, as those are the clearest.
    """
    shares = [loudness(found) / usual[name] for name, found in picks.items() if name in usual]
    gain = max(LEAST, min(1.0, median(shares)) ** power) if shares else 1.0
    return (
        {name: replace(found, score=found.score / gain) for name, found in picks.items()} if gain < 1 else dict(picks)
    )
