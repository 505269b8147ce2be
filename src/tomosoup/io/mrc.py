"""MRC volumes, mapped into memory rather than read."""

from __future__ import annotations

import struct
from math import prod
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import torch

from tomosoup.errors import InputError, first_line
from tomosoup.types import Volume

HEADER = 1024
"""Bytes of the standard's header; nothing packs a voxel into less than half a byte."""


def open_mrc(path: Path) -> tuple[Any, float]:
    """A lazy `(z, y, x)` array and the header's voxel size in Å (0 where the header has none).

    Raises `InputError` for a file that is not MRC, not a volume, or whose voxels are not cubes.
    """
    try:
        check_size(path)
        with mrcfile.mmap(path, mode="r", permissive=False) as file:
            data, size = file.data, file.voxel_size
    except (ValueError, OSError, OverflowError, MemoryError, TypeError, RuntimeWarning) as error:
        raise InputError(f"{path} cannot be read as an MRC volume ({first_line(error)}); check the file.") from error
    if data is None or data.ndim != 3 or data.size == 0 or 1 in data.shape:
        got = "nothing" if data is None else f"an array of shape {data.shape}"
        raise InputError(f"{path} holds {got}; expected a volume of (z, y, x) voxels.")
    sizes = [float(size.z), float(size.y), float(size.x)]
    if max(sizes) - min(sizes) > 0.01 * max(sizes):
        raise InputError(f"The voxels of {path} measure {sizes} Å along z, y, x; expected cubes: resample the file.")
    return data, sum(sizes) / 3


def check_size(path: Path) -> None:
    """Raises `ValueError` where the header claims more bytes than the file has: mrcfile asks for their memory first."""
    with path.open("rb") as file:
        header = file.read(HEADER)
    if len(header) < HEADER:
        raise ValueError(f"its header has {len(header)} bytes and should have {HEADER}")
    order = ">" if header[212] == 0x11 else "<"  # the machine stamp
    extended = struct.unpack_from(f"{order}i", header, 92)[0]
    sizes = struct.unpack_from(f"{order}3i", header)
    if min(*sizes, extended) < 0 or HEADER + extended + prod(sizes) // 2 > path.stat().st_size:
        raise ValueError(f"its header claims {sizes} voxels after {extended} further bytes, more than the file holds")


def read_mrc(path: Path) -> Volume:
    """A whole MRC volume. Raises `InputError` where `open_mrc` does, or where the header has no voxel size."""
    data, voxel_size = open_mrc(path)
    if not voxel_size:
        raise InputError(f"{path} does not say how large its voxels are: set the voxel size in its header (Å).")
    return Volume(torch.from_numpy(np.array(data, dtype=np.float32)), voxel_size)
