"""From a tilt series back to volumes: filters on the images, weighted back-projection, and what follows it.

torch-reconstruct-tomogram back-projects patch by patch in Fourier space and agrees (see the tests), but takes minutes
for a full-size tomogram on two cores. With one tilt axis along y all y are alike, and back-projection is a product with
one sparse matrix.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange
from scipy.sparse import csr_array
from torch import Tensor
from torch_tilt_series import TiltSeries

from tomosoup.core.progress import Progress, no_progress
from tomosoup.simulation.microscope.imaging import contrast_transfer, frequencies, left_by_exposure
from tomosoup.simulation.microscope.tilt_series import Acquisition
from tomosoup.simulation.options.microscope import MicroscopeOptions, ReconstructionOptions

RECONSTRUCTING = "Reconstructing"
"""What `reconstruct` reports to its `progress`."""
EDGE = 0.1
"""Width of the end of the frequencies that larger voxels hold, as a fraction of the highest."""


@dataclass(frozen=True)
class Processing:
    """How one run's images are processed: a value for everything that a recipe gives a range of."""

    lowpass: float | None
    """Å, see the recipe."""
    stretch: float
    ramp: float = 1.0
    """Power of the frequency across the tilt axis, see the recipe."""
    sampled_at: float | None = None
    """Å a voxel, see the recipe."""
    denoising: float = 1.0
    """Strength, see the recipe."""
    deconvolved: bool = True
    """Whether the network gets ctfdeconvolved, see the recipe."""


def draw_processing(recipe: ReconstructionOptions, *, random: np.random.Generator) -> Processing:
    """Values from the recipe's ranges."""

    def drawn(between: tuple[float, float] | None) -> float | None:
        return None if between is None else float(random.uniform(*between))

    resolution, stretch, ramp = drawn(recipe.lowpass), random.uniform(*recipe.stretch), random.uniform(*recipe.ramp)
    sampled_at, denoising = drawn(recipe.sampled_at), random.uniform(*recipe.denoising)
    deconvolved = bool(random.random() < recipe.deconvolved)
    return Processing(resolution, float(stretch), float(ramp), sampled_at, float(denoising), deconvolved)


def filtered(images: Tensor, factor: Tensor) -> Tensor:
    """Images `(tilts, y, x)` with their rfft multiplied by `factor` (broadcast to it)."""
    shape = images.shape[-2], images.shape[-1]
    result: Tensor = torch.fft.irfft2(torch.fft.rfft2(images) * factor, s=shape)
    return result


def dose_weights(acquisition: Acquisition, recipe: MicroscopeOptions, frequency: Tensor) -> Tensor:
    """Factors `(tilts, ...)` that weight each tilt by what radiation damage leaves of it; over the tilts their mean
    square is 1 at every frequency, so that noise keeps its power (Grant and Grigorieff 2015, eq. 9)."""
    left = left_by_exposure(acquisition, recipe, frequency)
    return left / left.square().mean(dim=0).sqrt()


def wiener(
    acquisition: Acquisition,
    microscope: MicroscopeOptions,
    recipe: ReconstructionOptions,
    *,
    shape: tuple[int, int],
    pixel: float,
) -> Tensor:
    """`(tilts, y, x // 2 + 1)` filters that undo contrast transfer: ctf / (ctf² + 1 / snr).

    The signal-to-noise ratio falls with the frequency if the recipe has a `snr_falloff`, as in Warp's deconvolution
    (Tegunov and Cramer 2019). At the lowest frequency the filter is 1 where ctf is 1.
    """
    defocus = torch.tensor(acquisition.defocus, dtype=torch.float32)
    transfer = contrast_transfer(acquisition, microscope, defocus=defocus, shape=shape, pixel=pixel)
    noise = torch.exp(recipe.snr_falloff * frequencies(shape, pixel)) / recipe.snr
    return transfer / (transfer**2 + noise) * (1 + 1 / recipe.snr)


def image_weights(
    acquisition: Acquisition,
    microscope: MicroscopeOptions,
    recipe: ReconstructionOptions,
    processing: Processing,
    frequency: Tensor,
) -> Tensor:
    """Factors `(tilts, *frequency.shape)` on the images' frequencies (1/Å), for every tomogram type.

    Weights by exposure and by tilt, each with a mean of 1, a low-pass, a high-pass, and the end of the frequencies of
    larger voxels, where the recipe has them.
    """
    tilted = torch.tensor(np.cos(np.radians(acquisition.angles)) ** recipe.tilt_weighting, dtype=torch.float32)
    weights = (tilted / tilted.mean()).reshape(-1, *[1] * frequency.ndim).expand(-1, *frequency.shape)
    if recipe.dose_weighting and microscope.damage:
        weights = weights * dose_weights(acquisition, microscope, frequency)
    if processing.lowpass is not None:
        weights = weights * lowpass(frequency, processing.lowpass)
    if recipe.highpass is not None:
        weights = weights * (1 - lowpass(frequency, recipe.highpass))
    if processing.sampled_at is not None:
        relative = 2 * processing.sampled_at * frequency  # 1 is the highest that such voxels hold
        weights = weights * ((1 - relative) / EDGE + 0.5).clamp(0, 1)
    return weights


def lowpass(frequency: Tensor, resolution: float) -> Tensor:
    """Gaussian that has fallen to a half at `resolution` Å."""
    return torch.exp(-math.log(2) * (frequency * resolution) ** 2)


def ramp_filter(images: Tensor, *, power: float = 1.0) -> Tensor:
    """`(tilts, y, x)` -> the same, weighted by |frequency| across the tilt axis (1 at the highest) to a power."""
    width = images.shape[-1]
    padded = 2 * width
    spectrum = torch.fft.rfft(images, n=padded)
    weighted: Tensor = torch.fft.irfft(spectrum * (torch.fft.rfftfreq(padded) * 2) ** power, n=padded)[..., :width]
    return weighted


def reconstruct(
    images: Tensor, series: TiltSeries, shape: Sequence[int], *, ramp: float = 1.0, progress: Progress = no_progress
) -> Tensor:
    """Tilt images `(tilts, y, x)` of one tilt axis along y -> the volume `(z, y, x)` of `shape`.

    The centre of every image belongs to the centre of the volume; images must be as high as the volume. `ramp` is the
    power of the ramp filter.
    """
    rows = rearrange(ramp_filter(images, power=ramp), "t y u -> (t u) y").contiguous().numpy()
    depth, height, width = shape
    volume = torch.empty(depth, height, width)
    for z in range(depth):
        matrix = _backprojection(series, z - (depth - 1) / 2, width=width, image_width=images.shape[-1])
        volume[z] = torch.from_numpy((matrix @ rows).T)
        progress(RECONSTRUCTING, z + 1, depth)
    return volume


def _backprojection(series: TiltSeries, z_vox: float, *, width: int, image_width: int) -> csr_array:
    """Sparse `(x, tilts * image_width)`: the pixels whose mean is each voxel of a row at height `z_vox`."""
    across = series.projection_matrices[:, 2].numpy()
    x_vox = np.arange(width) - (width - 1) / 2
    u = across[:, 0] * z_vox + x_vox[:, None] * across[:, 2] + (image_width - 1) / 2
    left = np.clip(np.floor(u), 0, image_width - 2).astype(np.int32)
    right_weight = np.clip(u - left, 0, 1)
    tilts = len(across)
    first = left + np.arange(tilts, dtype=np.int32) * image_width
    columns = np.stack([first, first + 1], axis=-1).ravel()
    weights = np.stack([1 - right_weight, right_weight], axis=-1).ravel() / tilts
    rows = np.arange(width + 1) * (2 * tilts)
    return csr_array((weights.astype(np.float32), columns, rows), shape=(width, tilts * image_width))
