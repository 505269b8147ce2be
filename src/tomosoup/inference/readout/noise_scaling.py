"""Correction of scores for a tomogram's noise level.

In a noisier tomogram every particle scores lower, down to a third, so thresholds from a clearer tomogram keep too few.
The scores of the best picks (the signal level) show how noisy a tomogram is, without annotations.
"""

from __future__ import annotations

from dataclasses import replace
from statistics import median

from tomosoup.core.types import Picks, PicksBySpecies
from tomosoup.scoring.signal_levels import SignalLevels, signal_level

LEAST = 0.1
"""Smallest divisor of the scores, for tomograms without particles, where all signal levels are low."""
SHRINKING = 0.25
"""The power of the correction falls with this power of the smaller volume: few particles say little about the noise."""


def noise_corrected(picks: PicksBySpecies, reference: SignalLevels, *, volume: float, power: float) -> dict[str, Picks]:
    """The picks of a tomogram with scores corrected to the `reference` signal levels.

    All scores are divided by max(`LEAST`, q^power). q is the median over species of the signal level of the tomogram
    divided by the reference; the median, because some species may be absent. If q >= 1, and if no species has a
    reference, scores stay unchanged. The power is empirical: thresholds must fall faster than the best scores, which
    belong to the clearest particles.

    The best of many score higher than the best of few. So the signal levels of the larger of both volumes, the
    tomogram's `volume` (µm³, `searched_volume`) and the reference's, are those to be expected in a part as large as
    the smaller one. With s, the smaller volume divided by the larger, the power is multiplied by s^`SHRINKING`.
    """
    share = volume / reference.volume if reference.volume else 1.0
    levels = {name: signal_level(best, share=min(share, 1.0)) for name, best in reference.scores.items()}
    ratios = [
        signal_level(found.score, share=min(1 / share, 1.0)) / levels[name]
        for name, found in picks.items()
        if levels.get(name)
    ]
    ratio = min(1.0, median(ratios)) if ratios else 1.0
    divisor = max(LEAST, ratio ** (power * min(share, 1 / share) ** SHRINKING))
    if divisor == 1:
        return dict(picks)
    return {name: replace(found, score=found.score / divisor) for name, found in picks.items()}
