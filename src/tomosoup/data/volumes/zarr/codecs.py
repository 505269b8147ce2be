"""How the bytes of a Zarr chunk become numbers: codecs that turn numbers into numbers, and none that runs code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numcodecs
import numpy as np
from numpy.typing import NDArray

from tomosoup.core.errors import InputError, first_line

Decode = Callable[[bytes], NDArray[Any]]
"""The bytes of a chunk -> the chunk."""
CODECS = {
    *("blosc", "zstd", "zlib", "gzip", "bz2", "lz4", "lzma"),
    *("delta", "shuffle", "fixedscaleoffset", "quantize", "bitround", "astype", "crc32", "adler32", "fletcher32"),
}
"""What chunks may be packed by in format 2. Others (pickle) run code of a file's choosing."""
PACKERS = ("blosc", "zstd", "gzip", "zlib", "bz2", "lz4", "lzma")
"""Those of format 3, where zarr-python calls some numcodecs.NAME."""
MISSING = 2**64 - 1
"""The offset of a chunk that a shard lacks."""


def refused(names: Sequence[str], *, name: str) -> InputError:
    """The sentence on codecs that are not opened."""
    return InputError(
        f"{name} is packed by {', '.join(sorted(names))}, which is not opened: write it with blosc or zstd."
    )


def decoder_of_2(
    packing: Sequence[Mapping[str, Any]], *, dtype: np.dtype[Any], chunks: tuple[int, ...], order: Any, name: str
) -> Decode:
    """The decoder of format 2; `packing` are its filters and then its compressor, as they were applied."""
    if strangers := {str(codec.get("id")) for codec in packing} - CODECS:
        raise refused([*strangers], name=name)
    try:
        codecs = [numcodecs.get_codec(dict(codec)) for codec in packing]
    except Exception as error:  # each codec has its own
        raise InputError(f"{name} is packed in a way that cannot be opened ({first_line(error)}).") from error

    def decode(content: bytes) -> NDArray[Any]:
        data: Any = content
        for codec in reversed(codecs):
            data = codec.decode(data)
        values: NDArray[Any] = numcodecs.compat.ensure_ndarray(data).reshape(-1, order="A").view(dtype)
        return values.reshape(chunks, order=order)

    return decode


@dataclass(frozen=True)
class Codec:
    """A codec of format 3, as its metadata name it."""

    name: str
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Shards:
    """How chunks lie together in one stored object: an index says where each begins and how long it is."""

    grid: tuple[int, ...]
    """Chunks in a shard, along each axis."""
    checked: bool
    """Whether a checksum follows the index."""
    first: bool
    """Whether the index comes before the chunks; else it is at the end."""

    @property
    def index_bytes(self) -> int:
        """Of the index."""
        return 16 * prod(self.grid) + 4 * self.checked

    def index(self, content: bytes) -> NDArray[np.uint64]:
        """The index `(*grid, 2)`: offset and length in bytes; the offset is `MISSING` for a chunk that is not there."""
        plain = checked_by_crc32c(content) if self.checked else content
        return np.frombuffer(plain, "<u8").reshape(*self.grid, 2)


def decoder_of_3(codecs: Sequence[Codec], *, dtype: np.dtype[Any], chunks: tuple[int, ...], name: str) -> Decode:
    """The decoder of chunks of format 3 that are in no shard."""
    axes, shape = list(range(len(chunks))), chunks
    left = list(codecs)
    while left and left[0].name == "transpose":
        order = left.pop(0).options.get("order")
        if not isinstance(order, list) or sorted(order) != list(range(len(chunks))):
            raise InputError(f"{name} has chunks transposed by {order!r}; expected an order of its axes.")
        axes, shape = [axes[i] for i in order], tuple(shape[i] for i in order)
    if not left or left[0].name != "bytes":
        raise refused([left[0].name if left else "nothing"], name=name)
    stored = dtype.newbyteorder("<" if left[0].options.get("endian", "little") == "little" else ">")
    unpack = [_unpacker(codec.name, name=name) for codec in left[1:]]

    def decode(content: bytes) -> NDArray[Any]:
        data: Any = content
        for step in reversed(unpack):
            data = step(data)
        return np.frombuffer(data, stored).reshape(shape).transpose(np.argsort(axes))

    return decode


def _unpacker(codec: str, *, name: str) -> Callable[[Any], Any]:
    plain = codec.removeprefix("numcodecs.")
    if plain == "crc32c":
        return checked_by_crc32c
    if plain not in PACKERS:
        raise refused([codec], name=name)
    return numcodecs.get_codec({"id": plain}).decode  # type: ignore[no-any-return]


def _crc32c_table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


CRC32C = _crc32c_table()
"""Of the polynomial of Castagnoli (RFC 3720, appendix B.4), reflected."""


def checked_by_crc32c(content: bytes) -> bytes:
    """The content without the checksum at its end. Raises `ValueError` where that is another's."""
    plain, checksum = bytes(content)[:-4], bytes(content)[-4:]
    found = 0xFFFFFFFF
    for byte in plain:
        found = found >> 8 ^ CRC32C[(found ^ byte) & 255]
    if (found ^ 0xFFFFFFFF).to_bytes(4, "little") != checksum:
        raise ValueError("a chunk or an index does not fit its checksum")
    return plain
