"""`tomosoup maps`: heatmaps and label volumes as files and in copick."""

import json
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
import torch
import zarr
from conftest import keys, refused

from tomosoup.cli.main import main
from tomosoup.core.types import Picks, Volume
from tomosoup.data.formats.tables.picks_csv import write_csv
from tomosoup.data.options import DataOptions
from tomosoup.data.project import open_project
from tomosoup.data.tomogram import Tomogram, select_tomogram
from tomosoup.data.volumes.resampling import back_on_grid, resampled
from tomosoup.inference.engines.net_cache import Nets
from tomosoup.inference.jobs.maps import heatmaps_of
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.models.checkpoint import load

RUN = "--runs", "run_000"


@pytest.fixture
def tomogram(project: Path) -> Tomogram:
    return select_tomogram(open_project(project), "run_000", DataOptions())


def test_heatmaps_are_the_same_in_every_form_and_kept_when_they_are_there(
    project: Path, model: Path, tomogram: Tomogram, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["maps", str(project), "--model", str(model), *RUN]
    expected = heatmaps_of(tomogram, [load(model)], plan=PickingPlan(), nets=Nets()).data.numpy()
    names = [s.name for s in load(model).species]
    for out in (["-o", str(tmp_path / "m")], ["-o", str(tmp_path / "m"), "--format", "ome-zarr"], []):
        main([*words, *out])
    for name, channel in zip(names, expected, strict=True):
        with mrcfile.open(tmp_path / "m" / f"run_000_{name}.mrc") as file:
            np.testing.assert_allclose(file.data, channel, atol=1e-6)
            assert file.voxel_size.x == pytest.approx(tomogram.voxel_size)
    group = zarr.open(str(tmp_path / "m" / "run_000_heatmaps.zarr"), mode="r")
    np.testing.assert_allclose(group["0"][:], expected, atol=1e-6)
    assert [c["label"] for c in group.attrs["omero"]["channels"]] == names
    assert [axis["name"] for axis in group.attrs["multiscales"][0]["axes"]] == [*"czyx"]
    root = open_project(project).root  # type: ignore[attr-defined]
    (stored,) = [t for spacing in root.get_run("run_000").voxel_spacings for t in spacing.tomograms]
    np.testing.assert_allclose(zarr.open(stored.get_features("tomosoup").zarr(), mode="r")["0"][:], expected, atol=1e-6)
    capsys.readouterr()
    main([*words, "--json"])
    said = json.loads(capsys.readouterr().out)
    assert (said["made"], said["kept"], said["maps"]) == ([], ["run_000"], names)


def test_labels_are_balls_of_the_picks_with_the_objects_labels(
    project: Path, tomogram: Tomogram, tmp_path: Path
) -> None:
    at = tomogram.to_angstrom([[10, 40, 50]])
    species = open_project(project).species[1]
    write_csv(tmp_path / "picks.csv", {"run_000": {species.name: Picks.of(at)}})
    words = ["maps", str(project), *RUN, "--picks", str(tmp_path / "picks.csv")]
    main([*words, "-o", str(tmp_path / "m")])
    main(words)
    with mrcfile.open(tmp_path / "m" / "run_000_labels.mrc") as file:
        labels = file.data.copy()
    root = open_project(project).root  # type: ignore[attr-defined]
    (found,) = root.get_run("run_000").get_segmentations(user_id="tomosoup", session_id="tomosoup")
    np.testing.assert_array_equal(found.numpy(), labels)
    assert {*np.unique(labels)} == {0, root.get_object(species.name).label}
    inside = np.argwhere(labels)
    np.testing.assert_allclose(inside.mean(0), [10, 40, 50], atol=1e-6)
    assert len(inside) == pytest.approx(4 / 3 * np.pi * (species.radius / tomogram.voxel_size) ** 3, rel=0.1)


def test_maps_go_to_an_overlay_on_s3_and_are_kept_only_where_they_are_whole(
    s3_config: Path, model: Path, s3: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["maps", str(s3_config), "--model", str(model), *RUN]
    tomogram = select_tomogram(open_project(s3_config), "run_000", DataOptions())
    expected = heatmaps_of(tomogram, [load(model)], plan=PickingPlan(), nets=Nets()).data.numpy()

    def stored() -> np.ndarray:
        root = open_project(s3_config).root  # type: ignore[attr-defined]
        (found,) = [t for spacing in root.get_run("run_000").voxel_spacings for t in spacing.tomograms]
        return np.asarray(zarr.open(found.get_features("tomosoup").zarr(), mode="r")["0"][:])

    main(words)
    np.testing.assert_allclose(stored(), expected, atol=1e-6)
    assert not any("features" in key for key in keys(s3, "tomograms"))
    written = keys(s3, "picks")
    (mark,) = [key for key in written if key.endswith("_features.zarr/.zattrs")]
    main(words)
    assert "1 run had them before" in capsys.readouterr().out
    s3.delete_object(Bucket="picks", Key=mark)  # as if the command had been killed while it wrote
    s3.delete_object(Bucket="picks", Key=next(key for key in written if key.endswith("/0/0/0/0/0")))
    main(words)
    np.testing.assert_allclose(stored(), expected, atol=1e-6)
    assert keys(s3, "picks") == written


def test_maps_go_back_to_the_voxels_of_the_tomogram() -> None:
    z, y, x = np.ogrid[:20, :31, :40]
    smooth = np.exp(-((z - 9) ** 2 + (y - 15) ** 2 + (x - 21) ** 2) / 40).astype(np.float32)
    source = Volume(torch.from_numpy(smooth), 7.0, (3.5, 3.5, 3.5))
    there = resampled(source, 10.0)
    two = Volume(torch.stack([there.data, 2 * there.data]), there.voxel_size, there.origin)
    back = back_on_grid(two, source, 10.0)
    assert (back.data.shape, back.voxel_size, back.origin) == ((2, *source.shape), 7.0, source.origin)
    np.testing.assert_allclose(back.data[0], smooth, atol=0.02)
    np.testing.assert_allclose(back.data[1], 2 * back.data[0], atol=1e-6)


def test_a_project_that_takes_no_maps_asks_for_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mrcfile.write(tmp_path / "t.mrc", np.ones((4, 5, 6), np.float32), voxel_size=10)
    assert "--output" in refused(["maps", str(tmp_path)], capsys)
