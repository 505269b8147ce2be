"""Bring the amplitude spectrum of a tomogram close to that of others: `with_spectrum`.

Programs weight frequencies differently: by the ramp of their back-projection, by a correction of the contrast transfer,
by the exposure. MemBrain-seg matches spectra for the same reason (Lamm et al. 2024, docs/references.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.polynomial import Polynomial
from numpy.typing import NDArray
from torch import Tensor

from tomosoup.core.types import Volume

PATCH = 640.0
"""Side of the patches, in Å, whose spectra are measured."""
FREQUENCIES = np.arange(1, 33) / PATCH
"""Frequencies of a spectrum in 1/Å: up to the highest of voxels of 10 Å."""
LARGEST = 30.0
"""Largest factor on an amplitude, and 1 over the smallest; the geometric mean of the factors is 1."""
DEGREE = 3
"""Of the polynomial in the frequency that the logarithm of the factor is: the zeros of the contrast transfer stay."""
MARGIN = 16
"""Voxels that are mirrored at each face, so that opposite faces do not mix."""


def spectrum(volume: Volume) -> NDArray[np.float64]:
    """Natural logarithm of the amplitude at each of `FREQUENCIES`: `(32,)`, NaN above the volume's highest frequency.

    Of a radial mean in each patch it is the median over all patches, so gold, carbon and empty margins do not count
    while they fill less than half. All NaN for a volume of equal voxels.
    """
    found = [_of_patch(patch, volume.voxel_size) for patch in _patches(volume) if patch.min() < patch.max()]
    return np.median(found, axis=0) if found else np.full(len(FREQUENCIES), np.nan)


def with_spectrum(volume: Volume, target: Sequence[float]) -> Volume:
    """The volume with about the amplitude spectrum `target` (as `spectrum` gives it, without NaN), in the scale of its
    grey values: mean and standard deviation stay.

    Each frequency gets a factor, whose logarithm is a polynomial of `DEGREE` fitted to the differences of the spectra.
    Frequencies beyond those of a spectrum get the factor of the nearest one.
    """
    gain = np.asarray(target, np.float64) - spectrum(volume)
    known = np.isfinite(gain)
    if not known.any():
        return volume
    smooth = Polynomial.fit(FREQUENCIES[known], gain[known], min(DEGREE, known.sum() - 1))(FREQUENCIES[known])
    gain = np.clip(smooth - smooth.mean(), -np.log(LARGEST), np.log(LARGEST))
    deviation, mean = torch.std_mean(volume.data.float())
    widths = [min(MARGIN, n) for n in volume.shape]
    padded = np.pad(volume.data.float().numpy(), [(width, width) for width in widths], mode="symmetric")
    transform = torch.fft.rfftn(torch.from_numpy(padded).sub_(mean))
    for plane, frequency in zip(transform, _frequencies(padded.shape, volume.voxel_size), strict=True):
        plane *= torch.from_numpy(np.exp(np.interp(frequency, FREQUENCIES[known], gain)).astype(np.float32))
    made = torch.fft.irfftn(transform, s=padded.shape)
    inner = made[tuple(slice(width, width + n) for width, n in zip(widths, volume.shape, strict=True))]
    new_deviation, new_mean = torch.std_mean(inner)
    return replace(volume, data=inner.sub(new_mean).mul_(deviation / new_deviation).add_(mean))


def _of_patch(patch: Tensor, voxel_size: float) -> NDArray[np.float64]:
    """The spectrum of one patch `(z, y, x)`, under a Hann window."""
    windowed = patch - patch.mean()
    for axis, n in enumerate(patch.shape):
        window = torch.hann_window(n + 2, periodic=False)[1:-1]
        windowed = windowed * window.reshape([-1 if i == axis else 1 for i in range(3)])
    power = torch.fft.rfftn(windowed).abs().double().square().numpy()
    bands = np.rint(np.stack(list(_frequencies(patch.shape, voxel_size))) * PATCH).astype(int).ravel()
    number = np.bincount(bands, minlength=len(FREQUENCIES) + 1)[1 : len(FREQUENCIES) + 1]
    total = np.bincount(bands, weights=power.ravel(), minlength=len(FREQUENCIES) + 1)[1 : len(FREQUENCIES) + 1]
    known = (number > 0) & (total > 0) & (0.5 / voxel_size >= FREQUENCIES)
    found = np.full(len(FREQUENCIES), np.nan)
    found[known] = np.log(total[known] / number[known]) / 2
    return found


def _patches(volume: Volume) -> Iterator[Tensor]:
    """Cubes with sides of `PATCH` (less along a shorter axis) side by side, as many as fit, in the middle."""
    sides = [max(min(round(PATCH / volume.voxel_size), n), 1) for n in volume.shape]
    starts = [range((n % side) // 2, n - side + 1, side) for n, side in zip(volume.shape, sides, strict=True)]
    for z in starts[0]:
        for y in starts[1]:
            for x in starts[2]:
                yield volume.data[z : z + sides[0], y : y + sides[1], x : x + sides[2]].float()


def _frequencies(shape: Sequence[int], voxel_size: float) -> Iterator[NDArray[np.float64]]:
    """The frequencies (1/Å) of `rfftn` of a volume, plane by plane: `(y, x // 2 + 1)`."""
    z, y, x = shape
    inplane = np.fft.fftfreq(y, voxel_size)[:, None] ** 2 + np.fft.rfftfreq(x, voxel_size) ** 2
    for along in np.fft.fftfreq(z, voxel_size):
        yield np.sqrt(along**2 + inplane)
