"""EMAN2's volumes in HDF5 files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tomosoup.core.errors import InputError
from tomosoup.data.options import DataOptions
from tomosoup.data.project import open_project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.data.volumes.files import read_volume
from tomosoup.data.volumes.hdf import open_hdf

h5py = pytest.importorskip("h5py")
VALUES = np.arange(4 * 5 * 6, dtype=np.float32).reshape(4, 5, 6)


def written(path: Path, values: Any = VALUES, *, images: int = 1, apix: float = 7.5, **about: float) -> Path:
    """A file as EMAN2 writes it."""
    with h5py.File(path, "w") as file:
        for number in range(images):
            group = file.create_group(f"MDF/images/{number}")
            group.create_dataset("image", data=values, chunks=(2, 5, 6), compression="gzip")
            group.attrs.update(
                {f"EMAN.apix_{axis}": apix for axis in "xyz"} | {f"EMAN.{k}": v for k, v in about.items()}
            )
    return path


def test_a_folder_of_hdf_files_is_read_slice_by_slice(tmp_path: Path) -> None:
    written(tmp_path / "TS_01.hdf")
    tomogram = select_tomogram(open_project(tmp_path), "TS_01", DataOptions())
    assert (tomogram.shape, tomogram.voxel_size) == (VALUES.shape, 7.5)
    np.testing.assert_array_equal(tomogram.slices(1, 3), VALUES[1:3])
    np.testing.assert_array_equal(tomogram.read((slice(1, 9), slice(2, 4), slice(0, 3))).data, VALUES[1:, 2:4, :3])
    np.testing.assert_array_equal(read_volume(tmp_path / "TS_01.hdf").data, VALUES)


def test_few_bits_are_brought_back_to_grey_values(tmp_path: Path) -> None:
    stored = VALUES.astype(np.uint8)
    about = {"stored_renderbits": 5, "stored_rendermin": -3.0, "stored_rendermax": 12.5}
    array, _ = open_hdf(written(tmp_path / "t.hdf", stored, **about))
    np.testing.assert_allclose(array[:], stored / 31 * 15.5 - 3, rtol=1e-6)


def test_what_is_not_one_volume_is_refused(tmp_path: Path) -> None:
    (tmp_path / "none.hdf").write_bytes(b"no HDF5")
    with h5py.File(tmp_path / "empty.hdf", "w") as file:
        file.create_dataset("MDF/images/0/image", shape=(4, 5, 6), dtype="f4", chunks=(2, 5, 6))
    with h5py.File(tmp_path / "link.hdf", "w") as file:
        file.create_group("MDF/images/0")["image"] = h5py.ExternalLink("two.hdf", "/MDF/images/0/image")
    written(tmp_path / "two.hdf", images=2)
    for name, said in {
        "none": "cannot be read as a volume of EMAN2",
        "two": "holds 2 images",
        "empty": "holds no voxels",
        "link": "in another file",
    }.items():
        with pytest.raises(InputError, match=said):
            open_hdf(tmp_path / f"{name}.hdf")
