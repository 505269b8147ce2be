"""A Zarr array that is read where it is asked for, its axes in the order z, y, x."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomosoup.core.errors import InputError
from tomosoup.data.volumes.zarr.codecs import MISSING
from tomosoup.data.volumes.zarr.metadata import Layout
from tomosoup.data.volumes.zarr.storage import Files, Part

Index = tuple[int, ...]
AT_ONCE = 64
"""Chunks whose bytes are in memory together."""
SEPARATORS = ".", "/"


@dataclass(frozen=True)
class ChunkedArray:
    """A volume `(z, y, x)` in chunks; a region of slices gives its voxels."""

    files: Files
    path: str
    layout: Layout
    axes: tuple[int, int, int]
    """Which axes of the stored array are z, y and x; the others have one voxel."""
    name: str
    """What it is called in messages."""
    lenient: bool = False
    """Whether missing chunks hold the fill value; else they are an error."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along (z, y, x)."""
        return tuple(self.layout.shape[axis] for axis in self.axes)

    @property
    def chunks(self) -> tuple[int, ...]:
        """Voxels of a chunk along (z, y, x)."""
        return tuple(self.layout.chunks[axis] for axis in self.axes)

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy's type of the voxels."""
        return self.layout.dtype

    @property
    def ndim(self) -> int:
        """Three."""
        return len(self.axes)

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype)

    def __getitem__(self, region: Any) -> NDArray[Any]:
        """The voxels of a region: slices along z, y, x, or fewer of them."""
        asked = [*(region if isinstance(region, tuple) else (region,)), *[slice(None)] * 3][: self.ndim]
        inside = [range(n)[part] for n, part in zip(self.shape, asked, strict=True)]
        if not all(isinstance(part, range) and part.step == 1 for part in inside):
            raise IndexError(f"expected up to three slices without steps, got {region!r}")
        wanted = [range(1)] * len(self.layout.shape)
        for axis, part in zip(self.axes, inside, strict=True):
            wanted[axis] = part
        others = [axis for axis in range(len(wanted)) if axis not in self.axes]
        return self._stored(wanted).transpose(*self.axes, *others).reshape([len(part) for part in inside])

    def _stored(self, wanted: Sequence[range]) -> NDArray[Any]:
        """The voxels of ranges of the stored axes."""
        values = np.full([len(part) for part in wanted], self.layout.fill, self.dtype)
        touched = (
            range(part.start // size, -(-part.stop // size) if part else 0)
            for part, size in zip(wanted, self.layout.chunks, strict=True)
        )
        indices = product(*touched)
        while batch := [*islice(indices, AT_ONCE)]:
            for index, content in self._contents(batch):
                chunk = self.layout.decode(content)
                corner = [i * size for i, size in zip(index, self.layout.chunks, strict=True)]
                of_chunk, of_values = [], []
                for part, first, size in zip(wanted, corner, self.layout.chunks, strict=True):
                    start, stop = max(part.start, first), min(part.stop, first + size)
                    of_chunk.append(slice(start - first, stop - first))
                    of_values.append(slice(start - part.start, stop - part.start))
                values[tuple(of_values)] = chunk[tuple(of_chunk)]
        return values

    def _contents(self, indices: Sequence[Index]) -> Iterator[tuple[Index, bytes]]:
        """The bytes of chunks. Raises `InputError` for one that is missing, unless these hold the fill value."""
        found = self._in_shards(indices) if self.layout.shards else self._in_files(indices)
        for index, content in zip(indices, found, strict=True):
            if content is not None:
                yield index, content
            elif not self.lenient:
                raise InputError(
                    f"{self.name} lacks chunk {self._key(index)}: copy the tomogram again, or, if missing chunks are "
                    "meant to be zero, give `missing_chunks=zero`."
                )

    def _in_files(self, indices: Sequence[Index]) -> list[bytes | None]:
        """The bytes of files of chunks: by the other separator, where they are not there by the one that is said."""
        found = dict(zip(indices, self.files.parts([Part(self._key(i)) for i in indices]), strict=True))
        if lost := [index for index, content in found.items() if content is None]:
            (other,) = {*SEPARATORS} - {self.layout.separator}
            found |= zip(lost, self.files.parts([Part(self._key(i, separator=other)) for i in lost]), strict=True)
        return [found[index] for index in indices]

    def _in_shards(self, indices: Sequence[Index]) -> list[bytes | None]:
        """The bytes of chunks in shards: the index of each shard is read first."""
        shards = self.layout.shards
        assert shards is not None
        grid = shards.grid
        homes = [tuple(i // n for i, n in zip(index, grid, strict=True)) for index in indices]
        at = (0, shards.index_bytes) if shards.first else (-shards.index_bytes, None)
        names = {home: self._key(home) for home in homes}
        read = self.files.parts([Part(name, *at) for name in names.values()])
        found = {home: None if c is None else shards.index(c) for home, c in zip(names, read, strict=True)}
        parts: dict[Index, Part] = {}
        for index, home in zip(indices, homes, strict=True):
            if (table := found[home]) is not None:
                start, length = table[tuple(i % n for i, n in zip(index, grid, strict=True))].tolist()
                if start != MISSING:
                    parts[index] = Part(names[home], start, start + length)
        contents = dict(zip(parts, self.files.parts([*parts.values()]), strict=True)) if parts else {}
        return [contents.get(index) for index in indices]

    def _key(self, index: Index, *, separator: str | None = None) -> str:
        key = self.layout.key(index, separator=separator)
        return f"{self.path}/{key}" if self.path else key

    @property
    def has_chunks(self) -> bool:
        """Whether there is a file of a chunk at all."""
        number = r"\d+[./]" * (len(self.layout.shape) - 1) + r"\d+"
        prefix = "".join(f"{part}[./]" for part in self.layout.prefix)
        pattern = re.compile(re.escape(f"{self.path}/" if self.path else "") + prefix + number)
        return any(map(pattern.fullmatch, self.files.names(self.path)))
