"""Training: schedule, crops, the held-out run, and going on after a kill."""

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import killed_training
import numpy as np
import pytest
import torch
from conftest import TINY_PLAN, TINY_TRAINING, changed
from killed_training import KILLED_IN_EPOCH, train_falling
from pydantic import ValidationError
from timm.layers import convert_sync_batchnorm

from tomosoup.core.errors import InputError
from tomosoup.core.types import Picks, Species, Volume
from tomosoup.data.formats.tables.picks_csv import write_csv
from tomosoup.data.options import AnnotatedData, Normalisation
from tomosoup.data.project import open_project
from tomosoup.data.truth import read_truth
from tomosoup.data.volumes.normalisation import standardise
from tomosoup.inference.options.picking import PeakOptions, PickingPlan, SegmentationOptions
from tomosoup.inference.sliding_window import predict_heatmap
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.models.history import read_history
from tomosoup.models.nets.build import build_net
from tomosoup.training.learner import cosine_with_warmup, mixed_loss
from tomosoup.training.options import AugmentationOptions, Execution, LossOptions, TrainingRecipe
from tomosoup.training.run.batch_norm import estimate_norms
from tomosoup.training.run.folds import FoldPlan, check_finished, plan_folds
from tomosoup.training.run.lightning_adapter import ShuffledByEpoch
from tomosoup.training.supervision.augmentation import Mix
from tomosoup.training.supervision.crops import (
    Crops,
    Example,
    data_set_normalisation,
    half_overlapping,
    large_crops,
    normalised,
    read_examples,
    shifted,
)
from tomosoup.training.supervision.losses import weighted_loss
from tomosoup.training.train import batch_of_each_device, lightning_devices, train


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
    example = read_examples(open_project(project_folder), AnnotatedData(runs=("run_000",)))[0]
    recipe = TINY_TRAINING.model_copy(update={"windows": TINY_PLAN.model_copy(update={"shape": (64, 128, 64)})})
    window, target = Crops([example], open_project(project_folder).species, recipe)[0]
    assert window.shape == (1, 64, 128, 64)
    assert target.shape == (2, 64, 128, 64)


def test_a_crop_depends_on_seed_epoch_and_index_alone(project_folder: Path) -> None:
    project = open_project(project_folder)
    examples = read_examples(project, AnnotatedData())
    a, b = (Crops(examples, project.species, TINY_TRAINING) for _ in range(2))
    _ = a[3]
    torch.testing.assert_close(a[5], b[5], atol=0, rtol=0)
    b.epoch = 1
    assert not torch.equal(a[5][0], b[5][0])


def test_the_crops_target_sits_on_the_crops_particles(project_folder: Path) -> None:
    project = open_project(project_folder)
    example = read_examples(project, AnnotatedData(runs=("run_000",)))[0]
    places = Picks.of(example.truth["apo-ferritin"].zyx)
    marked = torch.zeros(example.volume.shape)
    for z, y, x in example.volume.to_voxel(places.zyx).round().astype(int):
        marked[z, y, x] = 1
    recipe = TINY_TRAINING.model_copy(
        update={
            "augmentation": TINY_TRAINING.augmentation.model_copy(
                update={"affine_probability": 0, "intensity_probability": 0}
            )
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
    assert event.held_out == "run_001"
    assert event.runs == ("run_000", "run_002")
    assert TrainingRecipe.of(event.recipe, source="history") == recipe
    assert set(checkpoint.thresholds) == {"apo-ferritin", "beta-amylase"}
    assert checkpoint.normalisation == Normalisation()
    log = (tmp_path / "t" / "metrics.csv").read_text().splitlines()
    losses = [float(v) for row in log[1:] if (v := row.split(",")[log[0].split(",").index("epoch_loss")])]
    assert len(losses) == 4
    assert losses[-1] < losses[0]
    # What it has learned does not hang on the windows: whole planes and its own agree.
    planes = {"shape": (16, 512, 512), "stride": (8, 512, 512), "border": "inside"}
    unseen = next(e for e in read_examples(open_project(project_folder), AnnotatedData()) if e.run == "run_001")
    maps = [
        predict_heatmap(checkpoint.net(), standardise(unseen.volume), plan=plan).data.flatten()
        for plan in (TINY_PLAN, TINY_PLAN.model_copy(update=planes))
    ]
    assert torch.corrcoef(torch.stack(maps))[0, 1] > 0.8


def test_norms_are_estimated_on_crops_as_large_as_the_windows(project_folder: Path, tmp_path: Path) -> None:
    """The windows are whole planes; tomograms are 96 wide, and the net's strides 16."""
    windows = TINY_PLAN.model_copy(update={"shape": (16, 512, 512), "stride": (8, 512, 512), "border": "inside"})
    changes = {"windows": windows, "crop_shape": (16, 32, 32), "epochs": 1, "crops_per_epoch": 8, "norm_crops": 3}
    recipe = TINY_TRAINING.model_copy(update=changes)
    checkpoint = train(project_folder, recipe, folder=tmp_path / "t", data=AnnotatedData(runs=("run_000", "run_001")))
    examples = [e for e in read_examples(open_project(project_folder), AnnotatedData()) if e.run == "run_001"]
    net = checkpoint.net()
    shown = normalised(examples, checkpoint.normalisation)
    crops = large_crops(shown, checkpoint.species, recipe, multiple=net.multiple)
    assert crops.recipe.crop == (16, 96, 96)
    estimate_norms(net, crops, most=3)
    for name, values in net.state_dict().items():
        torch.testing.assert_close(values, checkpoint.weights[name], atol=0, rtol=0, msg=name)


def test_both_published_recipes_hold_the_papers_numbers() -> None:
    yu4u, tattaka = TrainingRecipe.read("yu4u"), TrainingRecipe.read("tattaka")
    assert (yu4u.net.backbone, yu4u.net.decoder_widths) == ("convnext_nano.in12k_ft_in1k", (1024, 768, 256))
    assert (yu4u.epochs, yu4u.warmup_epochs, tattaka.epochs, tattaka.warmup_epochs) == (64, 4, 25, 5)
    assert yu4u.windows.shape == (16, 128, 128)
    assert tattaka.windows.shape == (32, 128, 128)
    assert (yu4u.learning_rate, yu4u.weight_decay, yu4u.sigma) == (1e-3, 0.0, 60.074)
    assert (yu4u.loss, tattaka.loss.name) == (LossOptions(name="weighted", floor=0.1), "balanced")
    for recipe, published in ((yu4u, {"target_interpolation": "nearest", "intensity_clip": True}), (tattaka, {})):
        assert (recipe.batch_size, recipe.average_decay, recipe.net.pretrained) == (32, 0.999, True)
        assert recipe.augmentation == AugmentationOptions(
            flip_probability=0.5,
            flip_axes=("x",),
            affine_probability=0.5,
            shift=0.05,
            scale=0.1,
            rotation_degrees=180,
            intensity_probability=0.3,
            intensity=0.3,
            mixup_probability=0.5,
            mixup_alpha=1,
            **published,
        )
        assert PickingPlan.read("paper").windows(recipe.windows) == recipe.windows
    planes = TrainingRecipe.read("yu4u-planes")
    changed = {"crop_shape", "batch_size", "norm_crops", "windows", "validation"}
    assert planes.model_dump(exclude=changed) == yu4u.model_dump(exclude=changed)
    assert planes.batch_size * prod(planes.crop) == yu4u.batch_size * prod(yu4u.crop)  # voxels of an update
    assert PickingPlan.read("paper").windows(planes.windows) == yu4u.windows


def test_only_one_kind_of_width_can_be_set() -> None:
    with pytest.raises(ValidationError, match="`sigma` and `sigma_by_radius` exclude each other"):
        TrainingRecipe(sigma=40.0, sigma_by_radius=0.5)
    assert TrainingRecipe().sigmas([Species("a", 60.0)]) == [60.074]


def test_mixup_mixes_the_loss_and_not_the_target() -> None:
    windows, targets = torch.randn(3, 1, 2, 4, 4), torch.rand(3, 2, 2, 4, 4)
    net = torch.nn.Conv3d(1, 2, kernel_size=1)
    mix = Mix(torch.tensor([2, 0, 1]), 0.3)
    mixed = 0.3 * windows + 0.7 * windows[mix.order]
    expected = 0.3 * weighted_loss(net(mixed), targets) + 0.7 * weighted_loss(net(mixed), targets[mix.order])
    torch.testing.assert_close(mixed_loss(net, windows, targets, recipe=LossOptions(), mix=mix), expected)
    torch.testing.assert_close(
        mixed_loss(net, windows, targets, recipe=LossOptions(), mix=None), weighted_loss(net(windows), targets)
    )


def test_a_data_sets_constants_are_those_of_its_voxels() -> None:
    volumes = [Volume(torch.randn(4, 5, n) * 3e-6 + 1e-6, 10.0) for n in (6, 9)]
    found = data_set_normalisation([Example("r", v, {}) for v in volumes])
    everything = torch.cat([v.data.flatten() for v in volumes]).double()
    assert found.mean == pytest.approx(float(everything.mean()))
    assert found.deviation == pytest.approx(float(everything.std(correction=0)))


def test_a_training_by_data_set_constants_keeps_them_in_the_checkpoint(project_folder: Path, tmp_path: Path) -> None:
    recipe = TINY_TRAINING.model_copy(update={"normalisation": "data_set", "epochs": 1, "crops_per_epoch": 4})
    checkpoint = train(project_folder, recipe, fold=2, folder=tmp_path)
    examples = read_examples(open_project(project_folder), AnnotatedData(runs=("run_000", "run_001")))
    assert checkpoint.normalisation == data_set_normalisation(examples)


ONE_EPOCH = TINY_TRAINING.model_copy(update={"epochs": 1, "crops_per_epoch": 4})
RESUME = Execution(resume=True)


def test_an_epoch_can_be_a_part_of_the_grid(project_folder: Path) -> None:
    project = open_project(project_folder)
    examples = read_examples(project, AnnotatedData())
    crops = Crops(examples, project.species, TINY_TRAINING.model_copy(update={"crops_per_epoch": 5}))
    sampler = ShuffledByEpoch(crops)
    drawn = []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        drawn.append(list(sampler))
    assert len(crops) > 5
    assert [len(set(d)) for d in drawn] == [5, 5]
    assert drawn[0] != drawn[1]


def test_a_small_grid_is_drawn_again_and_shifted_otherwise(project_folder: Path) -> None:
    project = open_project(project_folder)
    examples = read_examples(project, AnnotatedData(runs=("run_000",)))
    grid = len(Crops(examples, project.species, TINY_TRAINING))
    crops = Crops(examples, project.species, TINY_TRAINING.model_copy(update={"crops_per_epoch": 3 * grid}))
    assert sorted(ShuffledByEpoch(crops)) == list(range(3 * grid))
    assert not torch.equal(crops[0][0], crops[grid][0])
    assert len(crops.grid) == grid


def state_of(file: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(file, weights_only=False)
    return state


def test_a_killed_training_resumes_to_the_weights_of_an_unbroken_one(project_folder: Path, tmp_path: Path) -> None:
    """Killed in writing the state of its third epoch, moved, resumed. The first epoch was the best."""
    unbroken, broken, moved = tmp_path / "unbroken", tmp_path / "broken", tmp_path / "moved"
    with subprocess.Popen([sys.executable, killed_training.__file__, project_folder, broken]) as killed:
        train_falling(project_folder, unbroken)
    assert killed.returncode == -signal.SIGKILL
    assert state_of(broken / "last.ckpt")["epoch"] == KILLED_IN_EPOCH - 1
    broken.rename(moved)
    train_falling(project_folder, moved, resume=True)
    for name in ("last", "best-0"):
        a, b = (state_of(folder / f"{name}.ckpt") for folder in (unbroken, moved))
        assert a["epoch"] == b["epoch"] == (killed_training.RECIPE.epochs - 1 if name == "last" else 0)
        for part in ("state_dict", "current_model_state"):
            assert a[part].keys() == b[part].keys()
            for key, value in a[part].items():
                torch.testing.assert_close(value, b[part][key], atol=0, rtol=0, msg=f"{name} {part} {key}")
    assert (moved / "metrics.1.csv").is_file()  # the log of the part before the kill
    assert not broken.exists()


@pytest.fixture(scope="module")
def one_epoch(project_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkpoint, Path]:
    """A training of one epoch, and its folder; tests that write work on a copy."""
    folder = tmp_path_factory.mktemp("trained") / "m.training"
    return train(project_folder, ONE_EPOCH, folder=folder), folder


def in_old_names(value: Any) -> Any:
    """A record with the option names of version 0.1.0."""
    renamed = (TrainingRecipe, AugmentationOptions, PeakOptions, SegmentationOptions, AnnotatedData)
    old = {new: name for options in renamed for name, new in options.RENAMED.items()}
    if isinstance(value, dict):
        return {old.get(key, key): in_old_names(entry) for key, entry in value.items()}
    return [in_old_names(entry) for entry in value] if isinstance(value, list) else value


def test_a_training_stored_under_old_option_names_is_still_the_same_training(
    project_folder: Path, one_epoch: tuple[Checkpoint, Path], tmp_path: Path
) -> None:
    project, trained = open_project(project_folder), one_epoch[0]
    folder = shutil.copytree(one_epoch[1], tmp_path / "m.training")
    for file in folder.glob("*.ckpt"):
        state = state_of(file)
        assert "also_kinds" in in_old_names(state["identity"])
        torch.save({**state, "identity": in_old_names(state["identity"]), "about": in_old_names(state["about"])}, file)
    again = train(project, ONE_EPOCH, folder=folder, execution=RESUME)
    for name, value in trained.weights.items():
        torch.testing.assert_close(again.weights[name], value, atol=0, rtol=0)
    changed = ONE_EPOCH.model_copy(update={"augmentation": AugmentationOptions(flip_probability=0.1), "keep_best": 2})
    with pytest.raises(InputError, match="started with another augmentation, keep_best: give the same options"):
        train(project, changed, folder=folder, execution=RESUME)

    plan = FoldPlan(project, AnnotatedData(), ONE_EPOCH, 0, tmp_path / "m.safetensors")
    old = read_history([in_old_names(event.record()) for event in trained.history])
    assert old != trained.history
    replace(trained, history=old).save(plan.file)
    check_finished(plan, project.runs)
    with pytest.raises(InputError, match="was trained with another recipe: give the same options"):
        check_finished(replace(plan, recipe=ONE_EPOCH.model_copy(update={"keep_best": 2})), project.runs)
    with pytest.raises(InputError, match="was trained with another data, held_out, runs: give the same options"):
        check_finished(replace(plan, number=1, data=AnnotatedData(tomo_type="denoised")), project.runs)


def test_a_training_is_not_resumed_as_another(project: Path, one_epoch: tuple[Checkpoint, Path]) -> None:
    def resumed(recipe: TrainingRecipe, **options: Any) -> None:
        train(project, recipe, folder=one_epoch[1], execution=RESUME, **options)

    with pytest.raises(InputError, match="started with another learning_rate: give the same options"):
        resumed(ONE_EPOCH.model_copy(update={"learning_rate": 1e-4}))
    with pytest.raises(InputError, match="started with another runs, held_out: give the same options"):
        resumed(ONE_EPOCH, fold=1)
    moved = AnnotatedData(first_voxel=-0.5, voxel_size=10.1)
    with pytest.raises(InputError, match="started with another voxel_size, first_voxel: give the same options"):
        resumed(ONE_EPOCH, data=moved)
    config = json.loads((project / "copick_config.json").read_text())
    another = config["pickable_objects"][0] | {"name": "new", "label": 9}
    changed(project / "copick_config.json", pickable_objects=[*config["pickable_objects"], another])
    with pytest.raises(InputError, match="started with another species: give the same options"):
        resumed(ONE_EPOCH)


def test_two_processes_train_side_by_side_to_one_net(project_folder: Path, tmp_path: Path) -> None:
    """Data-parallel on two CPU processes: each sees its half of every batch, and both hold the same weights."""
    out = tmp_path / "m.safetensors"
    words = ["train", project_folder, "--output", out, "--epochs", 1, "--batch-size", 4, "--devices", 2, "--sigma", 40]
    words += ["--net.backbone", "test_efficientnet", "--net.decoder-widths", 16, 12, 8, "--device", "cpu"]
    words += ["--windows.shape", 16, 64, 64, "--windows.stride", 16, 32, 32, "--augmentation.mixup-chance", 0.5]
    words += ["--crop-shape", 16, 64, 64, "--crops-per-epoch", 8]
    done = subprocess.run(
        [sys.executable, "-m", "tomosoup", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("trained on 2 runs") == 1  # one process speaks
    (event,) = load(out).history
    assert event.held_out == "run_000"
    log = (tmp_path / "m.training" / "metrics.csv").read_text().splitlines()
    steps = {row.split(",")[log[0].split(",").index("step")] for row in log[1:]}
    assert max(map(int, steps)) + 1 == 8 // 4  # as many updates as one process would make


def test_side_by_side_each_crop_is_drawn_once(project_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = open_project(project_folder)
    crops = Crops(read_examples(project, AnnotatedData()), project.species, TINY_TRAINING)
    parts = []
    for rank in range(3):
        monkeypatch.setattr(torch.distributed, "get_rank", lambda rank=rank: rank)
        parts.append(list(ShuffledByEpoch(crops, devices=3)))
    assert {len(part) for part in parts} == {len(crops) // 3}
    drawn = [i for part in parts for i in part]
    assert len(set(drawn)) == len(drawn) == len(crops) // 3 * 3
    alone = list(ShuffledByEpoch(crops))[: len(drawn)]
    assert set(alone) == set(drawn)


@pytest.mark.parametrize(
    ("device", "devices", "precision", "asked"),
    [
        ("cuda", 2, "auto", {"accelerator": "cuda", "devices": 2, "strategy": "ddp", "precision": "16-mixed"}),
        ("cuda:1", 1, "auto", {"accelerator": "cuda", "devices": [1], "strategy": "auto", "precision": "16-mixed"}),
        ("cpu", 3, "auto", {"accelerator": "cpu", "devices": 3, "strategy": "ddp", "precision": "32-true"}),
        ("cpu", 1, "64-true", {"accelerator": "cpu", "devices": 1, "strategy": "auto", "precision": "64-true"}),
    ],
)
def test_lightning_gets_the_devices_that_were_asked_for(
    device: str, devices: int, precision: str, asked: dict[str, Any]
) -> None:
    assert lightning_devices(torch.device(device), devices, precision) == asked


def test_a_batch_is_divided_equally_among_the_devices_that_exist() -> None:
    example = Example("r", Volume(torch.zeros(32, 96, 96), 10.0, (5.0, 5.0, 5.0)), {})
    crops = Crops([example], [Species("a", 60.0)], TINY_TRAINING.model_copy(update={"batch_size": 6}))
    assert [batch_of_each_device(crops, "cpu", n) for n in (1, 2, 3)] == [6, 3, 2]
    with pytest.raises(InputError, match="A batch of 6 crops cannot be divided equally among 4 devices"):
        batch_of_each_device(crops, "cpu", 4)
    many = Crops([example], crops.species, crops.recipe.model_copy(update={"batch_size": 600}))
    with pytest.raises(InputError, match=f"An epoch has {many.per_epoch} crops, too few for 600 devices"):
        batch_of_each_device(many, "cpu", 600)
    with pytest.raises(InputError, match="Expected 999 CUDA devices, found"):
        batch_of_each_device(crops, "cuda", 999)


def test_synchronised_norms_keep_the_activations_that_timm_puts_into_them() -> None:
    """Lightning's own conversion would drop them, and the net would be trained without."""
    net = build_net(TINY_TRAINING.net, classes=2).eval()
    window = torch.randn(1, 1, 16, 64, 64)
    with torch.inference_mode():
        before = net(window)
        torch.testing.assert_close(convert_sync_batchnorm(net)(window), before)


def test_folds_are_numbered_before_the_ending_and_those_begun_are_resumed(project_folder: Path, tmp_path: Path) -> None:
    """And a run without a particle that counts, which cannot choose the best weights, has none."""
    project = open_project(project_folder)
    truths = {run: read_truth(project, run) for run in project.runs}
    truths["run_001"] = {"beta-amylase": truths["run_001"]["beta-amylase"]}  # of weight 0
    write_csv(tmp_path / "t.csv", truths)
    (tmp_path / "m-fold2.training").mkdir()
    (tmp_path / "m-fold2.training" / "last.ckpt").touch()
    data = AnnotatedData(truth=str(tmp_path / "t.csv"))
    folds, never = plan_folds(project, ONE_EPOCH, tmp_path / "m.safetensors", data=data, resume=True)
    assert never == ["run_001"]
    assert [(f.number, f.file.name, f.resume, f.done) for f in folds] == [
        (0, "m-fold0.safetensors", False, False),
        (2, "m-fold2.safetensors", True, False),
    ]


def test_runs_without_truth_are_left_out_unless_named(project_folder: Path, tmp_path: Path) -> None:
    project = open_project(project_folder)
    write_csv(tmp_path / "two.csv", {run: read_truth(project, run) for run in ("run_000", "run_002")})
    data = AnnotatedData(truth=str(tmp_path / "two.csv"))
    assert [e.run for e in read_examples(project, data)] == ["run_000", "run_002"]
    with pytest.raises(InputError, match=r"has no picks of run run_001: leave the run out"):
        read_examples(project, data.model_copy(update={"runs": ("run_000", "run_001")}))


def test_a_held_out_run_without_a_particle_that_counts_is_refused(project_folder: Path, tmp_path: Path) -> None:
    """It would leave the first epoch's weights the best for ever."""
    project = open_project(project_folder)
    truth = {run: read_truth(project, run) for run in project.runs}
    truth["run_001"] = {"beta-amylase": truth["run_001"]["beta-amylase"]}  # of weight 0
    write_csv(tmp_path / "t.csv", truth)
    with pytest.raises(InputError, match="Run run_001 holds no particle that counts"):
        train(project, ONE_EPOCH, fold=1, folder=tmp_path / "f", data=AnnotatedData(truth=str(tmp_path / "t.csv")))


def test_shipped_recipes_are_valid_and_unknown_keys_are_not(tmp_path: Path) -> None:
    assert TrainingRecipe.names() == [
        "best", "centernet", "finetune", "small", "soup-big", "soup-big-all", "soup-medium", "soup-tiny", "tattaka",
        "yu4u", "yu4u-planes",
    ]  # fmt: skip
    (tmp_path / "x.toml").write_text("epochs = 3\n[net]\nbackbonne = 'x'\n")
    with pytest.raises(InputError, match=r"no option 'net.backbonne'; expected one of name, backbone"):
        TrainingRecipe.read(tmp_path / "x.toml")
    (tmp_path / "x.toml").write_text("epochs = -3\n")
    with pytest.raises(InputError, match=r"x.toml: epochs: .*expected 1 or more, got -3"):
        TrainingRecipe.read(tmp_path / "x.toml")
    (tmp_path / "x.toml").write_text("epochs = ")
    with pytest.raises(InputError, match="not valid TOML"):
        TrainingRecipe.read(tmp_path / "x.toml")
    with pytest.raises(InputError, match="There is no recipe 'nonsense'; take one of best, centernet, finetune,"):
        TrainingRecipe.read("nonsense")


def test_bad_training_data_are_refused_before_anything_is_made(project_folder: Path, tmp_path: Path) -> None:
    project = open_project(project_folder)
    with pytest.raises(InputError, match="`fold=3`: expected 0 to 2, because 3 runs have true picks"):
        train(project, TINY_TRAINING, fold=3, folder=tmp_path / "t")
    with pytest.raises(InputError, match="There is no training to resume"):
        train(project, TINY_TRAINING, folder=tmp_path / "t", execution=RESUME)
    write_csv(tmp_path / "picks.csv", {"run_000": {"unicorn": Picks.of([[1, 2, 3]])}})
    with pytest.raises(InputError, match=r"Run run_000: .*unicorn, which .* does not list"):
        train(project, TINY_TRAINING, folder=tmp_path / "t", data=AnnotatedData(truth=str(tmp_path / "picks.csv")))
    assert not (tmp_path / "t").exists()
