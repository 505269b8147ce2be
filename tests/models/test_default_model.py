"""The model and the tomogram that come with the package."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from tomosoup.cli.commands.sample import MOST, SAMPLE, sample_project, save_sample
from tomosoup.cli.main import main
from tomosoup.core.errors import InputError
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.core.types import Picks, Volume
from tomosoup.data.formats.tables.picks_csv import read_csv
from tomosoup.data.options import DataOptions
from tomosoup.data.project import open_project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.data.truth import read_truth
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.models.history import held_out_run
from tomosoup.models.named import SHIPPED
from tomosoup.training.options import TrainingRecipe

MIB = 2**20


def test_the_demo_finds_the_samples_particles(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "demo"
    main(["demo", str(out), "--json"])
    said = capsys.readouterr().out
    assert '"score"' in said
    truth = read_truth(open_project(out / "project"), "sample")
    found = read_csv(out / "picks.csv")["sample"]
    for kind in CONTEST_SPECIES:
        distances = np.linalg.norm(truth[kind.name].zyx[:, None] - found[kind.name].zyx, axis=-1).min(axis=1)
        least = {"ribosome": 0.9, "beta-amylase": 0.0}.get(kind.name, 0.5)  # beta-amylase does not count
        assert np.mean(distances < kind.radius / 2) >= least, kind.name
        assert len(found[kind.name]) < 6 * len(truth[kind.name]), kind.name
    with (out / "picks.csv").open() as file:
        assert all(0 <= float(row["probability"]) <= 1 for row in csv.DictReader(file))
    assert (out / "report.html").stat().st_size > 1000
    assert not (out / "model.safetensors").exists()
    main(["pick", str(out / "project"), "--output", str(tmp_path / "again.csv")])  # with no model named: done before
    assert "Picked before, and kept: 1 of 1 run" in capsys.readouterr().out
    assert (tmp_path / "again.csv").read_text() == (out / "picks.csv").read_text()


def test_a_file_of_that_name_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoint: Checkpoint
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load("default").fingerprint() != checkpoint.fingerprint()
    (tmp_path / "default").mkdir()
    assert load("default").fingerprint() != checkpoint.fingerprint()  # a folder is no checkpoint
    (tmp_path / "default").rmdir()
    checkpoint.save(tmp_path / "default")
    assert load("default").fingerprint() == checkpoint.fingerprint()
    with pytest.raises(InputError, match="There is no checkpoint at folder/default"):
        load("folder/default")


@pytest.mark.parametrize("name", ["default", "default-soup"])
def test_the_shipped_models_are_small_whole_and_say_what_made_them(name: str) -> None:
    model = load(name)
    assert set(model.species) == set(CONTEST_SPECIES)
    assert set(model.thresholds) == {s.name for s in CONTEST_SPECIES}
    if name == "default":
        assert set(model.pick_calibration) == {s.name for s in CONTEST_SPECIES}
    assert all(torch.isfinite(weight).all() for weight in model.weights.values())
    assert held_out_run(model.history) == "TS_73_6"
    assert sum(file.stat().st_size for file in SHIPPED.glob("*.safetensors")) <= 12 * MIB
    assert SAMPLE.stat().st_size <= 6 * MIB


def test_the_default_model_is_of_the_recipe_best_and_the_one_for_fine_tuning() -> None:
    model = load("default")
    for name in ("best", "finetune"):
        assert TrainingRecipe.read(name).net == model.architecture
        assert TrainingRecipe.read(name).windows == model.windows


def test_the_shipped_soup_labels_voxels_and_is_of_the_same_species() -> None:
    model, other = load("default-soup"), load("default")
    assert model.segments_voxels
    assert model.species == other.species
    assert model.voxel_size == other.voxel_size


def test_kernels_in_half_precision_give_nearly_the_same_net(checkpoint: Checkpoint, tmp_path: Path) -> None:
    checkpoint.halved().save(tmp_path / "half.safetensors")
    checkpoint.save(tmp_path / "whole.safetensors")
    half = load(tmp_path / "half.safetensors")
    assert (tmp_path / "half.safetensors").stat().st_size < 0.7 * (tmp_path / "whole.safetensors").stat().st_size
    x = torch.randn(1, 1, 16, 64, 64)
    with torch.inference_mode():
        a, b = checkpoint.net()(x), half.net()(x)
    assert b.dtype == torch.float32
    torch.testing.assert_close(a, b, atol=2e-2 * float(a.abs().max()), rtol=0)
    assert not torch.equal(a, b)


def test_the_sample_keeps_grey_values_and_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    volume = Volume(torch.randn(8, 16, 16) * 7 + 3, 10.0, (-5.0, 0.0, 2.5))
    truth = {s.name: Picks.of([[40.0, 50.0, 60.0]]) for s in CONTEST_SPECIES}
    save_sample(tmp_path / "sample.npz", volume, truth)
    monkeypatch.setattr("tomosoup.cli.commands.sample.SAMPLE", tmp_path / "sample.npz")
    run = sample_project(tmp_path / "project")
    project = open_project(tmp_path / "project")
    stored = select_tomogram(project, run, DataOptions()).read()
    data = (volume.data - volume.data.mean()) / volume.data.std()
    torch.testing.assert_close(stored.data, data.clamp(-MOST, MOST), atol=MOST / 127, rtol=0)
    for name, found in read_truth(project, run).items():
        # From voxel 0: the project's frame differs from the scene's by where its voxel 0 stands.
        expected = truth[name].zyx - np.asarray(volume.origin)
        np.testing.assert_allclose(found.zyx - np.asarray(stored.origin), expected, atol=1e-3)
