"""Volumes of EMAN2 in HDF5 files, read where they are asked for (requires h5py)."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomosoup.core.errors import InputError, first_line
from tomosoup.core.files import refuse_irregular
from tomosoup.data.volumes.voxel_size import cube

IMAGES = "MDF/images"
"""Where EMAN2 keeps images, each in a group with its number."""
MOST_BYTES = 2**31
"""Of a slice, and of a chunk, which is unpacked whole."""


@dataclass(frozen=True)
class HdfVolume:
    """A volume `(z, y, x)` in an HDF5 file, which is opened for each region that is read."""

    path: Path
    place: str
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    scale: float
    offset: float
    """Stored values times `scale` plus `offset` are grey values: EMAN2 may keep 16 or fewer bits of them."""

    def __getitem__(self, region: Any) -> NDArray[np.float32]:
        """The voxels of a region: slices along z, y, x, or fewer of them. Raises `InputError` for damaged ones."""
        import h5py

        try:
            with h5py.File(self.path, "r") as file:
                stored: NDArray[Any] = file[self.place][region]
        except OSError as error:
            raise InputError(
                f"{self.path}: its voxels cannot be read ({first_line(error)}); check the file."
            ) from error
        return stored.astype(np.float32) * np.float32(self.scale) + np.float32(self.offset)


def open_hdf(path: Path, *, voxel_size: float | None = None) -> tuple[Any, float]:
    """The `(z, y, x)` array of EMAN2's HDF5 file, unread, and its voxel size in Å: `voxel_size`, or the file's (or 0).

    Raises `InputError` where h5py is not installed, and for a file that does not hold exactly one volume with voxels.
    """
    try:
        import h5py
    except ImportError as error:
        raise InputError(f"{path} is read by h5py: install it (pip install 'tomosoup[hdf]').") from error
    refuse_irregular(path, expected="a volume")
    try:
        with h5py.File(path, "r") as file:
            images = file.get(IMAGES, {})
            names = [name for name in images if name.isdigit()]
            if len(names) != 1:
                raise InputError(f"{path} holds {len(names)} images of EMAN2; expected one volume.")
            group = images[names[0]]
            link, data = group.get("image", getlink=True), group.get("image")
            if not isinstance(link, h5py.HardLink) or data.external or data.is_virtual:
                raise InputError(f"{path} keeps its voxels in another file; expected them in this one.")
            _check(path, data)
            about = {name.removeprefix("EMAN."): value for name, value in group.attrs.items()}
            scale, offset = _scale(about)
            array = HdfVolume(path, data.name, data.shape, data.chunks or (1, 1, 1), scale, offset)
            said = [float(about.get(f"apix_{axis}", 0)) for axis in "zyx"]
    except (OSError, KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path} cannot be read as a volume of EMAN2 ({first_line(error)}); check the file."
        ) from error
    return array, voxel_size or cube(said, name=str(path))


def _check(path: Path, data: Any) -> None:
    """Raises `InputError` where a dataset is no volume of numbers, or has no voxels, or claims too many."""
    if data.ndim != 3 or 0 in data.shape or 1 in data.shape or data.dtype.kind not in "iuf":
        raise InputError(
            f"{path} holds an array of shape {data.shape} and type {data.dtype}; expected a volume of (z, y, x) voxels."
        )
    if not data.id.get_storage_size():
        raise InputError(f"{path} holds no voxels: write the file again.")
    if 4 * max(prod(data.shape[1:]), prod(data.chunks or (1,))) > MOST_BYTES:
        raise InputError(f"{path} claims voxels of shape {data.shape} in chunks of {data.chunks}: check the file.")


def _scale(about: dict[str, Any]) -> tuple[float, float]:
    """What stored values are multiplied by, and what is added, where EMAN2 kept few bits of them."""
    bits = int(about.get("stored_renderbits", 0))
    lowest, highest = (float(about.get(f"stored_render{end}", 0)) for end in ("min", "max"))
    return ((highest - lowest) / (2**bits - 1), lowest) if 0 < bits <= 16 and highest > lowest else (1.0, 0.0)
