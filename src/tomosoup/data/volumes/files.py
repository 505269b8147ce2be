"""Files that hold volumes: which they are in a folder, and how each is opened."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from tomosoup.core.errors import InputError, shortened
from tomosoup.core.types import Volume
from tomosoup.data.volumes.hdf import open_hdf
from tomosoup.data.volumes.mrc import open_mrc
from tomosoup.data.volumes.mrc_header import PACKED, mrc_remarks

HDF = ".hdf"
"""The ending of EMAN2's volumes, which are read where h5py is installed."""
VOLUMES = (".mrc", ".rec", ".map", *([HDF] if find_spec("h5py") else []))
"""Endings of files that are read, in small or capital letters."""
NOT_READ = (
    *(".ali", ".dm4", ".em", HDF, ".hdf5", ".h5", ".mrcs", ".npy", ".nrrd", ".spi", ".st", ".tif", ".tiff", ".vol"),
    *(".zarr", ".7z", ".lz4", ".xz", ".zip", ".zst"),
)
"""Endings of other volumes and of tilt series, which a message names."""


@dataclass(frozen=True)
class VolumeFiles:
    """The volumes of a folder."""

    by_name: dict[str, Path]
    """File by name without its endings, sorted."""
    left_out: tuple[str, ...]
    """Names of what looks like a volume and is not read, with the reason where it is not the format."""

    @property
    def message(self) -> str:
        """One line on what is left out, or nothing."""
        if not self.left_out:
            return ""
        endings = ", ".join((*VOLUMES, *(f"{VOLUMES[0]}{packed}" for packed in PACKED)))
        hint = f"; {HDF} where h5py is installed" if any(n.lower().endswith(HDF) for n in self.left_out) else ""
        return f"Not read as tomograms: {shortened([*self.left_out])} (read are {endings}{hint})."


def volume_name(path: Path) -> str:
    """A file's name without the endings of a volume, or nothing where it has none of them."""
    packed = path.suffix.lower() in PACKED
    name = Path(path.stem if packed else path.name)
    ending = name.suffix.lower()
    return name.stem if ending in VOLUMES and not (packed and ending == HDF) else ""


def volume_files(folder: Path) -> VolumeFiles:
    """The volumes of a folder, by name. Raises `InputError` where two files would have one name."""
    found: dict[str, Path] = {}
    left_out = []
    for file in sorted(folder.glob("[!.]*")):
        name = volume_name(file)
        if name and file.is_file():
            if found.setdefault(name, file) != file:
                raise InputError(
                    f"{file} and {found[name].name} would both be called {name!r}: rename one or move it away."
                )
        elif name:
            left_out.append(f"{file.name} ({'a folder' if file.is_dir() else 'not a regular file'})")
        elif file.name.lower().endswith(NOT_READ):
            left_out.append(file.name)
    return VolumeFiles(dict(sorted(found.items())), tuple(left_out))


def open_volume(path: Path, *, voxel_size: float | None = None) -> tuple[Any, float]:
    """The `(z, y, x)` array of a file of any of these formats, and its voxel size (Å): `open_mrc` or `open_hdf`."""
    how = open_hdf if path.suffix.lower() == HDF else open_mrc
    return how(path, voxel_size=voxel_size)


def volume_remarks(path: Path) -> tuple[str, ...]:
    """What is odd about a file that can be read; each is a sentence that says what to check."""
    return () if path.suffix.lower() == HDF else mrc_remarks(path)


def read_volume(path: Path) -> Volume:
    """A whole volume. Raises `InputError` where `open_volume` does, or where the file has no voxel size."""
    data, voxel_size = open_volume(path)
    if not voxel_size:
        raise InputError(f"{path} does not say how large its voxels are: set the voxel size in its header (Å).")
    return Volume(np.ascontiguousarray(data[:]), voxel_size)
