"""What a check finds on files and the sizes of volumes."""

from pathlib import Path

import mrcfile
import numpy as np
import pytest

from tomosoup.data.options import AnnotatedData
from tomosoup.review.check.check_project import check


def found(folder: Path, shape: tuple[int, int, int] = (8, 16, 16), size: float = 10.0, **data: float) -> list[str]:
    folder.mkdir(exist_ok=True)
    with mrcfile.new(folder / "t.mrc", np.random.default_rng(0).normal(size=shape).astype(np.float32)) as file:
        file.voxel_size = size
    if folder.name == "trail":
        with (folder / "t.mrc").open("ab") as end:
            end.write(bytes(1000))
    findings = check(folder, data=AnnotatedData(**data)).findings
    return [f"{f.severity} {f.check}: {f.text}" for f in findings if f.check in {"files", "axes", "voxel size"}]


def test_an_ordinary_volume_has_no_such_finding(tmp_path: Path) -> None:
    assert found(tmp_path / "t") == []


def test_a_voxel_size_of_one_is_doubted_unless_it_is_given(tmp_path: Path) -> None:
    assert "1.000 Å" in found(tmp_path / "one", size=1.0)[0]
    assert found(tmp_path / "given", size=1.0, voxel_size=1.0) == []


@pytest.mark.parametrize(("shape", "axes"), [((64, 16, 64), True), ((16, 64, 64), False), ((30, 20, 60), False)])
def test_a_tomogram_that_is_thinnest_along_y_is_turned(tmp_path: Path, shape: tuple[int, int, int], axes: bool) -> None:
    assert ["thinnest along y" in text for text in found(tmp_path / "t", shape)] == [True] * axes


def test_bytes_after_the_voxels_are_found(tmp_path: Path) -> None:
    (text,) = found(tmp_path / "trail")
    assert text.startswith("warning files: 1000 bytes follow its voxels")
