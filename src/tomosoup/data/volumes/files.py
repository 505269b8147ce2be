"""The files of a folder that hold volumes, and those packed by gzip or bzip2."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tomosoup.core.errors import InputError, first_line, shortened

VOLUMES = (".mrc", ".rec", ".map")
"""Endings of files that are read, in small or capital letters."""
PACKED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open}
"""Endings that may follow them."""
NOT_READ = (".ali", ".em", ".hdf", ".mrcs", ".npy", ".spi", ".st", ".tif", ".tiff", ".vol", ".zarr", ".xz", ".zip")
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
        return f"Not read as tomograms: {shortened([*self.left_out])} (read are {endings})."


def volume_name(path: Path) -> str:
    """A file's name without the endings of a volume, or nothing where it has none of them."""
    name = path.name
    for ending in PACKED:
        if name.lower().endswith(ending):
            name = name[: -len(ending)]
            break
    stem, dot, ending = name.rpartition(".")
    return stem if f"{dot}{ending}".lower() in VOLUMES else ""


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


@contextmanager
def opened(path: Path) -> Iterator[tuple[IO[bytes], int | None]]:
    """A file of voxels, unpacked as it is read, and its size in bytes where it is not packed.

    Raises `InputError` for what is no regular file or cannot be opened or unpacked, in the block, too.
    """
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{path} is not a regular file; expected a volume: name another, or move it away.")
        unpack = PACKED.get(path.suffix.lower())
        with unpack(path, "rb") if unpack else path.open("rb") as file:
            yield file, None if unpack else path.stat().st_size
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise InputError(
            f"{path} cannot be read as an MRC volume ({first_line(error)}); check the file, or copy it again."
        ) from error
