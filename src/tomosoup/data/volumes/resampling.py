"""Tomograms on voxels of another size; every position in Å stays."""

from __future__ import annotations

from fractions import Fraction
from itertools import count

import numpy as np
import torch
from torch import Tensor

from tomosoup.core.errors import InputError
from tomosoup.core.types import Slices, Volume

CLOSE = 0.005
"""The new voxel size is met to this (relative): far within what nets notice."""
AT_ONCE = 8
"""Slices of the source that are in memory together."""
FAR = 1 / 1.5, 4.0
"""Voxels made smaller or larger by more than this make one wonder whether their size is right."""
WRONG = 1 / 4, 20.0
"""By more than this it cannot be: tilt series are not recorded at such voxels."""


def resampled(source: Slices, voxel_size: float) -> Volume:
    """`(z, y, x)` source of any depth -> the same at voxels of `voxel_size` Å (to `CLOSE`), float32.

    The new size is the source's times a simple fraction, so that the grid is exact: the centre of voxel 0 stays where
    it is, and a position in Å is the same before and after. Frequencies that the larger voxels cannot hold are
    filtered out (along each axis SciPy's polyphase filter, a sinc under a Kaiser window; mirrored at the faces). The
    source is read once, a few slices at a time: in memory are these and the result. Raises `InputError` where one of
    the two sizes must be wrong.
    """
    if not WRONG[0] <= voxel_size / source.voxel_size <= WRONG[1]:
        raise InputError(
            f"Voxels of {source.voxel_size:.4g} Å cannot be resampled to {voxel_size:.4g} Å, as one of the two must be "
            "wrong: give the true `voxel_size` (Å), or choose another `voxel_spacing`."
        )
    return resampled_by(source, simple_fraction(voxel_size / source.voxel_size))


def resampled_by(source: Slices, ratio: Fraction) -> Volume:
    """`resampled` to voxels that are exactly `ratio` times as large."""
    z, y, x = (weights(n, ratio) for n in source.shape)
    data = torch.zeros(len(z), len(y), len(x))
    for start in range(0, source.shape[0], AT_ONCE):
        stop = min(start + AT_ONCE, source.shape[0])
        planes = y @ source.slices(start, stop).float() @ x.T
        rows = z[:, start:stop].any(1).nonzero()
        if len(rows):  # else the last slices, beyond the last centre
            reached = slice(int(rows[0]), int(rows[-1]) + 1)
            data[reached] += torch.tensordot(z[reached, start:stop], planes, 1)
    return Volume(data, source.voxel_size * float(ratio), source.origin)


def back_on_grid(made: Volume, source: Slices, voxel_size: float) -> Volume:
    """`made` `(..., z, y, x)` of `source` `resampled` to `voxel_size` -> the same on the voxels of the source.

    Where the larger voxels end before the source does, the last ones are repeated.
    """
    ratio = 1 / simple_fraction(voxel_size / source.voxel_size)
    stack = made.data.reshape(-1, *made.shape)
    data = torch.empty(len(stack), *source.shape)
    for to, volume in zip(data, stack, strict=True):
        back = resampled_by(Volume(volume, made.voxel_size, made.origin), ratio).data.numpy()
        missing = [(0, max(n - m, 0)) for n, m in zip(source.shape, back.shape, strict=True)]
        z, y, x = source.shape
        to[:] = torch.from_numpy(np.pad(back, missing, mode="edge")[:z, :y, :x])
    return Volume(data.reshape(*made.data.shape[:-3], *source.shape), source.voxel_size, source.origin)


def simple_fraction(ratio: float) -> Fraction:
    """The fraction of least denominator that is `ratio` to `CLOSE`."""
    return next(f for q in count(1) if (f := Fraction(round(ratio * q), q)) and abs(f / ratio - 1) <= CLOSE)


def weights(n: int, ratio: Fraction) -> Tensor:
    """`(m, n)`: what each of `n` voxels gives to each of the m voxels, `ratio` times as large, along an axis."""
    from scipy.signal import resample_poly  # here: few commands need it, and its import takes long

    matrix = resample_poly(np.eye(n), ratio.denominator, ratio.numerator, axis=0, padtype="symmetric")
    return torch.from_numpy(matrix / matrix.sum(axis=1, keepdims=True)).float()


def resampling_message(size: float, wanted: float) -> str:
    """The message about tomograms with voxels of `size` Å that are `resampled` to the `wanted` size."""
    text = f"Tomograms with voxels of {size:.4g} Å are resampled to {wanted:.4g} Å, the voxel size of the training"
    if wanted / size < FAR[0]:
        return f"{text}: smaller voxels bring no detail back, so look at the picks and check `voxel_size`"
    if wanted / size > FAR[1]:
        return f"{text}: that is a large step, so check `voxel_size`"
    return text
