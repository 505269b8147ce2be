"""MRC volumes, mapped into memory rather than read, with their axes in the order z, y, x."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
from numpy.typing import NDArray

from tomosoup.core.errors import InputError
from tomosoup.core.files import written_aside
from tomosoup.core.types import Volume
from tomosoup.data.volumes.mrc_header import FOUR_BITS, MrcHeader, opened, read_header
from tomosoup.data.volumes.voxel_size import cube

AT_ONCE = 2**24
"""Bytes of a packed file that are unpacked together: what it claims to hold is not asked for at once."""


def open_mrc(path: Path, *, voxel_size: float | None = None) -> tuple[Any, float]:
    """A `(z, y, x)` array and its voxel size in Å: `voxel_size`, or the header's (0 where that has none).

    The array is unread, but for files packed by gzip or bzip2 and for voxels of 4 bits, which are unpacked. Axes that
    the file keeps in another order are brought into this one. Raises `InputError` for a file that is not MRC, not a
    volume, or whose voxels are not cubes.
    """
    header = read_header(path)
    shape = tuple(header.stored[axis] for axis in header.axes)
    if header.volumes > 1:
        raise InputError(f"{path} is a stack of {header.volumes} volumes; expected one: write each to its own file.")
    if min(shape) <= 1:
        raise InputError(f"{path} holds an array of shape {shape}; expected a volume of (z, y, x) voxels.")
    return _voxels(header).transpose(header.axes), voxel_size or cube(header.voxel_size, name=str(path))


def _voxels(header: MrcHeader) -> NDArray[Any]:
    """The voxels `(sections, rows, columns)`, mapped into memory where they need not be unpacked."""
    packed = header.size is None
    raw: NDArray[np.uint8]
    raw = np.frombuffer(_unpacked(header), np.uint8) if packed else np.memmap(header.path, np.uint8, "r", header.first)
    raw = raw[: header.end - header.first]
    if header.mode != FOUR_BITS:
        return raw.view(header.dtype).reshape(header.stored)
    sections, rows, columns = header.stored
    halves = np.stack([raw & 15, raw >> 4], axis=-1)
    return halves.reshape(sections, rows, -1)[..., :columns]


def _unpacked(header: MrcHeader) -> bytearray:
    """The bytes of the voxels of a packed file. Raises `InputError` where there are fewer than the header claims."""
    wanted = header.end - header.first
    content = bytearray()
    with opened(header.path) as (file, _):
        file.seek(header.first)
        while part := file.read(min(AT_ONCE, wanted - len(content))):
            content += part
    if len(content) < wanted:
        raise InputError(
            f"{header.path} holds {len(content)} bytes of voxels and should have {wanted}: copy the file again."
        )
    return content


def write_mrc(path: Path, volume: Volume, *, label: str) -> None:
    """Write a `(z, y, x)` volume as 32-bit MRC, with a label of at most 80 characters in its header."""
    with written_aside(path) as aside, mrcfile.new(aside) as file:
        file.set_data(volume.data.numpy())
        file.voxel_size = volume.voxel_size
        file.add_label(label)
