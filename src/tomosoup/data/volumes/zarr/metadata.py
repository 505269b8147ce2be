"""What the metadata of a Zarr array say, in format 2 (`.zarray`) and in format 3 (`zarr.json`).

Sources: "Zarr storage specification version 2" and "Zarr core specification version 3" (zarr-specs.readthedocs.io).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Gt, MinLen
from pydantic import BaseModel, Field, ValidationError, model_validator

from tomosoup.core.config import first_problem
from tomosoup.core.errors import InputError, first_line
from tomosoup.data.volumes.zarr.codecs import Codec, Decode, Shards, decoder_of_2, decoder_of_3, refused

MOST_BYTES, MOST_CHUNKS = 2**31, 10**7
"""Of a chunk, which is unpacked whole, and of an array."""
Sizes = Annotated[tuple[Annotated[int, Gt(0)], ...], MinLen(1)]
Shape = tuple[Annotated[int, Ge(0)], ...]


@dataclass(frozen=True)
class Layout:
    """An array: how large it is, how its chunks are called and unpacked."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunks: tuple[int, ...]
    """Of what is unpacked at once."""
    decode: Decode
    fill: float
    """What missing chunks hold."""
    prefix: tuple[str, ...]
    """What the keys of chunks begin with."""
    separator: str
    shards: Shards | None = None

    def key(self, index: tuple[int, ...], *, separator: str | None = None) -> str:
        """What a chunk, or a shard, is called."""
        return (separator or self.separator).join((*self.prefix, *map(str, index)))


class Metadata2(BaseModel):
    """`.zarray`."""

    zarr_format: Literal[2] = 2
    shape: Shape
    chunks: Sizes
    dtype: str
    compressor: dict[str, Any] | None = None
    filters: list[dict[str, Any]] | None = None
    order: Literal["C", "F"] = "C"
    fill_value: Any = None
    dimension_separator: Literal[".", "/"] = "."

    def layout(self, *, name: str) -> Layout:
        """The array."""
        dtype = number_type(self.dtype, name=name)
        packing = [*(self.filters or ()), *([self.compressor] if self.compressor else [])]
        decode = decoder_of_2(packing, dtype=dtype, chunks=self.chunks, order=self.order, name=name)
        return Layout(self.shape, dtype, self.chunks, decode, finite(self.fill_value), (), self.dimension_separator)


class Named(BaseModel):
    """A part of `zarr.json` that is named and has options; the name alone may stand for it."""

    name: str
    configuration: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, given: Any) -> Any:
        return {"name": given} if isinstance(given, str) else given


class Grid3(BaseModel):
    """The options of a regular grid of chunks, or of the chunks of a shard."""

    chunk_shape: Sizes


class Keys3(BaseModel):
    """The options of how chunks are called."""

    separator: Literal[".", "/"] | None = None


class Sharding3(Grid3):
    """The options of shards."""

    codecs: list[Named]
    index_codecs: list[Named]
    index_location: Literal["start", "end"] = "end"


class Metadata3(BaseModel):
    """`zarr.json` of an array."""

    zarr_format: Literal[3]
    node_type: Literal["array"]
    shape: Shape
    data_type: str
    chunk_grid: Named
    chunk_key_encoding: Named
    codecs: Annotated[list[Named], MinLen(1)]
    fill_value: Any = None
    storage_transformers: Annotated[list[Any], Field(max_length=0)] = []

    def layout(self, *, name: str) -> Layout:
        """The array."""
        for part, known in ((self.chunk_grid, {"regular"}), (self.chunk_key_encoding, {"default", "v2"})):
            if part.name not in known:
                raise InputError(f"{name} has {part.name!r} in its zarr.json; expected {' or '.join(sorted(known))}.")
        dtype = number_type(self.data_type, name=name)
        stored = Grid3.model_validate(self.chunk_grid.configuration).chunk_shape
        usual = self.chunk_key_encoding.name == "default"
        separator = Keys3.model_validate(self.chunk_key_encoding.configuration).separator or ("/" if usual else ".")
        chunks, codecs, shards = stored, self.codecs, None
        if codecs[0].name == "sharding_indexed" and len(codecs) == 1:
            options = Sharding3.model_validate(codecs[0].configuration)
            chunks, codecs, shards = options.chunk_shape, options.codecs, _shards(options, stored, name=name)
        chain = [Codec(codec.name, codec.configuration) for codec in codecs]
        decode = decoder_of_3(chain, dtype=dtype, chunks=chunks, name=name)
        prefix = ("c",) if usual else ()
        return Layout(self.shape, dtype, chunks, decode, finite(self.fill_value), prefix, separator, shards)


def _shards(options: Sharding3, stored: tuple[int, ...], *, name: str) -> Shards:
    """How chunks lie in shards of `stored` voxels."""
    inner = options.chunk_shape
    if len(inner) != len(stored) or any(whole % part for whole, part in zip(stored, inner, strict=True)):
        raise InputError(f"{name} has shards of {stored} voxels and chunks of {inner}, which do not divide them.")
    first, *others = options.index_codecs or [Named(name="nothing")]
    if first.name != "bytes" or first.configuration.get("endian") != "little":
        raise refused([first.name], name=name)
    if strangers := [codec.name for codec in others if codec.name != "crc32c"]:
        raise refused(strangers, name=name)
    grid = tuple(whole // part for whole, part in zip(stored, inner, strict=True))
    return Shards(grid, bool(others), options.index_location == "start")


def number_type(said: str, *, name: str) -> np.dtype[Any]:
    """NumPy's type of the voxels. Raises `InputError` for one that is no real number."""
    try:
        dtype = np.dtype(said)
    except (TypeError, ValueError, SyntaxError):
        dtype = None
    if dtype is None or dtype.kind not in "iuf":
        raise InputError(f"{name} holds values of type {said if dtype is None else dtype}; expected real numbers.")
    return dtype


def finite(value: Any) -> float:
    """A fill value, or 0 where none is said or it is not finite."""
    return value if isinstance(value, int | float) and math.isfinite(value) else 0.0


def read_json(content: bytes, *, name: str) -> dict[str, Any]:
    """An object of JSON. Raises `InputError` where it is none."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"The metadata of {name} cannot be read as JSON ({first_line(error)}).") from error
    if not isinstance(found, dict):
        raise InputError(f"The metadata of {name} are no table; expected those of an OME-Zarr tomogram.")
    return found


def read_layout(content: bytes, *, version: Literal[2, 3], name: str) -> Layout:
    """The array that the bytes of `.zarray` or of the `zarr.json` of an array describe.

    Raises `InputError` where they are not valid, and where reading the array would run code, or take memory that no
    tomogram needs.
    """
    model: type[Metadata2 | Metadata3] = Metadata2 if version == 2 else Metadata3
    try:
        layout = model.model_validate(read_json(content, name=name)).layout(name=name)
    except ValidationError as error:
        raise InputError(f"{name} has metadata that are not valid: {first_problem(error)}.") from error
    if len(layout.chunks) != len(layout.shape):
        raise InputError(f"{name} has chunks of {layout.chunks} voxels, and an array of shape {layout.shape}.")
    number = math.prod(-(-n // size) for n, size in zip(layout.shape, layout.chunks, strict=True))
    if math.prod(layout.chunks) * layout.dtype.itemsize > MOST_BYTES or number > MOST_CHUNKS:
        raise InputError(
            f"{name} claims {number} chunks of {layout.chunks} voxels; expected at most {MOST_CHUNKS} of 2 GiB: check "
            "its metadata, or write it with chunks of about 128 voxels."
        )
    return layout
