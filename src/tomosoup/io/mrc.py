"""MRC volumes, mapped into memory rather than read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import torch

from tomosoup.errors import InputError
from tomosoup.types import Volume


def open_mrc(path: Path) -> tuple[Any, float]:
    """A lazy `(z, y, x)` array and the header's voxel size in Å (0 where the header has none).

    Raises `InputError` for a file that is not MRC, not a volume, or whose voxels are not cubes.
    """
    try:
        with mrcfile.mmap(path, mode="r", permissive=False) as file:
            data, size = file.data, file.voxel_size
    except (ValueError, OSError) as error:
        raise InputError(f"{path} cannot be read as an MRC volume ({error}); check the file.") from error
    if data is None or data.ndim != 3 or data.size == 0 or 1 in data.shape:
        got = "nothing" if data is None else f"an array of shape {data.shape}"
        raise InputError(f"{path} holds {got}; expected a volume of (z, y, x) voxels.")
    sizes = [float(size.z), float(size.y), float(size.x)]
    if max(sizes) - min(sizes) > 0.01 * max(sizes):
        raise InputError(f"The voxels of {path} measure {sizes} Å along z, y, x; expected cubes: resample the file.")
    return data, sum(sizes) / 3


def read_mrc(path: Path) -> Volume:
    """A whole MRC volume. Raises `InputError` where `open_mrc` does, or where the header has no voxel size."""
    data, voxel_size = open_mrc(path)
    if not voxel_size:
        raise InputError(f"{path} does not say how large its voxels are: set the voxel size in its header (Å).")
    return Volume(torch.from_numpy(np.array(data, dtype=np.float32)), voxel_size)
