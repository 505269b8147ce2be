"""From a tilt series back to a volume: weighted back-projection.

torch-reconstruct-tomogram does this patch by patch in Fourier space and agrees (see the tests), but takes minutes for a
full-size tomogram on two cores. With one tilt axis along y all y are alike, and back-projection is a product with one
sparse matrix.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from einops import rearrange
from scipy.sparse import csr_array
from torch import Tensor
from torch_tilt_series import TiltSeries

from tomosoup.types import Progress, quiet

RECONSTRUCTING = "Reconstructing"
"""What `progress` is told."""


def ramp_filter(images: Tensor) -> Tensor:
    """`(tilts, y, x)` -> the same, weighted by |frequency| across the tilt axis (1 at the highest)."""
    width = images.shape[-1]
    padded = 2 * width
    spectrum = torch.fft.rfft(images, n=padded)
    filtered: Tensor = torch.fft.irfft(spectrum * torch.fft.rfftfreq(padded) * 2, n=padded)[..., :width]
    return filtered


def reconstruct(images: Tensor, series: TiltSeries, shape: Sequence[int], *, progress: Progress = quiet) -> Tensor:
    """Tilt images `(tilts, y, x)` of one tilt axis along y -> the volume `(z, y, x)` of `shape`.

    The centre of every image belongs to the centre of the volume; images must be as high as the volume.
    """
    filtered = rearrange(ramp_filter(images), "t y u -> (t u) y").contiguous().numpy()
    depth, height, width = shape
    volume = torch.empty(depth, height, width)
    for z in range(depth):
        matrix = _backprojection(series, z - (depth - 1) / 2, width=width, image_width=images.shape[-1])
        volume[z] = torch.from_numpy((matrix @ filtered).T)
        progress(RECONSTRUCTING, z + 1, depth)
    return volume


def _backprojection(series: TiltSeries, z_vox: float, *, width: int, image_width: int) -> csr_array:
    """Sparse `(x, tilts * image_width)`: the pixels that each voxel of a row at height `z_vox` takes its mean from."""
    across = series.projection_matrices[:, 2].numpy()
    x_vox = np.arange(width) - (width - 1) / 2
    u = across[:, 0] * z_vox + x_vox[:, None] * across[:, 2] + (image_width - 1) / 2
    left = np.clip(np.floor(u), 0, image_width - 2).astype(np.int32)
    right_share = np.clip(u - left, 0, 1)
    tilts = len(across)
    first = left + np.arange(tilts, dtype=np.int32) * image_width
    columns = np.stack([first, first + 1], axis=-1).ravel()
    shares = np.stack([1 - right_share, right_share], axis=-1).ravel() / tilts
    rows = np.arange(width + 1) * (2 * tilts)
    return csr_array((shares.astype(np.float32), columns, rows), shape=(width, tilts * image_width))
