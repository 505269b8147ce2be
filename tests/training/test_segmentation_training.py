"""Nets that label voxels: their targets, balanced crops, schedule, early stop, and training in two steps."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import TINY_SIMULATION, TINY_TRAINING
from pydantic import ValidationError

from tomosoup.cli.main import main
from tomosoup.core.errors import InputError
from tomosoup.core.types import Picks, Species, Volume
from tomosoup.data.options import AnnotatedData
from tomosoup.data.project import open_project
from tomosoup.inference.options.picking import PickingPlan, SegmentationOptions
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.models.history import Trained, runs_seen
from tomosoup.models.nets.options import UNet3dOptions
from tomosoup.models.window_plan import WindowPlan
from tomosoup.simulation.options.microscope import ReconstructionOptions
from tomosoup.simulation.project import simulate
from tomosoup.training.learner import HELD_OUT_LOSS, Learner
from tomosoup.training.options import AugmentationOptions, Execution, LossOptions, PretrainingOptions, TrainingRecipe
from tomosoup.training.run.best_epochs import kept_checkpoints
from tomosoup.training.run.folds import as_start
from tomosoup.training.run.validation import tile_loss, validate
from tomosoup.training.supervision.crops import Crops, Example, around, read_examples
from tomosoup.training.supervision.losses import training_loss
from tomosoup.training.train import train

TINY_LABELS = TrainingRecipe(
    net=UNet3dOptions(channels=(8, 16, 16), strides=(2, 2), residual_units=1, dropout=0.0),
    loss=LossOptions(name="dice"),
    windows=WindowPlan(shape=(32, 96, 96), stride=(32, 96, 96), border="inside"),
    crop_shape=(24, 24, 24),
    crops_per_tomogram=12,
    batch_size=6,
    augmentation=AugmentationOptions(affine_probability=0.0, intensity_probability=0.0),
    epochs=4,
    warmup_epochs=0.5,
    learning_rate=5e-3,
    average_decay=0.5,
    segmentation=SegmentationOptions(mask=0.3),
)
A, B = Species("a", 50.0), Species("b", 120.0)


def example(shape: tuple[int, int, int] = (40, 60, 80)) -> Example:
    """Five small particles and one large, at 10 Å voxels."""
    random = np.random.default_rng(0)
    truth = {"a": Picks.of(random.uniform(100, 350, (5, 3))), "b": Picks.of([[200.0, 300.0, 600.0]])}
    return Example("r", Volume(torch.randn(shape), 10.0, (5.0, 5.0, 5.0)), truth)


def recipe(**changes: Any) -> TrainingRecipe:
    return TrainingRecipe.model_validate(TINY_LABELS.model_dump() | changes)


def quick(**changes: Any) -> TrainingRecipe:
    """A recipe for what does not depend on how well the net learns: two updates an epoch of the smallest net."""
    small = {
        "net": UNet3dOptions(channels=(4, 6), strides=(2,), residual_units=1, dropout=0.0),
        "segmentation": SegmentationOptions(method="peaks"),
        "crop_shape": (16, 16, 16),
        "crops_per_tomogram": 2,
        "batch_size": 2,
    }
    return recipe(**small | changes)


def test_every_class_is_met_equally_often_at_the_middle_of_a_crop() -> None:
    """A third of the crops is about background, a third about each species, however rare."""
    one = example()
    crops = Crops([one], [A, B], recipe(crop_shape=(9, 9, 9), crops_per_tomogram=300))
    middles = [int(target[0, 4, 4, 4]) for _, target in (crops[i] for i in range(300))]
    counts = np.bincount(middles, minlength=3)
    # A voxel at a ball's surface, or whose crop is moved in from the border, may be of another class.
    assert (np.abs(counts - 100) < 20).all(), counts


def test_a_crop_about_a_particle_covers_its_ball_evenly() -> None:
    one = replace(example(), truth={"b": Picks.of([[200.0, 300.0, 400.0]])})
    random = torch.Generator().manual_seed(0)
    setting = recipe(crop_shape=(2, 2, 2))
    voxels = []
    for turn in range(1, 801, 2):
        region = around(one, [A, B], setting, number=turn, random=random)
        voxels.append([s.start + 1 for s in region])
    distance = np.linalg.norm(one.volume.to_angstrom(voxels) - [200.0, 300.0, 400.0], axis=1)
    # Half of a ball's volume lies beyond 0.794 of its radius.
    assert np.median(distance) == pytest.approx(0.794 * 120, abs=5)
    assert distance.max() < 120 + 10


def test_a_tomogram_without_particles_or_smaller_than_a_crop_gives_crops() -> None:
    empty = replace(example((10, 60, 20)), truth={})
    window, target = Crops([empty], [A, B], recipe())[5]
    assert window.shape == target.shape == (1, 24, 24, 24)
    assert not target.any()


def test_an_update_sees_one_tomogram() -> None:
    crops = Crops([example(), example(), example()], [A, B], recipe(crops_per_tomogram=6))
    order = crops.order()
    assert sorted(order) == list(range(18))
    assert all(len({i // 6 for i in order[first : first + 6]}) == 1 for first in (0, 6, 12))
    orders = set()
    for crops.epoch in range(9):
        orders.add(tuple(crops.order()))
    assert len(orders) > 2


def test_labels_and_window_are_flipped_together() -> None:
    one = example()
    shown = Volume((torch.arange(40 * 60 * 80) % 7).reshape(40, 60, 80).float(), 10.0, one.volume.origin)
    crops = Crops([replace(one, volume=shown)], [A, B], recipe(crop_shape=(40, 60, 80)))
    unchanged = AugmentationOptions(flip_probability=0, affine_probability=0, intensity_probability=0)
    plain = Crops([replace(one, volume=shown)], [A, B], recipe(crop_shape=(40, 60, 80), augmentation=unchanged))
    flipped = set()
    for i in range(12):
        window, target = crops[i]
        for axes in [(), (1,), (2,), (3,), (1, 2), (1, 3), (2, 3), (1, 2, 3)]:
            if torch.equal(plain[i][0].flip(axes), window):
                flipped.add(axes)
                torch.testing.assert_close(plain[i][1].flip(axes), target)
                break
        else:
            pytest.fail("a crop is no flip of its volume")
    assert len(flipped) > 3


def test_turned_labels_stay_labels() -> None:
    crops = Crops([example()], [A, B], recipe(augmentation=AugmentationOptions(affine_probability=1.0)))
    for i in range(6):
        target = crops[i][1]
        assert target.dtype == torch.uint8
        assert set(target.unique().tolist()) <= {0, 1, 2}


def test_the_loss_is_dice_and_cross_entropy_with_the_background() -> None:
    logits, labels = torch.randn(2, 3, 4, 5, 6), torch.randint(0, 3, (2, 1, 4, 5, 6))
    chance = logits.softmax(dim=1)
    truth = torch.nn.functional.one_hot(labels[:, 0], 3).movedim(-1, 1).float()
    both, each = (chance * truth).sum(dim=(2, 3, 4)), (chance + truth).sum(dim=(2, 3, 4))
    dice = (1 - (2 * both + 1e-5) / (each + 1e-5)).mean()
    entropy = -(truth * chance.log()).sum(dim=1).mean()
    loss = training_loss(logits, labels, LossOptions(name="dice"))
    torch.testing.assert_close(loss, dice + entropy)


def test_the_loss_over_tiles_is_that_of_the_whole_where_one_tile_covers_it() -> None:
    one = example((24, 24, 24))
    output = Volume(torch.randn(3, 24, 24, 24), 10.0, one.volume.origin)
    (_, target) = Crops(
        [one], [A, B], recipe(augmentation=AugmentationOptions(flip_probability=0, affine_probability=0))
    )[0]
    expected = training_loss(output.data[None], target[None], LossOptions(name="dice"))
    assert tile_loss(output, one, [A, B], TINY_LABELS) == pytest.approx(float(expected))


def averages(project: Path, folder: Path, **changes: Any) -> tuple[list[float], list[float]]:
    """A weight of the net before each update of two epochs, and in the average after each epoch."""
    weights: list[float] = []
    averaged: list[float] = []

    def first_weight(net: torch.nn.Module) -> float:
        return next(net.parameters()).detach().flatten()[0].item()

    class Noted(Learner):
        def on_train_batch_start(self, *_: Any) -> None:
            weights.append(first_weight(self.net))

        def validation_step(self, *given: Any) -> None:
            averaged.append(first_weight(self.net))
            super().validation_step(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tomosoup.training.train.Learner", Noted)
        train(project, quick(epochs=2, crops_per_tomogram=4, **changes), folder=folder)
    return weights, averaged


@pytest.mark.parametrize("before", [False, True])
def test_the_average_is_the_weights_until_it_begins_and_takes_them_in_before_or_after_each_update(
    project_folder: Path, tmp_path: Path, before: bool
) -> None:
    """Four updates an epoch; a copy for six updates, then 0.9 of the average and 0.1 of the weights."""
    weights, (first, second) = averages(
        project_folder, tmp_path, average_decay=0.9, average_after=6, average_before_update=before
    )
    assert len(weights) == 8
    if before:
        copy = weights[5]
        assert first == weights[3]
        assert second == pytest.approx(0.9 * (0.9 * copy + 0.1 * weights[6]) + 0.1 * weights[7], rel=1e-5)
    else:
        assert first == weights[4]
        assert second != pytest.approx(0.9 * (0.9 * weights[5] + 0.1 * weights[6]) + 0.1 * weights[7], rel=1e-5)


def test_a_net_that_labels_voxels_learns_and_its_checkpoint_is_enough(project_folder: Path, tmp_path: Path) -> None:
    checkpoint = train(project_folder, recipe(epochs=10), fold=1, folder=tmp_path)
    log = (tmp_path / "metrics.csv").read_text().splitlines()
    column = log[0].split(",").index(HELD_OUT_LOSS)
    losses = [float(v) for row in log[1:] if (v := row.split(",")[column])]
    assert len(losses) == 10
    assert losses[-1] < 0.8 * losses[0]
    assert checkpoint.segments_voxels
    assert checkpoint.history[-1].f4 > 0.5
    assert checkpoint.net()(torch.randn(1, 1, 16, 16, 16)).shape == (1, 3, 16, 16, 16)


@pytest.mark.parametrize(
    ("patience", "plateau", "rates"),
    [
        (4, None, [1e-3, 1e-3, 1e-3, 1e-3, 5e-4]),  # half of the patience
        (4, 1, [1e-3, 1e-3, 1e-3, 5e-4, 5e-4]),
        (2, 4, [1e-3, 1e-3, 1e-3]),  # stops before the rate falls, as the 8th place's pretraining of its big net
    ],
)
def test_the_learning_rate_halves_when_the_held_out_loss_stalls_and_training_stops_early(
    project_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    patience: int,
    plateau: int | None,
    rates: list[float],
) -> None:
    """With a loss that never falls."""
    seen: list[float] = []

    def note(self: Learner) -> None:
        seen.append(self.optimizers().param_groups[0]["lr"])  # type: ignore[union-attr]

    monkeypatch.setattr("tomosoup.training.run.validation.tile_loss", lambda *_: 1.0)
    monkeypatch.setattr(Learner, "on_train_epoch_start", note, raising=False)
    lengths = {"patience": patience, "plateau_patience": plateau}
    stalled = quick(schedule="plateau", **lengths, best_by="loss", epochs=50, learning_rate=1e-3)
    checkpoint = train(project_folder, stalled, folder=tmp_path)
    assert seen == rates
    assert checkpoint.history[-1].epoch == 1  # of equals the first
    again = train(project_folder, stalled, folder=tmp_path, execution=Execution(resume=True))
    assert len(seen) == len(rates)  # nothing was left to do
    assert again.history == checkpoint.history
    with pytest.raises(InputError, match="started with another learning_rate: give the same options"):
        train(
            project_folder,
            stalled.model_copy(update={"learning_rate": 1e-4}),
            folder=tmp_path,
            execution=Execution(resume=True),
        )


def test_a_plateau_training_resumes_to_the_weights_of_an_unbroken_one(
    project_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken in its fifth epoch's validation, after the rate had halved."""
    falls = {1: 1.0, 2: 2.0, 3: 3.0, 4: 4.0, 5: 5.0, 6: 6.0}
    count = {"done": 0, "break_at": 0}

    def loss(*_: object) -> float:
        count["done"] += 1
        if count["done"] == count["break_at"]:
            raise KeyboardInterrupt
        return falls[count["done"]]

    monkeypatch.setattr("tomosoup.training.run.validation.tile_loss", loss)
    setting = quick(schedule="plateau", patience=6, best_by="loss", epochs=6)
    train(project_folder, setting, folder=tmp_path / "whole")
    count |= {"done": 0, "break_at": 5}
    with pytest.raises(KeyboardInterrupt):
        train(project_folder, setting, folder=tmp_path / "broken")
    count |= {"done": 4, "break_at": 0}
    train(project_folder, setting, folder=tmp_path / "broken", execution=Execution(resume=True))
    states = [torch.load(tmp_path / f / "last.ckpt", weights_only=False) for f in ("whole", "broken")]
    rates = [s["optimizer_states"][0]["param_groups"][0]["lr"] for s in states]
    assert rates[0] == rates[1] < setting.learning_rate
    for key, value in states[0]["current_model_state"].items():
        torch.testing.assert_close(value, states[1]["current_model_state"][key], atol=0, rtol=0)


def test_the_best_epochs_are_kept_best_first(
    project_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([3.0, 1.0, 4.0, 1.0])  # of equals the earlier is the better
    monkeypatch.setattr("tomosoup.training.run.validation.tile_loss", lambda *_: next(losses))
    checkpoint = train(project_folder, quick(keep_best=3, best_by="loss"), folder=tmp_path)
    kept = kept_checkpoints(tmp_path)
    assert [c.history[-1].epoch for c in kept] == [2, 4, 1]
    assert checkpoint.history == kept[0].history
    for name, value in kept[0].weights.items():
        torch.testing.assert_close(checkpoint.weights[name], value)
    assert any(not torch.equal(kept[1].weights[name], value) for name, value in kept[0].weights.items())
    main(["soup", str(tmp_path), "-o", str(tmp_path / "soup.safetensors")])
    assert len(load(tmp_path / "soup.safetensors").history[0].ingredients) == 3
    with pytest.raises(InputError, match="holds no best epochs"):
        kept_checkpoints(tmp_path / "nowhere")


def test_of_the_epochs_with_the_lowest_loss_the_one_with_the_higher_dice_is_the_model(
    project_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Epochs 2 and 4 have the lowest losses, and 4 of these the higher Dice; 1 and 3 have still higher ones."""
    results = iter([(3.0, 0.9), (1.0, 0.2), (4.0, 0.8), (2.0, 0.5)])

    def validated(*given: Any, **options: Any) -> dict[str, Any]:
        return validate(*given, **options) | dict(zip(("loss", "dice"), next(results), strict=True))

    monkeypatch.setattr("tomosoup.training.learner.validate", validated)
    by_dice = quick(keep_best=2, best_by="loss", validation="soup", best_of_kept="dice")
    chosen = train(project_folder, by_dice, folder=tmp_path).history[-1]
    assert (chosen.epoch, chosen.dice) == (4, 0.5)
    assert [c.history[-1].epoch for c in kept_checkpoints(tmp_path)] == [4, 2]


def test_fine_tuning_starts_from_the_given_weights(project_folder: Path, tmp_path: Path) -> None:
    first = train(project_folder, quick(epochs=1), fold=0, folder=tmp_path / "a")
    still = quick(
        epochs=1, learning_rate=1e-12, average_decay=0.0, augmentation=AugmentationOptions(affine_probability=0.0)
    )
    second = train(project_folder, still, fold=2, folder=tmp_path / "b", start=first)
    for name, value in first.weights.items():
        torch.testing.assert_close(second.weights[name], value, atol=1e-6, rtol=1e-5)
    assert second.history[0] == first.history[0]
    assert runs_seen(second.history).trained == {"run_000", "run_001", "run_002"}
    other = quick(net=UNet3dOptions(channels=(4, 8), strides=(2,), residual_units=1), epochs=1)
    with pytest.raises(InputError, match=r"do not fit this training: they differ in net.channels \(\(4, 6\) and"):
        train(project_folder, other, folder=tmp_path / "c", start=first)


@pytest.fixture(scope="module")
def kinds_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose runs have two kinds of tomogram."""
    folder = tmp_path_factory.mktemp("kinds") / "project"
    kinds = TINY_SIMULATION.model_copy(
        update={"reconstruction": ReconstructionOptions(tomo_types=("denoised", "ctfdeconvolved"))}
    )
    simulate(folder, kinds, runs=2)
    return folder


def test_several_kinds_of_a_run_train_together_and_the_held_out_run_stays_out(
    kinds_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []

    class Noted(Crops):
        def __init__(self, examples: list[Example], *others: Any) -> None:
            seen.append([e.run for e in examples])
            super().__init__(examples, *others)

    monkeypatch.setattr("tomosoup.training.train.Crops", Noted)
    data = AnnotatedData(tomo_type="denoised")
    both = quick(epochs=1, extra_tomo_types=("ctfdeconvolved",))
    checkpoint = train(kinds_folder, both, fold=0, folder=tmp_path / "a", data=data)
    assert seen == [["run_001", "run_001"]]
    assert checkpoint.history[-1].runs == ("run_001",)
    held_out: list[list[str]] = []

    def noted(net: Any, examples: list[Example], *given: Any, **options: Any) -> dict[str, Any]:
        held_out.append([e.run for e in examples])
        assert len({float(e.volume.data[0, 0, 0]) for e in examples}) == len(examples)  # tomograms of their own
        return validate(net, examples, *given, **options)

    monkeypatch.setattr("tomosoup.training.learner.validate", noted)
    for all_types in (False, True):
        plan = both.model_copy(update={"validate_extra_types": all_types})
        assert train(kinds_folder, plan, folder=tmp_path / str(all_types), data=data).history[-1].runs == ("run_001",)
    assert held_out == [["run_000"], ["run_000", "run_000"]]
    assert seen == 3 * [["run_001", "run_001"]]
    with pytest.raises(InputError, match="expected one tomogram of type isonetcorrected, found 0"):
        train(kinds_folder, recipe(extra_tomo_types=("isonetcorrected",)), folder=tmp_path / "b", data=data)
    with pytest.raises(InputError, match="denoised is the main tomogram type already"):
        train(kinds_folder, recipe(extra_tomo_types=("denoised",)), folder=tmp_path / "c", data=data)
    with pytest.raises(ValidationError, match="tomogram types differ in their grey values"):
        recipe(extra_tomo_types=("ctfdeconvolved",), normalisation="data_set")


def test_the_command_pretrains_fine_tunes_every_fold_and_soups(
    project_folder: Path, kinds_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "tiny.toml", tmp_path / "m.safetensors"
    file.write_text(
        "epochs = 1\ncrops_per_tomogram = 2\nbatch_size = 2\ncrop_shape = [16, 16, 16]\n"
        '[net]\nname = "unet3d"\nchannels = [4, 6]\nstrides = [2]\n[loss]\nname = "dice"\n[pretraining]\nepochs = 2\n'
        '[windows]\nshape = [32, 96, 96]\nstride = [32, 96, 96]\nborder = "inside"\n'
    )
    words = ["train", project_folder, "--recipe", file, "--output", out, "--all-folds"]
    words += ["--pretrain-on", kinds_folder, "--pretraining-data.tomo_type", "denoised"]
    main([str(w) for w in words])
    first = load(tmp_path / "m-pretrained.safetensors")
    assert first.history[-1].recipe["epochs"] == 2
    folds = [load(tmp_path / f"m-fold{i}.safetensors") for i in range(3)]
    for fold in folds:
        assert [e.step for e in fold.history] == ["pretrain", "train"]
        assert fold.history[0].recipe == first.history[0].recipe
    assert runs_seen(folds[0].history).trained == {"run_001", "run_002"}  # not the other project's runs of these names
    (tmp_path / "m-fold1.safetensors").unlink()
    before = (tmp_path / "m-pretrained.safetensors").read_bytes()
    capsys.readouterr()
    main([*map(str, words), "--resume"])
    assert capsys.readouterr().out.count("trained before") == 3
    assert (tmp_path / "m-pretrained.safetensors").read_bytes() == before
    for name, value in load(tmp_path / "m-fold1.safetensors").weights.items():
        torch.testing.assert_close(value, folds[1].weights[name], atol=0, rtol=0)
    for other, message in (
        ([*words, "--from", tmp_path / "m-fold0.safetensors"], "m-pretrained.safetensors exists and started"),
        (words[:7], "m-fold0.safetensors exists and started from other weights"),
        (
            [*words[:9], "--pretraining-data.tomo_type", "ctfdeconvolved"],
            "m-pretrained.safetensors exists and was",
        ),
        ([*words, "--truth", "simulation/0"], "m-fold0.safetensors exists and was trained with another data"),
    ):
        with pytest.raises(SystemExit):
            main([*map(str, other), "--resume"])
        assert message in capsys.readouterr().err
    files = [str(tmp_path / f"m-fold{i}.safetensors") for i in range(3)]
    main(["soup", *files, "-o", str(tmp_path / "soup.safetensors")])
    assert "the mean of 3 checkpoints" in capsys.readouterr().out


def test_both_projects_of_a_pretraining_have_the_same_species(
    project_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = TINY_SIMULATION.model_copy(update={"concentration": {"apo-ferritin": 30000.0}})
    simulate(tmp_path / "one", one, runs=2)
    out = tmp_path / "m.safetensors"
    with pytest.raises(SystemExit):
        main(["train", str(project_folder), "--output", str(out), "--pretrain-on", str(tmp_path / "one")])
    assert "must list the same species" in capsys.readouterr().err
    assert not list(tmp_path.glob("m*"))


def test_a_pretrained_checkpoint_starts_as_one_of_another_project(checkpoint: Checkpoint) -> None:
    first = replace(checkpoint, history=(Trained(runs=("run_001",), held_out="run_000"),))
    assert [e.step for e in as_start(first).history] == ["pretrain"]
    assert runs_seen(as_start(first).history).trained == set()
    assert first.history[0].step == "train"


def test_the_four_soup_recipes_hold_the_8th_places_numbers() -> None:
    found = {n: TrainingRecipe.read(f"soup-{n}") for n in ("tiny", "medium", "big", "big-all")}
    assert {n: (r.net.channels, r.net.residual_units, r.net.dropout) for n, r in found.items()} == {  # type: ignore[union-attr]
        "tiny": ((32, 64, 128, 128), 1, 0.3),
        "medium": ((32, 64, 128, 256), 2, 0.3),
        "big": ((32, 96, 256, 384), 2, 0.0),
        "big-all": ((32, 96, 256, 384), 2, 0.0),
    }
    assert {n: r.for_pretraining().net.dropout for n, r in found.items()} == {  # type: ignore[union-attr]
        "tiny": 0.3, "medium": 0.3, "big": 0.2, "big-all": 0.2
    }  # fmt: skip
    assert {n: r.crops_per_tomogram for n, r in found.items()} == {"tiny": 24, "medium": 16, "big": 16, "big-all": 16}
    assert {n: (r.pretraining.patience, r.patience) for n, r in found.items()} == {
        "tiny": (30, 32), "medium": (30, 16), "big": (30, 100), "big-all": (30, 100)
    }  # fmt: skip
    assert {n: (r.for_pretraining().plateau_patience, r.plateau_patience) for n, r in found.items()} == {
        "tiny": (None, None), "medium": (None, None), "big": (50, 50), "big-all": (50, 50)
    }  # fmt: skip
    three = ("ctfdeconvolved", "isonetcorrected")
    assert {n: r.extra_tomo_types for n, r in found.items()} == {
        "tiny": (),
        "medium": three,
        "big": (),
        "big-all": three,
    }
    assert {n: (r.keep_best, r.best_of_kept, r.validate_extra_types) for n, r in found.items()} == {
        "tiny": (2, "dice", False),
        "medium": (2, "dice", False),
        "big": (1, "loss", False),
        "big-all": (1, "loss", True),
    }
    for name, r in found.items():
        assert r.validation == "soup"
        assert r.batch_size == r.crops_per_tomogram  # an update is one tomogram
        assert (r.crop, r.learning_rate, r.schedule, r.best_by) == ((128, 128, 128), 1e-3, "plateau", "loss")
        assert (r.loss.name, r.normalisation, r.segments_voxels) == ("dice", "volume", True)
        average = r.average_decay, r.average_after, r.average_before_update
        assert average == ((0.99, 100, True) if "big" in name else (0.0, 0, False))
        assert 6 * r.crops_per_tomogram // r.batch_size == 6  # updates of an epoch on six denoised tomograms
        assert r.augmentation == AugmentationOptions(affine_probability=0.0, intensity_probability=0.0)
        theirs = WindowPlan(shape=(160, 384, 384), stride=(120, 288, 288), weighting="gaussian", border="inside")
        assert PickingPlan.read("soup").windows(r.windows) == theirs
        assert r.for_pretraining().extra_tomo_types == ()
        assert r.for_pretraining().patience == r.pretraining.patience


def test_fine_tuning_from_a_file_has_the_dropout_of_the_recipe() -> None:
    pretrained = TrainingRecipe.read("soup-big").for_pretraining().net
    assert pretrained.dropout == 0.2  # type: ignore[union-attr]
    assert TrainingRecipe.read("soup-big").with_net(pretrained).net.dropout == 0  # type: ignore[union-attr]


def test_what_does_not_go_together_in_a_recipe_is_said() -> None:
    for changes, message in (
        ({"loss": LossOptions()}, "`loss.name` must be dice for segmentation models"),
        ({"schedule": "plateau"}, "the plateau schedule needs `patience` or `plateau_patience`"),
    ):
        with pytest.raises(ValidationError, match=message):
            recipe(**changes)
    with pytest.raises(ValidationError, match="weighted or balanced for heatmap models"):
        TrainingRecipe(net=TINY_TRAINING.net, loss=LossOptions(name="dice"))
    assert recipe(pretraining=PretrainingOptions(epochs=9)).for_pretraining().epochs == 9
    plain = recipe(schedule="plateau", patience=3).for_pretraining()
    assert (plain.epochs, plain.patience) == (TINY_LABELS.epochs, 3)


def test_examples_of_a_kind_are_read_for_the_runs_that_are_named(kinds_folder: Path) -> None:
    project = open_project(kinds_folder)
    (one,) = read_examples(project, AnnotatedData(tomo_type="ctfdeconvolved", runs=("run_001",)))
    assert one.run == "run_001"
