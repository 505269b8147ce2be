"""Bring a tomogram's grey values to the scale that a net was trained on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from tomosoup.core.errors import InputError, counted
from tomosoup.core.types import Searched, Slices, SlicesOf, Volume

AT_ONCE = 16
"""Slices that are looked at together."""


@dataclass(frozen=True)
class Standardised(SlicesOf):
    """`Slices` of another source, shifted and scaled."""

    mean: float
    deviation: float
    spread: float
    """The source's own deviation."""
    where: Tensor | None = None
    """`(z, y, x)`, bool: the part that is searched, if not all."""

    def slices(self, start: int, stop: int) -> Tensor:
        """Slices `(stop - start, y, x)`, float32, by NumPy: a thread that reads ahead leaves other cores to the net."""
        values = self.source.slices(start, stop).numpy() - np.float32(self.mean)
        values /= np.float32(self.deviation)
        return torch.from_numpy(values)


def standardised(source: Slices, *, mean: float | None = None, deviation: float | None = None) -> Standardised:
    """A `(z, y, x)` source brought to mean 0 and deviation 1 as it is read.

    `mean` and `deviation` are the source's own, or those of its `Searched` part, unless given (a data set's constants,
    say). Reads the source once. Raises `InputError` for a volume that holds NaN or infinity, or that is constant and to
    be measured by itself.
    """
    where = source.where if isinstance(source, Searched) else None
    own, spread = moments(source, where)
    if deviation is None and spread == 0:
        raise InputError(f"Every voxel of the volume is {own:g}; expected a tomogram with contrast.")
    return Standardised(
        source, own if mean is None else mean, spread if deviation is None else deviation, spread, where
    )


def standardise(volume: Volume, *, mean: float | None = None, deviation: float | None = None) -> Volume:
    """`(z, y, x)` -> the same, float32, `standardised`."""
    ready = standardised(volume, mean=mean, deviation=deviation)
    return replace(volume, data=ready.slices(0, volume.shape[0]))


def moments(source: Slices, where: Tensor | None = None) -> tuple[float, float]:
    """Mean and deviation of all voxels, or of those in `where`. Raises `InputError` where some are no numbers."""
    shift = source.slices(0, 1).flatten()[0].double()  # keeps the squares small where the mean is far from 0
    n = 0
    total = square = torch.zeros((), dtype=torch.float64)
    for start in range(0, source.shape[0], AT_ONCE):
        images = source.slices(start, min(start + AT_ONCE, source.shape[0]))
        for z, image in enumerate(images, start):  # one by one stays in the cache
            part = ((image if where is None else image[where[z]]).double() - shift).flatten()
            n, total, square = n + len(part), total + part.sum(), square + part.dot(part)
    if not torch.isfinite(total):
        bad = sum(int((~torch.isfinite(source.slices(z, z + 1))).sum()) for z in range(source.shape[0]))
        raise InputError(
            f"The volume holds {counted(bad, 'NaN or infinite voxel')} of {n}; expected numbers only: "
            "repair or leave out this tomogram."
        )
    return float(shift + total / n), float(((square - total.square() / n).clamp(min=0) / max(1, n - 1)).sqrt())
