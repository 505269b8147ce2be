"""MRC headers are looked at before a file is trusted."""

import bz2
import gzip
import os
import struct
from itertools import permutations
from pathlib import Path

import gemmi
import mrcfile
import numpy as np
import pytest

from tomosoup.core.errors import InputError
from tomosoup.data.volumes.files import read_volume
from tomosoup.data.volumes.mrc import open_mrc
from tomosoup.data.volumes.mrc_header import mrc_remarks, read_header

VALUES = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with mrcfile.new(tmp_path / "t.mrc", VALUES) as written:
        written.voxel_size = 7.5
    return tmp_path / "t.mrc"


def changed(file: Path, at: int, *words: int, form: str = "i") -> Path:
    content = bytearray(file.read_bytes())
    struct.pack_into(f"<{len(words)}{form}", content, at, *words)
    file.write_bytes(bytes(content))
    return file


def test_voxels_and_their_size_are_read_as_written(file: Path) -> None:
    volume = read_volume(file)
    np.testing.assert_array_equal(volume.data.numpy(), VALUES)
    assert volume.voxel_size == 7.5


def test_the_callers_voxel_size_goes_before_the_headers(file: Path) -> None:
    assert open_mrc(file, voxel_size=9.0)[1] == 9.0


def test_a_volume_is_opened_without_being_read(file: Path) -> None:
    data, _ = open_mrc(file)
    assert isinstance(data, np.memmap)


def test_what_is_read_whole_is_no_view_of_the_file(file: Path) -> None:
    volume = read_volume(file)
    volume.data.add_(1)
    np.testing.assert_array_equal(read_volume(file).data.numpy(), VALUES)


def stored(
    path: Path, axes: tuple[int, ...] = (1, 2, 3), order: str = "<", stamp: bytes | None = None, mode: int = 2
) -> Path:
    """`VALUES` in a file whose columns, rows and sections are `axes` (1 x, 2 y, 3 z), written by hand."""
    columns, rows, sections = axes
    values = VALUES.transpose(3 - sections, 3 - rows, 3 - columns).astype(order + {2: "f4", 1: "i2", 0: "i1"}[mode])
    header = bytearray(1024)
    struct.pack_into(order + "10i", header, 0, *values.shape[::-1], mode, 0, 0, 0, 4, 3, 2)
    struct.pack_into(order + "3f", header, 40, 30.0, 22.5, 15.0)
    struct.pack_into(order + "3i", header, 64, *axes)
    header[208:216] = b"MAP " + (stamp if stamp is not None else {"<": b"DD\0\0", ">": b"\x11\x11\0\0"}[order])
    content = bytes(header) + values.tobytes()
    packed = {".gz": gzip.compress, ".bz2": bz2.compress}.get(path.suffix.lower(), bytes)
    path.write_bytes(packed(content))
    return path


@pytest.mark.parametrize("axes", [*permutations((1, 2, 3))])
def test_the_axes_are_z_y_x_however_the_file_keeps_them(tmp_path: Path, axes: tuple[int, ...]) -> None:
    for order in "<>":
        for name in ("t.mrc", "t.mrc.gz", "t.MAP.BZ2"):
            data, size = open_mrc(stored(tmp_path / name, axes, order))
            np.testing.assert_array_equal(data, VALUES)
            assert size == 7.5
    independent = gemmi.read_ccp4_map(str(stored(tmp_path / "g.mrc", axes)))
    independent.setup(float("nan"))
    np.testing.assert_array_equal(independent.grid.array.T, VALUES)


def test_axes_that_are_not_named_are_in_the_usual_order_and_wrong_ones_are_refused(file: Path) -> None:
    np.testing.assert_array_equal(read_volume(changed(file, 64, 0, 0, 0)).data, VALUES)
    with pytest.raises(InputError, match=r"are the axes 1, 1, 3; expected 1.*MAPC"):
        open_mrc(changed(file, 64, 1, 1, 3))


@pytest.mark.parametrize("mode", [0, 1, 2])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("stamp", [bytes(4), b"DD\0\0", b"\x11\x11\0\0", b"\xff\0\0\0"])
def test_the_byte_order_is_the_one_in_which_the_header_makes_sense(
    tmp_path: Path, order: str, stamp: bytes, mode: int
) -> None:
    np.testing.assert_array_equal(
        read_volume(stored(tmp_path / "t.mrc", order=order, stamp=stamp, mode=mode)).data, VALUES
    )


def test_a_file_without_the_letters_map_is_read(file: Path) -> None:
    np.testing.assert_array_equal(read_volume(changed(file, 208, 0)).data, VALUES)


@pytest.mark.parametrize(("mode", "said"), [(3, "complex"), (4, "complex"), (16, "colours"), (5, "its mode is 5")])
def test_other_modes_are_refused_by_their_meaning(file: Path, mode: int, said: str) -> None:
    with pytest.raises(InputError, match=said):
        open_mrc(changed(file, 12, mode))


@pytest.mark.parametrize("columns", [4, 5])
def test_voxels_of_four_bits_are_read_and_each_row_begins_with_a_byte(file: Path, columns: int) -> None:
    changed(file, 0, columns, 3, 2, 101)
    rows = [[(7 * row + column) % 16 for column in range(columns)] for row in range(6)]
    pairs = (zip(row[::2], [*row[1::2], 0], strict=False) for row in rows)
    file.write_bytes(file.read_bytes()[:1024] + bytes(low | high << 4 for row in pairs for low, high in row))
    np.testing.assert_array_equal(open_mrc(file)[0], np.reshape(rows, (2, 3, columns)))


def test_a_packed_file_that_is_cut_or_holds_less_than_it_claims_is_refused(tmp_path: Path) -> None:
    content = stored(tmp_path / "t.mrc.gz").read_bytes()
    (tmp_path / "cut.mrc.gz").write_bytes(content[: len(content) // 2])
    (tmp_path / "short.mrc.gz").write_bytes(gzip.compress(gzip.decompress(content)[:-4]))
    (tmp_path / "none.mrc.gz").write_bytes(b"not packed")
    for name in ("cut", "short", "none"):
        with pytest.raises(InputError, match=rf"{name}\.mrc\.gz"):
            open_mrc(tmp_path / f"{name}.mrc.gz")


def test_a_stack_of_volumes_is_refused_and_one_volume_is_none(file: Path) -> None:
    changed(changed(file, 88, 401), 36, 1)
    with pytest.raises(InputError, match="a stack of 2 volumes"):
        open_mrc(file)
    np.testing.assert_array_equal(open_mrc(changed(file, 36, 2))[0], VALUES)


def test_bytes_after_the_voxels_are_remarked_and_not_read(file: Path) -> None:
    assert mrc_remarks(file) == ()
    file.write_bytes(file.read_bytes() + bytes(1000))
    np.testing.assert_array_equal(open_mrc(file)[0], VALUES)
    assert "1000 bytes follow its voxels" in mrc_remarks(file)[0]


def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.mrc")
    with pytest.raises(InputError, match="not a regular file"):
        open_mrc(tmp_path / "x.mrc")


def test_an_extended_header_is_skipped(tmp_path: Path) -> None:
    with mrcfile.new(tmp_path / "e.mrc", VALUES) as written:
        written.voxel_size = 7.5
        written.set_extended_header(np.zeros(256, dtype="V1"))
    assert read_header(tmp_path / "e.mrc").first == 1024 + 256
    np.testing.assert_array_equal(read_volume(tmp_path / "e.mrc").data.numpy(), VALUES)


def test_a_header_without_a_voxel_size_is_an_error_only_where_nobody_gives_one(file: Path) -> None:
    changed(file, 40, 0.0, 0.0, 0.0, form="f")
    assert open_mrc(file)[1] == 0
    assert open_mrc(file, voxel_size=9.0)[1] == 9.0
    with pytest.raises(InputError, match="does not say how large its voxels are"):
        read_volume(file)


@pytest.mark.parametrize("length", [0, 1023])
def test_a_file_shorter_than_a_header_is_refused_with_its_length(tmp_path: Path, length: int) -> None:
    (tmp_path / "t.mrc").write_bytes(bytes(length))
    with pytest.raises(InputError, match=f"has {length} bytes and should have 1024"):
        open_mrc(tmp_path / "t.mrc")


@pytest.mark.parametrize(
    ("at", "words"),
    [(0, (2000, 3000, 4000)), (0, (-4, 3, 2)), (92, (2**30,)), (92, (-1,))],
    ids=["size", "negative size", "extended header", "negative extended header"],
)
def test_a_header_that_claims_more_than_the_file_holds_is_refused(file: Path, at: int, words: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="more than the file holds"):
        open_mrc(changed(file, at, *words))


@pytest.mark.parametrize("shape", [(3, 4), (1, 3, 4), (2, 1, 4), (2, 3, 1)])
def test_an_image_is_no_volume_whichever_axis_is_single(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with mrcfile.new(tmp_path / "t.mrc", np.zeros(shape, dtype=np.float32)) as written:
        written.voxel_size = 7.5
    with pytest.raises(InputError, match=r"expected a volume of \(z, y, x\) voxels"):
        open_mrc(tmp_path / "t.mrc")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.mrc cannot be read as an MRC volume"):
        open_mrc(tmp_path / "gone.mrc")
