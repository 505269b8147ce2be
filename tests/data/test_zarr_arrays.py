"""Zarr arrays of formats 2 and 3 as other programs write them: separators, axes, codecs, shards."""

import json
import struct
from collections.abc import Callable
from itertools import product
from typing import Any

import numcodecs
import numpy as np
import pytest

from tomosoup.core.errors import InputError
from tomosoup.data.volumes.omezarr import open_omezarr
from tomosoup.data.volumes.zarr.codecs import checked_by_crc32c

VALUES = np.arange(5 * 6 * 7, dtype=np.float32).reshape(5, 6, 7) + 1
CHUNKS = (2, 3, 4)
Store = dict[str, bytes]
Size = tuple[int, ...]


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


def chunks(values: np.ndarray, size: Size) -> dict[Size, np.ndarray]:
    """The chunks of an array by index, filled up with zeros."""
    found = {}
    for index in product(*(range(-(-n // s)) for n, s in zip(values.shape, size, strict=True))):
        part = values[tuple(slice(i * s, (i + 1) * s) for i, s in zip(index, size, strict=True))]
        found[index] = np.zeros(size, values.dtype)
        found[index][tuple(map(slice, part.shape))] = part
    return found


def scales(axes: Any = "zyx", *, path: str = "0", scale: Any = None, unit: str = "angstrom", **more: Any) -> Any:
    named = [{"name": a, "type": "space", "unit": unit} if a in "zyx" else {"name": a} for a in axes]
    steps = [{"type": "scale", "scale": scale or [10.0 if a in "zyx" else 1.0 for a in axes]}]
    return {"multiscales": [{"axes": named, "datasets": [{"path": path, "coordinateTransformations": steps}], **more}]}


def version_2(
    values: np.ndarray,
    about: Any = None,
    *,
    size: Size = CHUNKS,
    separator: str = ".",
    path: str = "0",
    encode: Callable[[np.ndarray], bytes] = np.ndarray.tobytes,
    **said: Any,
) -> Store:
    """A store of format 2; `encode` gives the bytes of a chunk, `said` is what its metadata say of it."""
    metadata = {"zarr_format": 2, "shape": values.shape, "chunks": size, "dtype": values.dtype.str, "order": "C"}
    metadata |= {"compressor": None, "filters": None, "fill_value": 0} | said
    store = {".zattrs": as_json(about or scales(path=path)), f"{path}/.zarray": as_json(metadata)}
    parts = chunks(values, size).items()
    return store | {f"{path}/{separator.join(map(str, index))}": encode(chunk) for index, chunk in parts}


BYTES = {"name": "bytes", "configuration": {"endian": "little"}}


def version_3(
    values: np.ndarray,
    *codecs: Any,
    encode: Callable[[np.ndarray], bytes] = np.ndarray.tobytes,
    size: Size = CHUNKS,
    keys: Any = "default",
    **said: Any,
) -> Store:
    """The same of format 3."""
    metadata = {"zarr_format": 3, "node_type": "array", "shape": values.shape, "data_type": values.dtype.name}
    metadata |= {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": size}}, "fill_value": 0.0}
    metadata |= {"chunk_key_encoding": {"name": keys}, "codecs": codecs or [BYTES]} | said
    group = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": {"version": "0.5", **scales()}}}
    called = "0/c/{}/{}/{}" if keys == "default" else "0/{}.{}.{}"
    parts = {called.format(*index): encode(chunk) for index, chunk in chunks(values, size).items()}
    return {"zarr.json": as_json(group), "0/zarr.json": as_json(metadata), **parts}


def read(store: Any, **options: Any) -> np.ndarray:
    voxels: np.ndarray = open_omezarr(store, name="r/wbp", **options)[0][:]
    return voxels


@pytest.mark.parametrize("separator", [".", "/"])
@pytest.mark.parametrize("said", [{}, {"dimension_separator": "."}, {"dimension_separator": "/"}])
def test_chunks_are_found_by_either_separator_whatever_is_said(separator: str, said: dict[str, str]) -> None:
    np.testing.assert_array_equal(read(version_2(VALUES, separator=separator, **said)), VALUES)


@pytest.mark.parametrize("region", [np.s_[1:4, 2:5, 3:7], np.s_[2:3], np.s_[:, -2:, :0], np.s_[4:9, :, 1:2]])
def test_a_region_is_cut_as_numpy_cuts_it(region: Any) -> None:
    array, _ = open_omezarr(version_2(VALUES), name="r/wbp")
    np.testing.assert_array_equal(array[region], VALUES[region])
    np.testing.assert_array_equal(np.asarray(array), VALUES)
    assert (array.shape, array.chunks, array.dtype) == (VALUES.shape, CHUNKS, VALUES.dtype)


@pytest.mark.parametrize("axes", ["zyx", "xyz", "yzx", "czyx", "xyzc", "tczyx", "zcyx"])
def test_axes_are_brought_into_the_order_z_y_x_and_single_channels_are_dropped(axes: str) -> None:
    stored = VALUES.transpose(["zyx".index(a) for a in axes if a in "zyx"])
    stored = np.expand_dims(stored, [i for i, a in enumerate(axes) if a not in "zyx"])
    size = tuple(dict(zip("zyx", CHUNKS, strict=True)).get(a, 1) for a in axes)
    step = {"z": 1.0, "y": 1.002, "x": 1.004}
    about = scales(axes, scale=[step.get(a, 1.0) for a in axes], unit="nanometer")
    array, voxel_size = open_omezarr(version_2(stored, about, size=size), name="r/wbp")
    np.testing.assert_array_equal(array[:], VALUES)
    np.testing.assert_array_equal(array[1:4, 2:5, 3:], VALUES[1:4, 2:5, 3:])
    assert array.chunks == CHUNKS
    assert voxel_size == pytest.approx(10.02)


@pytest.mark.parametrize(
    ("axes", "shape", "said"),
    [
        ("czyx", (3, 5, 6, 7), "3 volumes along the axis c"),
        ("abc", (5, 6, 7), "axes a, b, c; expected a volume of z, y and x"),
        ("zyy", (5, 6, 7), "axes z, y, y; expected"),
    ],
)
def test_axes_that_are_no_volume_are_refused(axes: str, shape: Size, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(version_2(np.ones(shape, np.float32), scales(axes), size=shape))


@pytest.mark.parametrize("path", ["s0", "volumes/full"])
def test_the_array_is_the_one_that_the_metadata_name(path: str) -> None:
    np.testing.assert_array_equal(read(version_2(VALUES, path=path)), VALUES)
    store = version_2(VALUES, path=path)
    del store[f"{path}/.zarray"]
    with pytest.raises(InputError, match=f"with an array '{path}'"):
        read(store)


def test_axes_may_be_a_list_of_names_and_the_scale_of_all_arrays_counts() -> None:
    about = scales(coordinateTransformations=[{"type": "scale", "scale": [2.0, 2.0, 2.0]}])
    assert open_omezarr(version_2(VALUES, about), name="r/wbp")[1] == 20.0
    about["multiscales"][0]["axes"] = [*"xyz"]
    array, voxel_size = open_omezarr(version_2(VALUES, about), name="r/wbp")
    assert (array.shape, voxel_size) == (VALUES.shape[::-1], 0.0)


@pytest.mark.parametrize("codec", [numcodecs.Blosc(), numcodecs.Zlib(), numcodecs.LZ4(), None], ids=str)
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<i2", ">u2", "|i1", "<f2"])
def test_format_2_is_read_with_filters_orders_and_types(codec: Any, dtype: str) -> None:
    values = VALUES.astype(dtype)
    shuffle = numcodecs.Shuffle(values.itemsize)

    def encode(chunk: np.ndarray) -> bytes:
        plain = bytes(shuffle.encode(np.frombuffer(chunk.tobytes("F"), np.uint8)))
        return plain if codec is None else bytes(codec.encode(plain))

    compressor = codec and codec.get_config()
    store = version_2(values, encode=encode, order="F", filters=[shuffle.get_config()], compressor=compressor)
    np.testing.assert_array_equal(read(store), values)


PACKED = [
    ("zstd", {"level": 0, "checksum": False}, numcodecs.Zstd().encode),
    ("gzip", {"level": 5}, numcodecs.GZip().encode),
    (
        "blosc",
        {"cname": "lz4", "clevel": 5, "shuffle": "shuffle", "typesize": 4, "blocksize": 0},
        numcodecs.Blosc().encode,
    ),
    ("numcodecs.zlib", {"level": 1}, numcodecs.Zlib().encode),
]


@pytest.mark.parametrize(("name", "options", "pack"), PACKED)
@pytest.mark.parametrize("keys", ["default", "v2"])
def test_format_3_is_read_with_each_packing_and_naming(name: str, options: Any, pack: Any, keys: str) -> None:
    codec = {"name": name, "configuration": options}
    store = version_3(VALUES, BYTES, codec, encode=lambda chunk: bytes(pack(chunk.tobytes())), keys=keys)
    np.testing.assert_array_equal(read(store), VALUES)


def test_format_3_is_read_transposed_and_with_the_other_byte_order() -> None:
    codecs = [
        {"name": "transpose", "configuration": {"order": [1, 2, 0]}},
        {"name": "bytes", "configuration": {"endian": "big"}},
    ]
    store = version_3(VALUES, *codecs, encode=lambda chunk: chunk.transpose(1, 2, 0).astype(">f4").tobytes())
    np.testing.assert_array_equal(read(store), VALUES)


def crc32c(content: bytes) -> bytes:
    """Bit by bit, with the checksum behind it."""
    found = 0xFFFFFFFF
    for byte in content:
        found ^= byte
        for _ in range(8):
            found = found >> 1 ^ (0x82F63B78 * (found & 1))
    return content + struct.pack("<I", found ^ 0xFFFFFFFF)


def test_checksums_are_checked() -> None:
    assert crc32c(b"123456789")[-4:] == struct.pack("<I", 0xE3069283)  # the check value of CRC-32C
    assert checked_by_crc32c(crc32c(b"123456789")) == b"123456789"
    with pytest.raises(ValueError, match="checksum"):
        checked_by_crc32c(b"x" + crc32c(b"123456789")[1:])


def sharded(place: str, *, lost: Size | None = None) -> Store:
    """Chunks of (1, 3, 2) in shards of `CHUNKS`."""
    inner = (1, 3, 2)

    def encode(shard: np.ndarray) -> bytes:
        content, index = b"", []
        begin = 4 * 16 + 4 if place == "start" else 0
        for at, chunk in chunks(shard, inner).items():
            packed = bytes(numcodecs.Zstd().encode(chunk.tobytes()))
            index += [2**64 - 1] * 2 if at == lost else [begin + len(content), len(packed)]
            content += b"" if at == lost else packed
        table = crc32c(struct.pack("<8Q", *index))
        return table + content if place == "start" else content + table

    codecs = [BYTES, {"name": "zstd", "configuration": {}}]
    options = {"chunk_shape": inner, "codecs": codecs, "index_codecs": [BYTES, "crc32c"], "index_location": place}
    return version_3(VALUES, {"name": "sharding_indexed", "configuration": options}, encode=encode)


@pytest.mark.parametrize("place", ["start", "end"])
def test_shards_are_read_chunk_by_chunk(place: str) -> None:
    array, voxel_size = open_omezarr(sharded(place), name="r/wbp")
    assert (array.chunks, voxel_size) == ((1, 3, 2), 10.0)
    np.testing.assert_array_equal(array[:], VALUES)
    np.testing.assert_array_equal(array[1:3, 2:4, 3:], VALUES[1:3, 2:4, 3:])
    store = sharded(place, lost=(1, 0, 1))
    with pytest.raises(InputError, match=r"lacks chunk 0/c/1/0/1"):
        read(store)
    zeros = read(store, lenient=True)
    assert (zeros[1, :, 2:4] == 0).all()
    np.testing.assert_array_equal(zeros[::2], VALUES[::2])


def test_missing_chunks_that_may_be_missing_hold_the_fill_value_but_not_all_may_be_missing() -> None:
    store = version_2(VALUES, fill_value=5)
    del store["0/1.0.1"]
    assert (read(store, lenient=True)[2:4, :3, 4:] == 5).all()
    for key in [key for key in store if key[-1].isdigit()]:
        del store[key]
    with pytest.raises(InputError, match="not one chunk of voxels in 0"):
        read(store, lenient=True)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"chunks": [float("nan"), 3, 4]}, "chunks.0: expected a finite number, got nan"),
        ({"shape": [5, -6, 7]}, "shape.1: expected 0 or more, got -6"),
        ({"chunks": [2, 3]}, "chunks of .2, 3. voxels, and an array of shape"),
        ({"dimension_separator": "-"}, "dimension_separator: expected one of"),
        ({"dtype": [["a", "<f4"]]}, "dtype: expected text"),
        ({"dtype": "what"}, "values of type what"),
        ({"compressor": {"id": "blosc", "speed": 9}}, "packed in a way that cannot be opened"),
        ({"compressor": {"id": "jpeg2k"}}, "packed by jpeg2k"),
    ],
)
def test_metadata_of_format_2_are_valid_as_a_whole_or_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        open_omezarr(version_2(VALUES, **changed), name="r/wbp")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"chunk_grid": {"name": "rectilinear", "configuration": {}}},
            "'rectilinear' in its zarr.json; expected regular",
        ),
        ({"codecs": ["vlen-utf8"]}, "packed by vlen-utf8"),
        ({"codecs": [BYTES, "numcodecs.pickle"]}, "packed by numcodecs.pickle"),
        ({"codecs": []}, "codecs: expected 1 or more values"),
        ({"data_type": "complex64"}, "values of type complex64"),
        ({"data_type": "bfloat16"}, "values of type bfloat16"),
        ({"storage_transformers": ["x"]}, "storage_transformers"),
        ({"node_type": "group"}, "node_type: expected one of array"),
        ({"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [0, 1, 1]}}}, "more than 0, got 0"),
    ],
)
def test_metadata_of_format_3_are_valid_as_a_whole_or_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        open_omezarr(version_3(VALUES, **changed), name="r/wbp")
