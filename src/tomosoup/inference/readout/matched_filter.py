"""Matched filters: the signal of a known template at each position of a tomogram, relative to the background.

For stationary Gaussian noise, the best linear filter divides tomogram and template by the amplitude of the noise at
each frequency (whitening) and then correlates them (Turin 1960).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.fft import next_fast_len
from torch import Tensor

from tomosoup.core.types import Array
from tomosoup.inference.readout.peaks import local_maxima

BLOCKS = 100
"""Number of blocks whose mean spectrum is the spectrum of a tomogram."""
FLOOR = 1e-2
"""Added to the power, as a fraction of its mean: the missing wedge holds neither noise nor template."""


@dataclass(frozen=True)
class Whitening:
    """Whitens a tomogram and templates of `side` voxels by the factors `amplitude` `(side, side, side // 2 + 1)`."""

    amplitude: Tensor
    side: int

    @classmethod
    def of(cls, volume: Tensor, *, side: int, random: np.random.Generator) -> Whitening:
        """From the spectrum of a tomogram `(z, y, x)` with its particles: each is background to the others."""
        hann = torch.hann_window(side)
        window = hann[:, None, None] * hann[:, None] * hann
        power = torch.zeros(side, side, side // 2 + 1)
        for _ in range(BLOCKS):
            z, y, x = (int(random.integers(n - side + 1)) for n in volume.shape)
            block = volume[z : z + side, y : y + side, x : x + side] * window
            power += torch.fft.rfftn(block).abs().square()
        power /= BLOCKS * window.square().sum()
        return cls((power + FLOOR * power.mean()).rsqrt(), side)

    def template(self, template: Tensor) -> Tensor:
        """A whitened template `(side, side, side)`."""
        white: Tensor = torch.fft.irfftn(torch.fft.rfftn(template) * self.amplitude, s=template.shape)
        return white

    def tomogram(self, volume: Tensor) -> Tensor:
        """A whitened tomogram `(z, y, x)`, with a standard deviation near 1. Voxels outside count as 0."""
        kernel = torch.fft.fftshift(torch.fft.irfftn(self.amplitude.to(torch.cfloat), s=(self.side,) * 3))
        return Searched.of(volume, reach=self.side).correlated(kernel)  # the kernel is even


@dataclass(frozen=True)
class Searched:
    """The spectrum of a tomogram `(z, y, x)`, to correlate with many kernels. Voxels outside count as 0."""

    spectrum: Tensor
    padded: tuple[int, ...]
    shape: tuple[int, ...]

    @classmethod
    def of(cls, volume: Tensor, *, reach: int) -> Searched:
        """For kernels of up to `reach` voxels."""
        padded = tuple(next_fast_len(size + reach, real=True) for size in volume.shape)
        return cls(torch.fft.rfftn(volume, s=padded), padded, tuple(volume.shape))

    def correlated(self, kernel: Tensor) -> Tensor:
        """The correlation `(z, y, x)` with a cube `(n, n, n)`, n even; at each voxel lies voxel n // 2 of the cube."""
        half = kernel.shape[0] // 2
        product = self.spectrum * torch.fft.rfftn(kernel, s=self.padded).conj()
        z, y, x = self.shape
        result: Tensor = torch.fft.irfftn(product, s=self.padded).roll((half,) * 3, dims=(0, 1, 2))[:z, :y, :x]
        return result.contiguous()

    def response(self, template: Tensor) -> Tensor:
        """The signal of a whitened template at each voxel, in standard deviations of the whitened background."""
        signal: Tensor = self.correlated(template) / torch.linalg.vector_norm(template)
        return signal


def signal_peaks(signal: Tensor, *, half_vox: int, floor: float) -> tuple[Array, Array]:
    """The maxima of cubes of 2 half_vox + 1 voxels that are >= `floor`: voxels `(n, 3)` and values `(n,)`."""
    images = list(signal.numpy())
    found = [local_maxima(images, z, half_vox=half_vox, floor=floor) for z in range(len(images))]
    at = np.concatenate(found)
    return at.astype(float), signal.numpy()[tuple(at.T)].astype(float)


def cube_at(volume: Tensor, corner: Array, side: int) -> Tensor:
    """The cube of `side` voxels whose first voxel is `corner` `(3,)`; 0 outside the volume."""
    low = corner.astype(int)
    inside = [slice(max(a, 0), max(min(a + side, n), 0)) for a, n in zip(low, volume.shape, strict=True)]
    padding = [(r.start - a, a + side - r.stop) for r, a in zip(inside, low, strict=True)]
    cube: Tensor = F.pad(volume[tuple(inside)], [n for pair in reversed(padding) for n in pair])
    return cube


def highest_signal_near(white: Tensor, template: Tensor, corner: Array, *, radius_vox: float) -> float:
    """The highest response with the first voxel of the template within `radius_vox` of `corner`."""
    reach = int(radius_vox)
    side = template.shape[0]
    window = cube_at(white, corner - reach, side + 2 * reach)
    steps = torch.arange(-reach, reach + 1).float()
    distance = torch.linalg.vector_norm(torch.stack(torch.meshgrid(steps, steps, steps, indexing="ij")), dim=0)
    size = window.shape
    product = torch.fft.irfftn(torch.fft.rfftn(window) * torch.fft.rfftn(template, s=size).conj(), s=size)
    near = product[: 2 * reach + 1, : 2 * reach + 1, : 2 * reach + 1]
    return float(near[distance <= radius_vox].max() / torch.linalg.vector_norm(template))
