"""OME-Zarr volumes: units, scales, missing chunks, and what is not opened."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from numcodecs import Pickle
from zarr.storage import FSStore

from tomosoup.core.errors import InputError
from tomosoup.data.volumes.omezarr import open_omezarr
from tomosoup.data.volumes.zarr import metadata

VALUES = np.arange(4 * 6 * 8, dtype=np.float32).reshape(4, 6, 8) + 1


def volume(
    folder: Path, values: Any = VALUES, *, unit: str | None = "angstrom", scale: Any = (10.0, 10.0, 10.0)
) -> Path:
    group = zarr.open_group(str(folder), mode="w")
    group.create_dataset("0", data=values, chunks=(2, 3, 4))
    axis = {"type": "space"} | ({"unit": unit} if unit else {})
    group.attrs["multiscales"] = [
        {
            "axes": [{"name": name, **axis} for name in "zyx"],
            "datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": list(scale)}]}],
        }
    ]
    return folder


def opened(folder: Path, **options: Any) -> tuple[Any, float]:
    return open_omezarr(FSStore(str(folder), mode="r"), name="r/denoised", **options)


@pytest.mark.parametrize(
    ("unit", "scale", "size"), [("angstrom", 10.0, 10.0), ("nanometer", 1.0012, 10.012), ("micrometer", 0.001, 10.0)]
)
def test_a_voxel_is_as_large_in_every_unit(tmp_path: Path, unit: str, scale: float, size: float) -> None:
    assert opened(volume(tmp_path / "v", unit=unit, scale=(scale,) * 3))[1] == pytest.approx(size)


def test_without_a_unit_scales_are_in_angstrom(tmp_path: Path) -> None:
    assert opened(volume(tmp_path / "v", unit=None))[1] == 10.0


@pytest.mark.parametrize("unit", ["parsec", ""])
def test_a_unit_that_nobody_knows_leaves_the_size_unknown(tmp_path: Path, unit: str) -> None:
    folder = volume(tmp_path / "v", unit="angstrom")
    group = zarr.open_group(str(folder))
    scales = group.attrs["multiscales"]
    for axis in scales[0]["axes"]:
        axis["unit"] = unit
    group.attrs["multiscales"] = scales
    assert opened(folder)[1] == 0.0


def test_the_last_three_of_more_scales_are_those_of_space(tmp_path: Path) -> None:
    assert opened(volume(tmp_path / "v", scale=(1.0, 1.0, 10.0, 10.0, 10.0)))[1] == 10.0


def test_fewer_scales_than_axes_say_nothing(tmp_path: Path) -> None:
    assert opened(volume(tmp_path / "v", scale=(10.0, 10.0)))[1] == 0.0


def test_a_volume_without_metadata_has_no_known_size_but_its_voxels(tmp_path: Path) -> None:
    folder = volume(tmp_path / "v")
    del zarr.open_group(str(folder)).attrs["multiscales"]
    array, size = opened(folder)
    assert size == 0.0
    np.testing.assert_array_equal(array[:], VALUES)


def test_the_callers_voxel_size_is_not_held_against_scales_that_differ(tmp_path: Path) -> None:
    folder = volume(tmp_path / "v", scale=(10.0, 10.0, 20.0))
    with pytest.raises(InputError, match="expected cubes"):
        opened(folder)
    assert opened(folder, voxel_size=10.0)[1] == 10.0


def lacking(folder: Path) -> Path:
    (volume(folder) / "0" / "1.0.1").unlink()
    return folder


def test_a_missing_chunk_is_an_error_that_names_it_once_it_is_read(tmp_path: Path) -> None:
    array, _ = opened(lacking(tmp_path / "v"))
    np.testing.assert_array_equal(array[:2], VALUES[:2])
    with pytest.raises(InputError, match=r"r/denoised lacks chunk 0/1\.0\.1.*`missing_chunks=zero`"):
        array[2:]


def test_missing_chunks_are_zeros_where_the_user_says_so(tmp_path: Path) -> None:
    array, _ = opened(lacking(tmp_path / "v"), lenient=True)
    expected = VALUES.copy()
    expected[2:4, 0:3, 4:8] = 0
    np.testing.assert_array_equal(array[:], expected)


def test_a_folder_that_is_no_group_with_an_array_is_refused(tmp_path: Path) -> None:
    zarr.open_group(str(tmp_path / "g"), mode="w").create_group("0")
    for folder in (tmp_path / "g", tmp_path / "nothing"):
        folder.mkdir(exist_ok=True)
        with pytest.raises(InputError, match="r/denoised"):
            opened(folder)


@pytest.mark.parametrize("shape", [(6, 8), (1, 6, 8), (2, 4, 6, 8)])
def test_an_array_that_is_no_volume_is_refused_with_its_shape(tmp_path: Path, shape: tuple[int, ...]) -> None:
    zarr.open_group(str(tmp_path / "v"), mode="w").create_dataset("0", data=np.ones(shape))
    with pytest.raises(InputError, match=r"array of shape \(" + ", ".join(map(str, shape))):
        opened(tmp_path / "v")


def test_values_that_are_no_real_numbers_are_refused(tmp_path: Path) -> None:
    zarr.open_group(str(tmp_path / "v"), mode="w").create_dataset("0", data=np.ones((4, 6, 8), dtype=complex))
    with pytest.raises(InputError, match="values of type complex128"):
        opened(tmp_path / "v")


def test_a_packing_that_can_run_code_is_refused_by_its_name(tmp_path: Path) -> None:
    group = zarr.open_group(str(tmp_path / "v"), mode="w")
    group.create_dataset("0", data=VALUES.astype("f4"), compressor=None, filters=[Pickle()], overwrite=True)
    with pytest.raises(InputError, match="packed by pickle"):
        opened(tmp_path / "v")


def test_chunks_beyond_what_memory_holds_are_refused_before_one_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume(tmp_path / "v")  # 8 chunks of 96 bytes
    monkeypatch.setattr(metadata, "MOST_BYTES", 96)
    monkeypatch.setattr(metadata, "MOST_CHUNKS", 8)
    opened(tmp_path / "v")
    monkeypatch.setattr(metadata, "MOST_BYTES", 95)
    with pytest.raises(InputError, match="claims 8 chunks"):
        opened(tmp_path / "v")
    monkeypatch.setattr(metadata, "MOST_BYTES", 96)
    monkeypatch.setattr(metadata, "MOST_CHUNKS", 7)
    with pytest.raises(InputError, match="expected at most 7"):
        opened(tmp_path / "v")
