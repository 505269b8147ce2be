"""MRC headers are looked at before a file is trusted."""

import struct
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from tomosoup.core.errors import InputError
from tomosoup.data.volumes.mrc import byte_order, check_size, open_mrc, read_mrc

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
    volume = read_mrc(file)
    np.testing.assert_array_equal(volume.data.numpy(), VALUES)
    assert volume.voxel_size == 7.5


def test_the_callers_voxel_size_goes_before_the_headers(file: Path) -> None:
    assert open_mrc(file, voxel_size=9.0)[1] == 9.0


def test_a_volume_is_opened_without_being_read(file: Path) -> None:
    data, _ = open_mrc(file)
    assert isinstance(data, np.memmap)


def test_what_is_read_whole_is_no_view_of_the_file(file: Path) -> None:
    volume = read_mrc(file)
    volume.data.add_(1)
    np.testing.assert_array_equal(read_mrc(file).data.numpy(), VALUES)


def test_another_machines_byte_order_is_read(tmp_path: Path) -> None:
    with mrcfile.new(tmp_path / "big.mrc", VALUES.astype(">f4")) as written:
        written.voxel_size = 7.5
    content = (tmp_path / "big.mrc").read_bytes()
    assert byte_order(content) == ">"
    np.testing.assert_array_equal(read_mrc(tmp_path / "big.mrc").data.numpy(), VALUES)


def test_an_extended_header_is_skipped(tmp_path: Path) -> None:
    with mrcfile.new(tmp_path / "e.mrc", VALUES) as written:
        written.voxel_size = 7.5
        written.set_extended_header(np.zeros(256, dtype="V1"))
    assert check_size(tmp_path / "e.mrc")[92:96] == struct.pack("<i", 256)
    np.testing.assert_array_equal(read_mrc(tmp_path / "e.mrc").data.numpy(), VALUES)


def test_a_header_without_a_voxel_size_is_an_error_only_where_nobody_gives_one(file: Path) -> None:
    changed(file, 40, 0.0, 0.0, 0.0, form="f")
    assert open_mrc(file)[1] == 0
    assert open_mrc(file, voxel_size=9.0)[1] == 9.0
    with pytest.raises(InputError, match="does not say how large its voxels are"):
        read_mrc(file)


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


def test_half_a_byte_a_voxel_is_the_least_that_a_file_may_hold(tmp_path: Path) -> None:
    header = bytearray(1024)
    struct.pack_into("<3i", header, 0, 10, 10, 10)
    (tmp_path / "t.mrc").write_bytes(bytes(header) + bytes(500))
    assert check_size(tmp_path / "t.mrc") == bytes(header)
    (tmp_path / "t.mrc").write_bytes(bytes(header) + bytes(499))
    with pytest.raises(ValueError, match="more than the file holds"):
        check_size(tmp_path / "t.mrc")


@pytest.mark.parametrize("shape", [(3, 4), (1, 3, 4), (2, 1, 4), (2, 3, 1)])
def test_an_image_is_no_volume_whichever_axis_is_single(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with mrcfile.new(tmp_path / "t.mrc", np.zeros(shape, dtype=np.float32)) as written:
        written.voxel_size = 7.5
    with pytest.raises(InputError, match=r"expected a volume of \(z, y, x\) voxels"):
        open_mrc(tmp_path / "t.mrc")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.mrc cannot be read as an MRC volume"):
        open_mrc(tmp_path / "gone.mrc")
