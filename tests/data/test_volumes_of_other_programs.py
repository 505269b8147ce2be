"""Volumes that other programs wrote: voxel sizes, modes, bright particles, fewer voxels than a window."""

from dataclasses import replace
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import torch
import zarr
from small_models import segmenting

from tomosoup.cli.main import main
from tomosoup.core.errors import InputError
from tomosoup.core.types import Volume
from tomosoup.data.formats.tables.picks_csv import read_csv
from tomosoup.data.options import DataOptions
from tomosoup.data.project import open_project
from tomosoup.data.tomogram import Tomogram, select_tomogram
from tomosoup.data.volumes.mrc_header import IMOD_STAMP
from tomosoup.data.volumes.omezarr import open_omezarr
from tomosoup.inference.options.picking import PeakOptions, PickingPlan
from tomosoup.inference.pick import pick
from tomosoup.models.checkpoint import Checkpoint

VALUES = np.arange(2 * 3 * 4).reshape(2, 3, 4)


def folder_of(folder: Path, values: np.ndarray, name: str = "t.mrc", *, size: object = 10.0, **header: float) -> Path:
    """A folder with one volume."""
    folder.mkdir(exist_ok=True)
    with mrcfile.new(folder / name, values) as file:
        file.voxel_size = size
        for key, value in header.items():
            file.header[key] = value
    return folder


def opened(folder: Path, run: str = "t", **data: object) -> Tomogram:
    return select_tomogram(open_project(folder), run, DataOptions.of(data, source="a test"))


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint16, np.float16, np.float32])
@pytest.mark.parametrize("ending", ["mrc", "rec", "map"])
def test_every_mode_and_ending_is_read(tmp_path: Path, dtype: type, ending: str) -> None:
    tomogram = opened(folder_of(tmp_path / "f", VALUES.astype(dtype), f"t.{ending}"))
    np.testing.assert_array_equal(tomogram.read().data, VALUES)
    assert tomogram.voxel_size == 10.0


@pytest.mark.parametrize(("stamp", "flags", "highest", "unsigned"), [
    (IMOD_STAMP, 0, 0.0, True), (IMOD_STAMP, 1, 200.0, False), (0, 0, 200.0, True), (0, 0, 100.0, False)
])  # fmt: skip
def test_bytes_are_unsigned_where_the_header_says_so(
    tmp_path: Path, stamp: int, flags: int, highest: float, unsigned: bool
) -> None:
    values = np.arange(-128, 128, dtype=np.int8).reshape(4, 8, 8)
    folder = folder_of(tmp_path / "f", values, dmax=highest)
    content = bytearray((folder / "t.mrc").read_bytes())
    content[152:160] = np.array([stamp, flags], dtype="<i4").tobytes()
    (folder / "t.mrc").write_bytes(content)
    np.testing.assert_array_equal(opened(folder).read().data, values.view(np.uint8) if unsigned else values)


def test_numbers_that_are_not_real_are_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "f", VALUES.astype(np.complex64))
    with pytest.raises(InputError, match=r"complex numbers of 32 bits \(mode 4\)"):
        opened(folder)


@pytest.mark.parametrize(
    ("size", "said"), [((10, 10, 20), "measure 20, 10, 10 Å along z, y, x.*`voxel_size`"), (0.0, "`voxel_size`")]
)
def test_a_voxel_size_that_is_missing_or_no_cubes_is_asked_for(tmp_path: Path, size: object, said: str) -> None:
    folder = folder_of(tmp_path / "f", VALUES.astype(np.float32), size=size)
    with pytest.raises(InputError, match=said):
        opened(folder)
    assert opened(folder, voxel_size=7.84).voxel_size == 7.84


@pytest.mark.parametrize("scale", [[20.0, 10.0, 10.0], [0.0, 0.0, 0.0], [10.0], "nonsense", [float("nan")] * 3])
def test_so_it_is_for_ome_zarr(tmp_path: Path, scale: object) -> None:
    group = zarr.open_group(str(tmp_path / "t.zarr"), mode="w")
    group.create_dataset("0", data=VALUES.astype(np.int8), chunks=(2, 2, 2))
    axes = [{"name": name, "unit": "angstrom"} for name in "zyx"]
    datasets = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": scale}]}]
    group.attrs["multiscales"] = [{"axes": axes, "datasets": datasets}]
    store = zarr.DirectoryStore(str(tmp_path / "t.zarr"))
    assert open_omezarr(store, name="t", voxel_size=7.84)[1] == 7.84
    if scale == [20.0, 10.0, 10.0]:
        with pytest.raises(InputError, match="`voxel_size`"):
            open_omezarr(store, name="t")
    else:
        assert open_omezarr(store, name="t")[1] == 0.0


def test_bright_particles_are_turned_dark_however_they_are_read(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "f", VALUES.astype(np.int16))
    tomogram = opened(folder, invert=True)
    for source in (tomogram, tomogram.in_memory()):
        np.testing.assert_array_equal(source.read().data, -VALUES)
        np.testing.assert_array_equal(source.slices(1, 2), -VALUES[1:])


def test_an_inverted_tomogram_is_picked_as_its_negative(project: Path, model: Path, tmp_path: Path) -> None:
    """By the command; and a session that began without --invert does not go on with it."""
    volume = select_tomogram(open_project(project), "run_000", DataOptions()).read().data.numpy()
    for name, values in (("dark", volume), ("bright", -volume)):
        folder = folder_of(tmp_path / name, values)
        (folder / "species.csv").write_text("name,radius,weight\napo-ferritin,60,1\nbeta-amylase,65,0\n")
    words = ["--model", str(model), "--peaks.floor", "0.001", "--threshold", "0", "--output"]
    main(["pick", str(tmp_path / "dark"), *words, str(tmp_path / "dark.csv")])
    main(["pick", str(tmp_path / "bright"), *words, str(tmp_path / "bright.csv"), "--invert"])
    found, expected = read_csv(tmp_path / "bright.csv"), read_csv(tmp_path / "dark.csv")
    for name, picks in expected["t"].items():
        np.testing.assert_array_equal(found["t"][name].zyx, picks.zyx)
    with pytest.raises(SystemExit):
        main(["pick", str(tmp_path / "bright"), *words, str(tmp_path / "bright.csv")])


@pytest.mark.parametrize("plan", ["as-trained", "planes", "paper", "soup"])
@pytest.mark.parametrize("labels", [False, True])
def test_volumes_thinner_than_the_window_are_picked_by_every_plan(
    checkpoint: Checkpoint, plan: str, labels: bool
) -> None:
    chosen = PickingPlan.read(plan).model_copy(update={"peaks": PeakOptions(floor=1e-3)})
    model = segmenting(checkpoint, seed=1) if labels else checkpoint
    model = replace(model, windows=model.windows.model_copy(update={"shape": (16, 64, 64)}))
    for shape in ((2, 9, 5),) if plan == "soup" else ((3, 64, 70), (2, 9, 5)):
        volume = Volume(torch.randn(shape), 10.0)
        for picks in pick(volume, model, plan=chosen).values():
            where = volume.to_voxel(picks.zyx)
            assert (where > -0.51).all()
            assert (where < np.array(shape) - 0.49).all()
