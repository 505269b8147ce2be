"""`tomosoup slab` writes masks, and `tomosoup pick --mask` picks in them."""

import csv
import json
import os
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import torch
from conftest import refused

from tomosoup.cli.main import main
from tomosoup.core.types import Volume
from tomosoup.data.copick.maps import SLAB, map_store
from tomosoup.data.options import DataOptions
from tomosoup.data.project import open_project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.inference.jobs import run_picker


def rows(path: Path) -> list[dict[str, str]]:
    """A table."""
    with path.open() as file:
        return list(csv.DictReader(file))


def test_the_slab_of_a_tomogram_is_a_mask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(2, 40, 96, 96)).astype(np.float32)
    values[0, 12:28] += 2 * values[1, 12:28]
    mrcfile.write(tmp_path / "a.mrc", values[0], voxel_size=10)
    mrcfile.write(tmp_path / "b.mrc", values[1], voxel_size=10)
    with pytest.raises(SystemExit):  # b has no faces
        main(["slab", str(tmp_path), "-o", str(tmp_path / "masks"), "--json"])
    said = json.loads(capsys.readouterr().out)
    assert said["slabs"]["a"]["thickness"] == pytest.approx(160, abs=30)
    assert list(said["failed"]) == ["b"]
    with mrcfile.open(tmp_path / "masks" / "a_slab.mrc") as file:
        inside = file.data.mean((1, 2))
    assert inside[14:26].min() == 1
    assert inside[[*range(10), *range(30, 40)]].max() == 0
    assert "copick project" in refused(["pick", str(tmp_path), "--mask", "slab:tomosoup/0", "-o", "p.csv"], capsys)


def test_picks_are_in_the_mask_and_keep_their_distance_to_it(
    project: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tomogram = select_tomogram(open_project(project), "run_000", DataOptions())
    mask = torch.zeros(1, *tomogram.shape, dtype=torch.int8)
    mask[:, :, :48] = 1
    map_store(open_project(project), None, "0").write(tomogram, Volume(mask, 10.0, tomogram.origin), [SLAB])
    table, words = tmp_path / "p.csv", ["--threshold", "0.14", "--overwrite", "-o", str(tmp_path / "p.csv")]
    main(["pick", str(project), "--model", str(model), "--runs", "run_000", "--mask", "slab:tomosoup/0", *words])
    found = rows(table)
    assert found
    for row in found:
        assert float(row["mask_distance"]) == pytest.approx(480 - float(row["y"]), abs=10)
    main(["threshold", str(project), *words])
    again = rows(table)
    assert len(again) >= len(found)
    assert all(row in again for row in found)
    drawn(project, "thin", 40, run="run_000")
    main(["threshold", str(project), "--mask", "slab:tomosoup/thin", *words])
    assert f"{len(rows(table))} of {len(again)} picks are where the mask allows them" in capsys.readouterr().out
    inside = [row for row in again if float(row["y"]) < 400]
    assert [{**row, "mask_distance": ""} for row in rows(table)] == [{**row, "mask_distance": ""} for row in inside]
    for row in rows(table):
        assert float(row["mask_distance"]) == pytest.approx(400 - float(row["y"]), abs=10)
    same = ["pick", str(project), "--model", str(model), "--runs", "run_000", "--mask", "slab:tomosoup/0"]
    assert "made with other settings (threshold_region)" in refused([*same, "--threshold", "0.14"], capsys)


def drawn(project: Path, session: str, rows: int, *, run: str = "run_001") -> None:
    """A copick segmentation, the first rows of each slice of a run."""
    tomogram = select_tomogram(open_project(project), run, DataOptions())
    mask = torch.zeros(1, *tomogram.shape, dtype=torch.int8)
    mask[:, :, :rows] = 1
    map_store(open_project(project), None, session).write(tomogram, Volume(mask, 10.0, tomogram.origin), [SLAB])


def test_a_changed_mask_is_noticed_and_its_run_picked_anew(
    project: Path, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    picked: list[str] = []
    monkeypatch.setattr(run_picker, "pick_with", lambda _, tomogram, *__, **___: picked.append(tomogram.run) or {})
    words = ["pick", str(project), "--model", str(model), "--runs", "run_001", "--mask", "slab:tomosoup/d"]
    drawn(project, "d", 48)
    main(words)
    for file in project.rglob("Segmentations/**/*"):  # the same mask with another time
        os.utime(file, (0, 0))
    main(words)
    drawn(project, "d", 40)
    assert "of run run_001 has changed since the run was picked: choose another --session" in refused(words, capsys)
    assert picked == ["run_001"]
    main([*words, "--overwrite"])
    assert picked == ["run_001", "run_001"]
