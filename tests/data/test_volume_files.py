"""Which files of a folder are tomograms, and that others are named rather than left out without a word."""

import gzip
import os
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from tomosoup.core.errors import InputError
from tomosoup.data.options import DataOptions
from tomosoup.data.project import open_project
from tomosoup.data.tomogram import remarks_on, select_tomogram
from tomosoup.data.volumes.files import volume_files
from tomosoup.inference.readout.template_check import read_maps

VALUES = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)


def volume(path: Path, *, size: float = 10.0) -> Path:
    path.parent.mkdir(exist_ok=True)
    with mrcfile.new(path, VALUES, overwrite=True) as file:
        file.voxel_size = size
    return path


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("TS_01.mrc", "TS_01"),
        ("TS_01.MRC", "TS_01"),
        ("TS_01_rec.Rec", "TS_01_rec"),
        ("emd_1234.map.gz", "emd_1234"),
        ("a.b.mrc.BZ2", "a.b"),
    ],
)
def test_volumes_are_found_by_endings_in_any_case_and_packed(tmp_path: Path, file: str, name: str) -> None:
    (tmp_path / file).touch()
    assert volume_files(tmp_path).by_name == {name: tmp_path / file}


def test_a_folder_of_all_endings_is_a_project_whose_runs_can_be_read(tmp_path: Path) -> None:
    volume(tmp_path / "TS_01.mrc").rename(tmp_path / "TS_02.MRC")
    packed = gzip.compress(volume(tmp_path / "TS_01.mrc").read_bytes())
    (tmp_path / "TS_03.mrc.gz").write_bytes(packed)
    project = open_project(tmp_path)
    assert project.runs == ["TS_01", "TS_02", "TS_03"]
    for run in project.runs:
        np.testing.assert_array_equal(select_tomogram(project, run, DataOptions()).read().data, VALUES)
    assert [*remarks_on(project, DataOptions())] == []


def test_what_looks_like_a_tomogram_and_is_not_read_is_named_once(tmp_path: Path) -> None:
    volume(tmp_path / "TS_01.mrc")
    for name in ("TS_02.em", "TS_03.TIF", "TS_04.st", "picks.csv", "notes.txt", "._TS_01.mrc"):
        (tmp_path / name).touch()
    (tmp_path / "TS_05.zarr").mkdir()
    (tmp_path / "TS_06.mrc").mkdir()
    (tmp_path / "TS_07.mrc").symlink_to(tmp_path / "TS_07.mrc")
    (tmp_path / "TS_08.mrc").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "x.mrc")
    project = open_project(tmp_path)
    assert project.runs == ["TS_01"]
    (said,) = remarks_on(project, DataOptions())
    names = "TS_02.em, TS_03.TIF, TS_04.st, TS_05.zarr, TS_06.mrc (a folder), TS_07.mrc (not a regular file), "
    assert f"{names}TS_08.mrc (not a regular file), x.mrc (not a regular file)" in said
    assert not {"csv", "txt", "._"} & {*said.split()}


def test_a_folder_of_other_volumes_alone_is_no_project_and_they_are_named(tmp_path: Path) -> None:
    (tmp_path / "TS_01.em").touch()
    with pytest.raises(InputError, match=r"a folder without tomograms.*TS_01\.em"):
        open_project(tmp_path)


def test_two_files_of_one_run_are_refused_packed_or_not(tmp_path: Path) -> None:
    for name in ("a.mrc", "a.mrc.gz"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match="would both be called 'a'"):
        volume_files(tmp_path)


def test_maps_of_templates_are_found_like_tomograms(tmp_path: Path) -> None:
    volume(tmp_path / "maps" / "a.MAP")
    (tmp_path / "maps" / "b.mrc.gz").write_bytes(gzip.compress((tmp_path / "maps" / "a.MAP").read_bytes()))
    assert [*read_maps(tmp_path / "maps", ["a", "b"])] == ["a", "b"]


def test_a_voxel_size_that_is_probably_none_is_remarked_unless_it_is_given(tmp_path: Path) -> None:
    project = open_project(volume(tmp_path / "t.mrc", size=1.0).parent)
    assert "voxels are 1.000 Å" in next(remarks_on(project, DataOptions()))
    assert [*remarks_on(project, DataOptions(voxel_size=1.0))] == []
