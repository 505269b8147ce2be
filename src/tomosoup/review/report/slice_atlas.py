"""A tomogram small enough for a page: binned, in 256 greys, its slices side by side in one JPEG picture."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from tomosoup.core.types import Slices, Volume
from tomosoup.data.copick.masks.region import Region

QUALITY = 75
"""Quality of the JPEG: what it loses is hidden by the noise of tomograms."""
CLIPPED = 0.05
"""Per cent of the voxels that become black, and the same of those that become white."""
THUMBNAIL, THICK = 96, 5
"""The largest side of a thumbnail, and the slices that it averages."""


@dataclass(frozen=True)
class Atlas:
    """A binned volume as one picture: slice z is tile z, row by row, with `columns` tiles a row."""

    jpeg: bytes
    columns: int
    shape: tuple[int, int, int]
    voxel_size: float
    """Å, of the binned voxels."""
    origin: tuple[float, float, float]
    """Position, in Å (z, y, x), of the centre of the first binned voxel."""
    region: bytes | None = None
    """A PNG picture of the same tiles, white in the part that was searched; None for the whole volume."""


def binning(shape: tuple[int, int, int], *, voxels: int) -> int:
    """The smallest number of voxels a side to average, so that at most `voxels` are left."""
    factor = 1
    while math.prod(max(1, n // factor) for n in shape) > voxels and factor < max(shape):
        factor += 1
    return factor


def binned(source: Slices, factor: int) -> Volume:
    """Means of `factor`³ voxels, read a few slices at a time; what is left over at the far ends is dropped.

    A volume that is thinner than `factor` along an axis is averaged over all of it.
    """
    steps = [min(factor, n) for n in source.shape]
    kept = [n // step * step for n, step in zip(source.shape, steps, strict=True)]
    rows = []
    for z in range(0, kept[0], steps[0]):
        slab = source.slices(z, z + steps[0])[:, : kept[1], : kept[2]].mean(0)
        rows.append(slab.reshape(kept[1] // steps[1], steps[1], kept[2] // steps[2], steps[2]).mean((1, 3)))
    z0, y0, x0 = (o + (step - 1) / 2 * source.voxel_size for o, step in zip(source.origin, steps, strict=True))
    return Volume(torch.stack(rows), source.voxel_size * factor, (z0, y0, x0))


def in_greys(volume: Volume, *, clipped: float = CLIPPED) -> NDArray[np.uint8]:
    """`(z, y, x)` as greys from 0 to 255; the `clipped` per cent of the voxels at each end become black or white."""
    data = volume.data.numpy()
    low, high = np.percentile(data, [clipped, 100 - clipped])
    scaled = (data - low) * (255 / (high - low or 1.0))
    greys: NDArray[np.uint8] = np.nan_to_num(np.clip(np.rint(scaled), 0, 255)).astype(np.uint8)
    return greys


def thumbnail(source: Slices) -> bytes:
    """The mean of the central slices of a volume, at most `THUMBNAIL` voxels a side, as JPEG."""
    depth, height, width = source.shape
    first, last = max(0, depth // 2 - THICK // 2), min(depth, depth // 2 + THICK // 2 + 1)
    centre = Volume(source.slices(first, last).mean(0, keepdim=True), source.voxel_size, source.origin)
    file = io.BytesIO()
    small = binned(centre, math.ceil(max(height, width) / THUMBNAIL))
    Image.fromarray(in_greys(small, clipped=0.5)[0]).save(file, "JPEG", quality=60)
    return file.getvalue()


def atlas(source: Slices, *, voxels: int, region: Region | None = None) -> Atlas:
    """The picture of a volume, binned to at most `voxels`, and of the `region` that was searched in it."""
    small = binned(source, binning(source.shape, voxels=voxels))
    depth, height, width = small.shape
    columns = max(1, min(depth, round(math.sqrt(depth * height / width))))
    file, searched = io.BytesIO(), io.BytesIO()
    Image.fromarray(side_by_side(in_greys(small), columns)).save(file, "JPEG", quality=QUALITY)
    if region is not None:
        Image.fromarray(side_by_side(region.on(small).numpy(), columns)).save(searched, "PNG", optimize=True)
    picture = searched.getvalue() or None
    return Atlas(file.getvalue(), columns, small.shape, small.voxel_size, small.origin, picture)


def side_by_side(slices: NDArray[Any], columns: int) -> NDArray[Any]:
    """Slices `(z, y, x)` -> one picture `(rows y, columns x)`, row by row; what is left of the last row is 0."""
    depth, height, width = slices.shape
    tiles = np.zeros((math.ceil(depth / columns) * columns, height, width), slices.dtype)
    tiles[:depth] = slices
    return tiles.reshape(-1, columns, height, width).transpose(0, 2, 1, 3).reshape(-1, columns * width)
