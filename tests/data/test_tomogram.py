"""A tomogram on disk: positions of parts, slices across chunks, and which one of a run is meant."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from tomosoup.core.errors import InputError
from tomosoup.core.types import Species, Volume
from tomosoup.data.copick.tomograms import write_tomogram
from tomosoup.data.new_project import SimulatedRun, new_project
from tomosoup.data.options import DataOptions
from tomosoup.data.project import open_project
from tomosoup.data.tomogram import Tomogram, chosen_runs, open_tomogram

VALUES = np.random.default_rng(0).normal(size=(11, 5, 6)).astype(np.float32)


def tomogram(array: Any = VALUES, **changes: Any) -> Tomogram:
    return Tomogram("r", "denoised", 10.0, (5.0, 15.0, -5.0), array, **changes)


class Counted:
    """An array in chunks of four slices that counts the slices which are read."""

    shape, chunks = VALUES.shape, (4, 5, 6)

    def __init__(self) -> None:
        self.read = 0

    def __getitem__(self, region: Any) -> Any:
        part = VALUES[region]
        self.read += len(part)
        return part


def test_a_region_keeps_its_position() -> None:
    whole = tomogram()
    part = whole.read((slice(2, 5), slice(None, 3), slice(4, 6)))
    np.testing.assert_array_equal(part.data.numpy(), VALUES[2:5, :3, 4:6])
    np.testing.assert_allclose(part.to_angstrom([0, 0, 0]), whole.to_angstrom([2, 0, 4]))


def test_a_tomogram_read_whole_is_where_it_was() -> None:
    volume = tomogram().read()
    assert (volume.voxel_size, volume.origin, volume.shape) == (10.0, (5.0, 15.0, -5.0), VALUES.shape)
    assert volume.data.dtype == torch.float32


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_slices_are_the_same_in_any_order_and_across_chunks(data: st.DataObject) -> None:
    source = tomogram(zarr.array(VALUES, chunks=(data.draw(st.integers(1, 11)), 5, 6)))
    for _ in range(3):
        start = data.draw(st.integers(0, 10))
        stop = data.draw(st.integers(start + 1, 11))
        np.testing.assert_array_equal(source.slices(start, stop).numpy(), VALUES[start:stop])


def test_slices_one_after_the_other_read_each_chunk_once() -> None:
    array = Counted()
    source = tomogram(array)
    for z in range(10):
        source.slices(z, z + 2)
    assert array.read == 11


def test_what_is_done_to_slices_does_not_change_the_next() -> None:
    source = tomogram()
    source.slices(3, 5).zero_()
    np.testing.assert_array_equal(source.slices(3, 5).numpy(), VALUES[3:5])


def test_an_inverted_tomogram_is_the_negative_in_every_way_of_reading_and_nothing_is_inverted_twice() -> None:
    source = tomogram(VALUES.copy(), inverted=True)
    for read in (source, source.in_memory()):
        np.testing.assert_array_equal(read.read().data.numpy(), -VALUES)
        np.testing.assert_array_equal(read.slices(2, 9).numpy(), -VALUES[2:9])


def test_numbers_of_any_type_are_read_as_float32_and_the_smallest_is_inverted_too() -> None:
    smallest = np.full((2, 3, 4), -128, dtype=np.int8)
    assert (tomogram(smallest, inverted=True).read().data == 128).all()
    assert tomogram(smallest).read().data.dtype == torch.float32


def test_voxels_that_cannot_be_read_are_one_sentence_with_the_run() -> None:
    class Broken:
        shape, chunks = (2, 3, 4), (1, 3, 4)

        def __getitem__(self, region: Any) -> Any:
            raise RuntimeError("error -3 while decompressing\nmore")

    for read in (tomogram(Broken()).read, lambda: tomogram(Broken()).slices(0, 1), tomogram(Broken()).in_memory):
        with pytest.raises(InputError, match=r"run r cannot be read \(error -3 while decompressing\)"):
            read()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run a with two types at 10 Å and one of them at 20 Å; run b with one."""
    folder = tmp_path_factory.mktemp("tomograms") / "p"
    fine, coarse = (Volume(torch.full((4, 4, 4), size), size, (size / 2,) * 3) for size in (10.0, 20.0))
    with new_project(folder, [Species("ribosome", 150.0)]) as project:
        project.add_run("a", SimulatedRun({"denoised": fine, "wbp": fine}, {}))
        project.add_run("b", SimulatedRun({"denoised": coarse}, {}))
    root: Any = open_project(folder)

    write_tomogram(root.root, "a", coarse, tomo_type="denoised")
    return folder


def test_what_is_alone_needs_no_choice(folder: Path) -> None:
    assert open_tomogram(folder, "b").voxel_size == 20.0
    assert open_tomogram(folder, "a", tomo_type="wbp").voxel_size == 10.0


@pytest.mark.parametrize(("spacing", "first"), [(10.0, 10.0), (20.0, 20.0)])
def test_a_voxel_spacing_chooses_between_tomograms_of_one_type(folder: Path, spacing: float, first: float) -> None:
    chosen = open_tomogram(folder, "a", tomo_type="denoised", voxel_spacing=spacing)
    assert float(chosen.read().data[0, 0, 0]) == first


def test_an_unclear_choice_is_answered_with_all_that_the_run_has(folder: Path) -> None:
    with pytest.raises(InputError) as error:
        open_tomogram(folder, "a", tomo_type="denoised")
    said = str(error.value)
    assert "found 2" in said
    assert all(f"{name} at {size:.3f} Å" in said for name, size in (("denoised", 10), ("denoised", 20), ("wbp", 10)))
    assert "`tomo_type` or `voxel_spacing`" in said


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ("r", "is a link that leads nowhere"),
        ("r/VoxelSpacing10.000", "r/VoxelSpacing10.000 is a link to itself"),
        ("", "expected VoxelSpacingSIZE/TYPE.zarr"),
    ],
)
def test_a_run_without_a_tomogram_says_why(tmp_path: Path, link: str, said: str) -> None:
    with new_project(tmp_path / "p", [Species("a", 20.0)]):
        pass
    run = tmp_path / "p" / "static" / "ExperimentRuns" / "r"
    run.parent.mkdir(parents=True, exist_ok=True)
    if link != "r":
        run.mkdir()
    if link:
        (run.parent / link).symlink_to(run.parent / link)
    with pytest.raises(InputError, match=re.escape(said)):
        open_tomogram(tmp_path / "p", "r")


def test_a_spacing_that_is_nearly_one_of_the_runs_is_not_taken_for_it(folder: Path) -> None:
    with pytest.raises(InputError, match="found 0"):
        open_tomogram(folder, "b", voxel_spacing=20.1)


def test_the_true_voxel_size_moves_the_first_voxel_with_it(folder: Path) -> None:
    true = open_tomogram(folder, "b", voxel_size=20.024)
    assert true.voxel_size == 20.024
    assert true.origin == pytest.approx((10.012,) * 3)


@pytest.mark.parametrize("first", [-0.5, 0.0, 2.0])
def test_the_first_voxel_stands_where_the_user_says(folder: Path, first: float) -> None:
    assert open_tomogram(folder, "b", first_voxel=first).origin == pytest.approx((20 * first,) * 3)


def test_runs_are_chosen_once_each_and_sorted(folder: Path) -> None:
    project = open_project(folder)
    assert chosen_runs(project, DataOptions(runs=("b", "a", "b"))) == ["a", "b"]
    assert chosen_runs(project, DataOptions()) == ["a", "b"]
    with pytest.raises(InputError, match=r"has no run c, d; its runs are a, b"):
        chosen_runs(project, DataOptions(runs=("c", "a", "d")))
