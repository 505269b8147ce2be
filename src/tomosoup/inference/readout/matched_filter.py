"""Matched filters: how much of a known template a tomogram holds, where its background is as loud as it is.

A filter is best, among linear ones and for Gaussian noise of one spectrum everywhere, when tomogram and template are
both divided by the noise's amplitude at every frequency (whitened) before they are multiplied (Turin 1960).
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
"""Blocks of a tomogram that its spectrum is the mean of."""
FLOOR = 1e-2
"""Least power that counts, as a share of the mean: in the missing wedge there is neither noise nor template."""


@dataclass(frozen=True)
class Whitening:
    """What whitens a tomogram and templates of `side` voxels: `amplitude` `(side, side, side // 2 + 1)` on rfftn."""

    amplitude: Tensor
    side: int

    @classmethod
    def of(cls, volume: Tensor, *, side: int, random: np.random.Generator) -> Whitening:
        """By the spectrum of all that is in a `(z, y, x)` tomogram: noise, and particles, as others' background."""
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
        """A template `(side, side, side)`, whitened."""
        white: Tensor = torch.fft.irfftn(torch.fft.rfftn(template) * self.amplitude, s=template.shape)
        return white

    def tomogram(self, volume: Tensor) -> Tensor:
        """A tomogram `(z, y, x)`, whitened: its deviation is about 1. Outside it there is nothing."""
        kernel = torch.fft.fftshift(torch.fft.irfftn(self.amplitude.to(torch.cfloat), s=(self.side,) * 3))
        return Searched.of(volume, reach=self.side).correlated(kernel)  # it is even


@dataclass(frozen=True)
class Searched:
    """A `(z, y, x)` tomogram that many kernels are held against; beyond it is nothing."""

    spectrum: Tensor
    padded: tuple[int, ...]
    shape: tuple[int, ...]

    @classmethod
    def of(cls, volume: Tensor, *, reach: int) -> Searched:
        """For kernels of up to `reach` voxels."""
        padded = tuple(next_fast_len(size + reach, real=True) for size in volume.shape)
        return cls(torch.fft.rfftn(volume, s=padded), padded, tuple(volume.shape))

    def correlated(self, kernel: Tensor) -> Tensor:
        """Its correlation `(z, y, x)` with a cube `(n, n, n)`, n even, whose voxel n // 2 lies on the result's."""
        half = kernel.shape[0] // 2
        product = self.spectrum * torch.fft.rfftn(kernel, s=self.padded).conj()
        z, y, x = self.shape
        result: Tensor = torch.fft.irfftn(product, s=self.padded).roll((half,) * 3, dims=(0, 1, 2))[:z, :y, :x]
        return result.contiguous()

    def response(self, template: Tensor) -> Tensor:
        """How loud a whitened template is everywhere, in deviations of the (whitened) tomogram's background."""
        loud: Tensor = self.correlated(template) / torch.linalg.vector_norm(template)
        return loud


def peaks_of(loud: Tensor, *, half_vox: int, floor: float) -> tuple[Array, Array]:
    """The maxima of cubes of 2 half_vox + 1 that reach `floor`: voxels `(n, 3)` and values `(n,)`."""
    images = list(loud.numpy())
    found = [local_maxima(images, z, half_vox=half_vox, floor=floor) for z in range(len(images))]
    at = np.concatenate(found)
    return at.astype(float), loud.numpy()[tuple(at.T)].astype(float)


def around(volume: Tensor, corner: Array, side: int) -> Tensor:
    """The cube of `side` voxels whose first one is `corner` `(3,)`; 0 outside the volume."""
    low = corner.astype(int)
    inside = [slice(max(a, 0), max(min(a + side, n), 0)) for a, n in zip(low, volume.shape, strict=True)]
    room = [(r.start - a, a + side - r.stop) for r, a in zip(inside, low, strict=True)]
    cube: Tensor = F.pad(volume[tuple(inside)], [n for pair in reversed(room) for n in pair])
    return cube


def loudest_near(white: Tensor, template: Tensor, corner: Array, *, radius_vox: float) -> float:
    """The highest response where the template's own first voxel lies within `radius_vox` of `corner`."""
    reach = int(radius_vox)
    side = template.shape[0]
    window = around(white, corner - reach, side + 2 * reach)
    steps = torch.arange(-reach, reach + 1).float()
    away = torch.linalg.vector_norm(torch.stack(torch.meshgrid(steps, steps, steps, indexing="ij")), dim=0)
    size = window.shape
    product = torch.fft.irfftn(torch.fft.rfftn(window) * torch.fft.rfftn(template, s=size).conj(), s=size)
    near = product[: 2 * reach + 1, : 2 * reach + 1, : 2 * reach + 1]
    return float(near[away <= radius_vox].max() / torch.linalg.vector_norm(template))
