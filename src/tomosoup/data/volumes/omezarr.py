"""OME-Zarr volumes, read chunk by chunk."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import zarr
from zarr.storage import FSStore, KVStore

from tomosoup.core.errors import InputError, first_line
from tomosoup.data.copick.remote import StorageErrors
from tomosoup.data.volumes.voxel_size import cube

ANGSTROM = {"angstrom": 1.0, "nanometer": 10.0, "micrometer": 1e4}
"""Å in the units of length that OME-Zarr files name."""


CODECS = {
    *("blosc", "zstd", "zlib", "gzip", "bz2", "lz4", "lzma"),
    *("delta", "shuffle", "fixedscaleoffset", "quantize", "bitround", "astype", "crc32", "adler32", "fletcher32"),
}
"""What chunks may be packed by: numbers in, numbers out. Others (pickle) run code of a file's choosing."""
MOST_BYTES, MOST_CHUNKS = 2**31, 10**7
"""Of a chunk, which is unpacked whole, and of an array."""


class Strict(KVStore):  # type: ignore[misc]
    """A store whose missing chunks are an error, where Zarr would read zeros."""

    def __init__(self, store: Any, *, name: str) -> None:
        super().__init__(store)
        self.name = name

    def getitems(self, keys: Sequence[str], *, contexts: Mapping[str, Any]) -> Mapping[str, Any]:
        """Chunks by key."""
        found: Mapping[str, Any] = self._mutable_mapping.getitems(keys, contexts=contexts)
        if missing := [key for key in keys if key not in found]:
            raise InputError(
                f"{self.name} lacks chunk {missing[0]}: copy the tomogram again, or, if missing chunks are meant to be "
                "zero, give `missing_chunks=zero`."
            )
        return found


def open_omezarr(store: Any, *, name: str, lenient: bool = False, voxel_size: float | None = None) -> tuple[Any, float]:
    """The full-resolution `(z, y, x)` array, unread, and its voxel size in Å: `voxel_size`, or the metadata's (or 0).

    Chunks that are missing are an error where they are read; with `lenient` they are zeros, as Zarr has it. Raises
    `InputError` for a store that is not a group with an array "0", or whose array is not a volume.
    """
    if isinstance(store, FSStore):
        store.exceptions = (KeyError, FileNotFoundError)  # else what could not be read counts as missing, too
    try:
        with StorageErrors(f"Tomogram {name}"):
            group = zarr.open(store if lenient else Strict(store, name=name), mode="r")
            array = group["0"]
            if isinstance(array, zarr.Group):
                raise TypeError("'0' is a group")
    except InputError:
        raise
    except Exception as error:  # zarr and each codec have their own
        raise InputError(
            f"{name} is not an OME-Zarr volume with an array '0' ({first_line(error)}); check the folder."
        ) from error
    check_metadata(array, name=name)
    if array.ndim != 3 or math.prod(array.shape) == 0 or 1 in array.shape:
        raise InputError(f"{name} holds an array of shape {array.shape}; expected a volume of (z, y, x) voxels.")
    if voxel_size:
        return array, voxel_size
    try:
        scales = group.attrs["multiscales"][0]
        unit = ANGSTROM[scales["axes"][-1].get("unit", "angstrom")]
        transforms = scales["datasets"][0]["coordinateTransformations"]
        sizes = [float(s) * unit for s in next(t["scale"] for t in transforms if t["type"] == "scale")[-3:]]
    except (KeyError, IndexError, StopIteration, TypeError, ValueError, AttributeError):
        return array, 0.0
    return array, cube(sizes, name=name) if len(sizes) == 3 else 0.0


def check_metadata(array: Any, *, name: str) -> None:
    """Raises `InputError` where reading an array would run code, or take memory that no tomogram needs."""
    if array.dtype.kind not in "iuf":
        raise InputError(f"{name} holds values of type {array.dtype}; expected numbers.")
    codecs = [codec.codec_id for codec in (array.compressor, *(array.filters or ())) if codec is not None]
    if strangers := sorted(set(codecs) - CODECS):
        raise InputError(
            f"{name} is packed by {', '.join(strangers)}, which is not opened: write it with blosc or zstd."
        )
    if math.prod(array.chunks) * array.dtype.itemsize > MOST_BYTES or array.nchunks > MOST_CHUNKS:
        raise InputError(
            f"{name} claims {array.nchunks} chunks of {array.chunks} voxels; expected at most {MOST_CHUNKS} of 2 GiB: "
            "check its .zarray, or write it with chunks of about 128 voxels."
        )
