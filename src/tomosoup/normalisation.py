"""Bring a tomogram's grey values to the scale that a net was trained on."""

from __future__ import annotations

from dataclasses import replace

import torch

from tomosoup.errors import InputError
from tomosoup.types import Volume


def standardise(volume: Volume, *, mean: float | None = None, deviation: float | None = None) -> Volume:
    """`(z, y, x)` -> the same, float32, shifted and scaled to mean 0 and deviation 1.

    `mean` and `deviation` are the volume's own unless given (a data set's constants, say). Raises `InputError` for a
    volume that holds NaN or infinity, or that is constant.
    """
    data = volume.data.float()
    if not bool(torch.isfinite(data).all()):
        bad = int((~torch.isfinite(data)).sum())
        raise InputError(
            f"The volume holds {bad} voxels that are NaN or infinite out of {data.numel()}; expected numbers only: "
            "repair or leave out this tomogram."
        )
    if mean is None:
        mean = float(data.mean(dtype=torch.float64))
    if deviation is None:
        deviation = float(data.std())
    if deviation == 0:
        raise InputError(f"Every voxel of the volume is {mean:g}; expected a tomogram with contrast.")
    return replace(volume, data=(data - mean) / deviation)
