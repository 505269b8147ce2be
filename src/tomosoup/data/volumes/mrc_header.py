"""The header of an MRC file: sizes, mode, order of axes, byte order, voxel size.

The format is described in Cheng et al., J Struct Biol 192, 2015.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from tomosoup.core.errors import InputError, counted, first_line
from tomosoup.core.files import refuse_irregular

PACKED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open}
"""Endings that may follow those of a volume, and what unpacks it."""
HEADER = 1024
"""Bytes of the standard's header."""
STAMPS = {0x44: "<", 0x11: ">"}
"""First byte of the machine stamp: the byte order, as `struct` has it."""
IMOD_STAMP = 1146047817
"""What IMOD writes into the headers of its files."""
FOUR_BITS = 101
"""The mode in which a byte holds two voxels, the first one in its lower half; a row begins with a new byte."""
MODES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2", FOUR_BITS: "u1"}
"""NumPy's type by mode."""
NOT_REAL = {3: "complex numbers of 16 bits", 4: "complex numbers of 32 bits", 16: "colours", 17: "colours"}
LARGEST = 2**20
"""Voxels along an axis that no volume exceeds; a number in the wrong byte order does."""
STACKS = 401
"""Space groups from this one on mean that the file holds several volumes."""


@dataclass(frozen=True)
class MrcHeader:
    """What a header says. Sections, rows and columns are the axes of the file, from the slowest to the fastest."""

    path: Path
    content: bytes
    order: str
    """Byte order: < or >."""
    size: int | None
    """Bytes of the file; None for a packed one, of which only reading tells."""

    def _words(self, form: str, at: int) -> tuple[Any, ...]:
        return struct.unpack_from(self.order + form, self.content, at)

    @property
    def stored(self) -> tuple[int, int, int]:
        """How many sections, rows and columns."""
        columns, rows, sections = self._words("3i", 0)
        return sections, rows, columns

    @property
    def mode(self) -> int:
        """The number of the type of the voxels."""
        return int(self._words("i", 12)[0])

    @property
    def first(self) -> int:
        """Where the voxels begin, in bytes."""
        return HEADER + int(self._words("i", 92)[0])

    @property
    def end(self) -> int:
        """Where they end."""
        sections, rows, columns = self.stored
        if self.mode == FOUR_BITS:
            return self.first + sections * rows * ((columns + 1) // 2)
        return self.first + prod(self.stored) * self.dtype.itemsize

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """NumPy's type of the voxels; bytes are unsigned where `has_unsigned_bytes`."""
        letters = "u1" if self.mode == 0 and self.has_unsigned_bytes else MODES[self.mode]
        return np.dtype(self.order + letters)

    @property
    def has_unsigned_bytes(self) -> bool:
        """Whether bytes in mode 0, which the standard reads as -128 to 127, are meant as 0 to 255.

        IMOD says so in flags of its own (bit 0 of the word at byte 156, where its stamp stands at 152, is set for
        signed ones); in other programs' files the highest value, which the header keeps, shows it. (IMOD's
        documentation, "MRC file format".)
        """
        stamp, flags = self._words("2i", 152)
        highest = self._words("f", 80)[0]
        return not flags & 1 if stamp == IMOD_STAMP else bool(highest > 127)

    @cached_property
    def axes(self) -> tuple[int, ...]:
        """Which of the file's axes (0 sections, 1 rows, 2 columns) are z, y and x. Nothing said means this order.

        Raises `InputError` where the three do not name x, y and z once each.
        """
        columns, rows, sections = named = self._words("3i", 64)
        if named == (0, 0, 0):
            return 0, 1, 2
        if sorted(named) != [1, 2, 3]:
            raise InputError(
                f"{self.path} says that its columns, rows and sections are the axes {columns}, {rows}, {sections}; "
                "expected 1 (x), 2 (y) and 3 (z), each once: correct MAPC, MAPR and MAPS in its header."
            )
        return tuple((sections, rows, columns).index(axis) for axis in (3, 2, 1))

    @property
    def voxel_size(self) -> tuple[float, float, float]:
        """Å along z, y, x; 0 where the header does not say."""
        numbers, lengths = self._words("3i", 28), self._words("3f", 40)
        x, y, z = (float(length) / n if n else 0.0 for length, n in zip(lengths, numbers, strict=True))
        return z, y, x

    @property
    def origin(self) -> tuple[float, float, float]:
        """Å along z, y, x of the centre of the first voxel; where ORIGIN is 0, NXSTART, NYSTART and NZSTART say it.

        ChimeraX places volumes so. 0 where the header says neither.
        """
        x, y, z = self._words("3f", 196)
        if not (x or y or z):
            z, y, x = (n * size for n, size in zip(self._words("3i", 16)[::-1], self.voxel_size, strict=True))
        return (z, y, x) if np.isfinite((z, y, x)).all() else (0.0, 0.0, 0.0)

    @property
    def volumes(self) -> int:
        """How many volumes the file holds: several only where it says that it is a stack of volumes."""
        depth, group = self._words("i", 36)[0], self._words("i", 88)[0]
        return max(1, self.stored[0] // depth) if group >= STACKS and depth > 0 else 1

    @property
    def labels(self) -> list[str]:
        """The labels that are in use."""
        number = min(max(self._words("i", 220)[0], 0), 10)
        lines = (self.content[224 + 80 * i : 304 + 80 * i] for i in range(number))
        return [line.decode("ascii", "replace").rstrip(" \0") for line in lines]

    def fault(self) -> str:
        """Why this cannot be the header of a volume, or nothing."""
        if self.mode in NOT_REAL:
            return f"its voxels are {NOT_REAL[self.mode]} (mode {self.mode}), and real numbers are expected"
        if self.mode not in MODES:
            return f"its mode is {self.mode}, and one of {', '.join(map(str, MODES))} is expected"
        too_large = max(self.stored) > LARGEST or (self.size is not None and self.end > self.size)
        if too_large or min(*self.stored, self.first - HEADER) < 0:
            sections, rows, columns = self.stored
            return (
                f"its header claims {columns} x {rows} x {sections} voxels of mode {self.mode} after "
                f"{self.first - HEADER} further bytes, more than the file holds"
            )
        return ""


def read_header(path: Path) -> MrcHeader:
    """The header of an MRC file, also of one packed by gzip or bzip2.

    The byte order is that of the machine stamp; where the header makes no sense in it, or there is no stamp, it is the
    one in which it does. Raises `InputError` for a file that is none or holds less than it claims.
    """
    with opened(path) as (file, size):
        content = file.read(HEADER)
    if len(content) < HEADER:
        raise InputError(
            f"{path} cannot be read as an MRC volume (its header has {len(content)} bytes and should have {HEADER}); "
            "check the file."
        )
    order = STAMPS.get(content[212], "<")
    stamped, other = (MrcHeader(path, content, o, size) for o in (order, "<" if order == ">" else ">"))
    if fault := stamped.fault():
        if other.fault() or min(other.stored) < 1:
            raise InputError(f"{path} cannot be read as an MRC volume ({fault}); check the file.")
        return other
    return stamped


def mrc_remarks(path: Path) -> tuple[str, ...]:
    """What is odd about a file that can be read; each is a sentence that says what to check."""
    header = read_header(path)
    if header.size is None or header.size <= header.end:
        return ()
    more = counted(header.size - header.end, "byte")
    return (f"{more} follow its voxels: check that the copy is whole, and the mode and the sizes in its header.",)


@contextmanager
def opened(path: Path) -> Iterator[tuple[IO[bytes], int | None]]:
    """A file of voxels, unpacked as it is read, and its size in bytes where it is not packed.

    Raises `InputError` for what is no regular file or cannot be opened or unpacked, in the block, too.
    """
    try:
        refuse_irregular(path, expected="a volume")
        unpack = PACKED.get(path.suffix.lower())
        with unpack(path, "rb") if unpack else path.open("rb") as file:
            yield file, None if unpack else path.stat().st_size
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise InputError(
            f"{path} cannot be read as an MRC volume ({first_line(error)}); check the file, or copy it again."
        ) from error
