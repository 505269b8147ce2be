"""MRC volumes, mapped into memory rather than read."""

from __future__ import annotations

import struct
from math import prod
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import torch

from tomosoup.core.errors import InputError, first_line
from tomosoup.core.files import written_aside
from tomosoup.core.types import Volume
from tomosoup.data.volumes.voxel_size import cube

HEADER = 1024
"""Bytes of the standard's header; nothing packs a voxel into less than half a byte."""
IMOD_STAMP = 1146047817
"""What IMOD writes into the headers of its files."""


def open_mrc(path: Path, *, voxel_size: float | None = None) -> tuple[Any, float]:
    """A lazy `(z, y, x)` array and its voxel size in Å: `voxel_size`, or the header's (0 where that has none).

    Raises `InputError` for a file that is not MRC, not a volume, or whose voxels are not cubes.
    """
    try:
        header = check_size(path)
        with mrcfile.mmap(path, mode="r", permissive=False) as file:
            data, size = file.data, file.voxel_size
    except (ValueError, OSError, OverflowError, MemoryError, TypeError, RuntimeWarning) as error:
        raise InputError(f"{path} cannot be read as an MRC volume ({first_line(error)}); check the file.") from error
    if data is None or data.ndim != 3 or data.size == 0 or 1 in data.shape:
        got = "nothing" if data is None else f"an array of shape {data.shape}"
        raise InputError(f"{path} holds {got}; expected a volume of (z, y, x) voxels.")
    if data.dtype.kind not in "iuf":
        raise InputError(f"{path} holds values of type {data.dtype}; expected real numbers.")
    if data.dtype == np.int8 and has_unsigned_bytes(header):
        data = data.view(np.uint8)
    return data, voxel_size or cube([size.z, size.y, size.x], name=str(path))


def has_unsigned_bytes(header: bytes) -> bool:
    """Whether the bytes of a file of mode 0, which the standard reads as -128 to 127, are meant as 0 to 255.

    IMOD says so in flags of its own (bit 0 of the word at byte 156, where its stamp stands at 152, is set for signed
    ones); of other programs' files the highest value, which the header keeps, tells. (IMOD's documentation, "MRC file
    format".)
    """
    order = byte_order(header)
    stamp, flags = struct.unpack_from(f"{order}2i", header, 152)
    highest = struct.unpack_from(f"{order}f", header, 80)[0]
    return not flags & 1 if stamp == IMOD_STAMP else bool(highest > 127)


def byte_order(header: bytes) -> str:
    """That of the machine that wrote the file, as `struct` has it, by the header's stamp."""
    return ">" if header[212] == 0x11 else "<"


def check_size(path: Path) -> bytes:
    """The header.

    Raises `ValueError` where it claims more bytes than the file has: mrcfile asks for their memory first.
    """
    with path.open("rb") as file:
        header = file.read(HEADER)
    if len(header) < HEADER:
        raise ValueError(f"its header has {len(header)} bytes and should have {HEADER}")
    order = byte_order(header)
    extended = struct.unpack_from(f"{order}i", header, 92)[0]
    sizes = struct.unpack_from(f"{order}3i", header)
    if min(*sizes, extended) < 0 or HEADER + extended + prod(sizes) // 2 > path.stat().st_size:
        raise ValueError(f"its header claims {sizes} voxels after {extended} further bytes, more than the file holds")
    return header


def read_mrc(path: Path) -> Volume:
    """A whole MRC volume. Raises `InputError` where `open_mrc` does, or where the header has no voxel size."""
    data, voxel_size = open_mrc(path)
    if not voxel_size:
        raise InputError(f"{path} does not say how large its voxels are: set the voxel size in its header (Å).")
    return Volume(torch.from_numpy(np.array(data, dtype=np.float32)), voxel_size)


def write_mrc(path: Path, volume: Volume, *, label: str) -> None:
    """Write a `(z, y, x)` volume as 32-bit MRC, with a label of at most 80 characters in its header."""
    with written_aside(path) as aside, mrcfile.new(aside) as file:
        file.set_data(volume.data.numpy())
        file.voxel_size = volume.voxel_size
        file.add_label(label)


def mrc_labels(path: Path) -> list[str]:
    """The labels in the header of an MRC file. Raises `InputError` where it is none."""
    try:
        with mrcfile.open(path, header_only=True) as file:
            return [str(label) for label in file.get_labels()]
    except (ValueError, OSError) as error:
        raise InputError(f"{path} cannot be read as an MRC volume ({first_line(error)}); check the file.") from error
