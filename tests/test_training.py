"""Training: schedule, crops, the held-out run, and going on after a kill."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import TINY_PLAN, TINY_TRAINING

from tomosoup.crops import Crops, Example, half_overlapping, read_examples, shifted
from tomosoup.errors import InputError
from tomosoup.io.project import open_project
from tomosoup.io.tables import write_csv
from tomosoup.recipes.base import names
from tomosoup.recipes.data import DataRecipe
from tomosoup.recipes.training import TrainingRecipe
from tomosoup.training import cosine_with_warmup, train
from tomosoup.types import Picks


def test_the_learning_rate_is_the_winners_at_every_update(reference: Path) -> None:
    expected = json.loads((reference / "parts_seed0.json").read_text())["lr_64_epochs_10_updates"]
    ours = [1e-3 * cosine_with_warmup(u, warmup=40, total=640) for u in range(640)]
    np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("shape", [(32, 96, 96), (33, 64, 100), (16, 64, 64)])
def test_crops_cover_the_volume_and_stay_inside(shape: tuple[int, int, int]) -> None:
    seen = torch.zeros(shape)
    random = torch.Generator().manual_seed(0)
    for region in half_overlapping(shape, (16, 64, 64)):
        seen[region] += 1
        for r, n, size in zip(shifted(region, shape, random=random), shape, (16, 64, 64), strict=True):
            assert r.start >= 0
            assert r.stop <= n
            assert r.stop - r.start == size
    assert seen.min() >= 1


def test_a_volume_smaller_than_a_crop_gives_padded_crops(project_folder: Path) -> None:
    example = read_examples(open_project(project_folder), DataRecipe(runs=("run_000",)))[0]
    recipe = TINY_TRAINING.model_copy(update={"windows": TINY_PLAN.model_copy(update={"shape": (64, 128, 64)})})
    window, target = Crops([example], open_project(project_folder).species, recipe)[0]
    assert window.shape == (1, 64, 128, 64)
    assert target.shape == (2, 64, 128, 64)


def test_a_crop_depends_on_seed_epoch_and_index_alone(project_folder: Path) -> None:
    project = open_project(project_folder)
    examples = read_examples(project, DataRecipe())
    a, b = (Crops(examples, project.species, TINY_TRAINING) for _ in range(2))
    _ = a[3]
    torch.testing.assert_close(a[5], b[5], atol=0, rtol=0)
    b.epoch = 1
    assert not torch.equal(a[5][0], b[5][0])


def test_the_crops_target_sits_on_the_crops_particles(project_folder: Path) -> None:
    project = open_project(project_folder)
    example = read_examples(project, DataRecipe(runs=("run_000",)))[0]
    places = Picks.of(example.truth["apo-ferritin"].zyx)
    marked = torch.zeros(example.volume.shape)
    for z, y, x in example.volume.to_voxel(places.zyx).round().astype(int):
        marked[z, y, x] = 1
    recipe = TINY_TRAINING.model_copy(
        update={
            "augmentation": TINY_TRAINING.augmentation.model_copy(update={"affine_chance": 0, "intensity_chance": 0})
        }
    )
    crops = Crops(
        [Example("r", type(example.volume)(marked, 10.0, example.volume.origin), example.truth)],
        project.species,
        recipe,
    )
    marks = 0
    for window, target in (crops[i] for i in range(len(crops))):
        at = window[0].bool()
        marks += int(at.sum())
        assert (target[0][at] > 0.97).all()  # rounding moves a mark by half a voxel at most, an eighth of sigma
    assert marks > 10


def test_training_learns_and_its_checkpoint_is_enough(project_folder: Path, tmp_path: Path) -> None:
    recipe = TINY_TRAINING.model_copy(update={"epochs": 4})
    checkpoint = train(open_project(project_folder), recipe, fold=1, folder=tmp_path / "t")
    (event,) = checkpoint.history
    assert event["held_out"] == "run_001"
    assert event["runs"] == ["run_000", "run_002"]
    assert TrainingRecipe.of(event["recipe"], source="history") == recipe
    assert set(checkpoint.thresholds) == {"apo-ferritin", "beta-amylase"}
    log = (tmp_path / "t" / "metrics.csv").read_text().splitlines()
    losses = [float(v) for row in log[1:] if (v := row.split(",")[log[0].split(",").index("epoch_loss")])]
    assert len(losses) == 4
    assert losses[-1] < losses[0]
    assert torch.isfinite(checkpoint.net()(torch.randn(1, 1, 16, 64, 64))).all()


SCRIPT = """
import sys
from conftest import TINY_TRAINING
from tomosoup.io.project import open_project
from tomosoup.training import train
resume = sys.argv[3] == "resume"
recipe = TINY_TRAINING.model_copy(update={"epochs": 4})
train(open_project(sys.argv[1]), recipe, folder=sys.argv[2], resume=resume).save(sys.argv[2] + "/out.safetensors")
"""


def test_a_killed_training_resumes_to_the_weights_of_an_unbroken_one(project_folder: Path, tmp_path: Path) -> None:
    def start(folder: Path, how: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(project_folder), str(folder), how],
            cwd=Path(__file__).parent,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    whole, killed = start(unbroken, "new"), start(broken, "new")
    state = broken / "last.ckpt"
    deadline = time.monotonic() + 120
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert state.exists()
    assert not (broken / "out.safetensors").exists()
    assert start(broken, "resume").wait() == 0
    assert whole.wait() == 0
    from safetensors.torch import load_file

    a, b = (load_file(folder / "out.safetensors") for folder in (unbroken, broken))
    assert a.keys() == b.keys()
    for key in a:
        torch.testing.assert_close(a[key], b[key], atol=0, rtol=0, msg=key)


def test_a_training_is_not_resumed_with_other_options(project_folder: Path, tmp_path: Path) -> None:
    project = open_project(project_folder)
    train(project, TINY_TRAINING, folder=tmp_path)
    with pytest.raises(InputError, match="started with another learning_rate: give the same options"):
        train(project, TINY_TRAINING.model_copy(update={"learning_rate": 1e-4}), folder=tmp_path, resume=True)


def test_shipped_recipes_are_valid_and_unknown_keys_are_not(tmp_path: Path) -> None:
    for name in set(names()) - {"simulated"}:
        assert TrainingRecipe.read(name).net.name == "shuffle_unet"
    assert TrainingRecipe.read("yu4u").net.decoder_widths == (1024, 768, 256)
    (tmp_path / "x.toml").write_text("epochs = 3\n[net]\nbackbonne = 'x'\n")
    with pytest.raises(InputError, match=r"no option 'net.backbonne'; expected one of name, backbone"):
        TrainingRecipe.read(tmp_path / "x.toml")
    (tmp_path / "x.toml").write_text("epochs = -3\n")
    with pytest.raises(InputError, match=r"x.toml: epochs: .*greater than or equal to 1, got -3"):
        TrainingRecipe.read(tmp_path / "x.toml")
    (tmp_path / "x.toml").write_text("epochs = ")
    with pytest.raises(InputError, match="not valid TOML"):
        TrainingRecipe.read(tmp_path / "x.toml")
    with pytest.raises(InputError, match="There is no recipe 'nonsense'; take one of simulated, small, yu4u"):
        TrainingRecipe.read("nonsense")


def test_bad_training_data_are_refused_before_anything_is_made(project_folder: Path, tmp_path: Path) -> None:
    project = open_project(project_folder)
    with pytest.raises(InputError, match="Fold 3 holds out one of 3 runs"):
        train(project, TINY_TRAINING, fold=3, folder=tmp_path / "t")
    with pytest.raises(InputError, match="There is no training to resume"):
        train(project, TINY_TRAINING, folder=tmp_path / "t", resume=True)
    write_csv(tmp_path / "picks.csv", {"run_000": {"unicorn": Picks.of([[1, 2, 3]])}})
    with pytest.raises(InputError, match=r"Run run_000: .*unicorn, which .* does not list"):
        train(project, TINY_TRAINING, folder=tmp_path / "t", truth=str(tmp_path / "picks.csv"))
    assert not (tmp_path / "t").exists()
