"""Soups: what a mean of weights keeps, what it refuses, what a greedy one takes, and whose runs are still unseen."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tomosoup.cli.main import main
from tomosoup.core.errors import InputError
from tomosoup.core.types import Species
from tomosoup.data.options import AnnotatedData, Normalisation
from tomosoup.data.project import open_project
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.models.history import Trained, held_out_run, runs_seen
from tomosoup.models.nets.build import build_net
from tomosoup.models.nets.options import NetOptions, UNet3dOptions
from tomosoup.models.soup import greedy_soup, soup
from tomosoup.models.window_plan import WindowPlan
from tomosoup.training.make_soup import make_soup
from tomosoup.training.run.batch_norm import has_batch_norm, training_crops, with_statistics
from tomosoup.training.supervision.crops import Crops, normalised, read_examples

SMALL = UNet3dOptions(channels=(4, 6), strides=(2,), residual_units=1, dropout=0.1)


def made(project_folder: Path, seed: int, *, held_out: str = "run_000") -> Checkpoint:
    """An untrained 3D U-Net that says it was trained on all runs but one."""
    species = open_project(project_folder).species
    torch.manual_seed(seed)
    runs = [run for run in ("run_000", "run_001", "run_002") if run != held_out]
    return Checkpoint(
        weights=build_net(SMALL, classes=len(species)).state_dict(),
        architecture=SMALL,
        species=species,
        voxel_size=10.0,
        windows=WindowPlan(shape=(16, 32, 32), stride=(16, 32, 32), border="inside"),
        thresholds={s.name: 0.1 * (seed + 1) for s in species},
        history=(Trained(runs=tuple(runs), held_out=held_out, epoch=1, f4=0.1),),
    )


@pytest.fixture
def three(project_folder: Path) -> list[Checkpoint]:
    """Three of them, each of another fold."""
    return [made(project_folder, seed, held_out=f"run_00{seed}") for seed in range(3)]


def test_a_soup_of_one_net_with_itself_is_that_net(three: list[Checkpoint]) -> None:
    again = soup([three[0]] * 3)
    for name, value in three[0].weights.items():
        torch.testing.assert_close(again.weights[name], value, atol=0, rtol=1e-7)
    assert again.thresholds == pytest.approx(three[0].thresholds)


def test_the_order_of_the_ingredients_makes_no_difference(three: list[Checkpoint]) -> None:
    a, b = soup(three), soup(three[::-1])
    for name, value in a.weights.items():
        torch.testing.assert_close(b.weights[name], value, atol=0, rtol=1e-6)


def test_a_weighted_soup_is_the_weighted_mean(three: list[Checkpoint]) -> None:
    mixed = soup(three[:2], weights=[3.0, 1.0])
    for name in mixed.weights:
        expected = 0.75 * three[0].weights[name] + 0.25 * three[1].weights[name]
        torch.testing.assert_close(mixed.weights[name], expected)
    assert mixed.thresholds == pytest.approx(dict.fromkeys(three[0].thresholds, 0.75 * 0.1 + 0.25 * 0.2))
    assert mixed.net()(torch.randn(1, 1, 16, 32, 32)).shape == (1, 3, 16, 32, 32)


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"voxel_size": 12.0}, r"voxel size \(10 and 12 Å\)"),
        ({"species": (Species("ribosome", 150.0), Species("a", 20.0))}, r"species \(apo-ferritin 60 Å, beta-amylase"),
        ({"species": "reversed"}, r"species \(apo-ferritin 60 Å, beta-amylase 65 Å and beta-amylase 65 Å, apo-"),
        ({"architecture": SMALL.model_copy(update={"channels": (4, 8)})}, r"net.channels \(\(4, 6\) and \(4, 8\)\)"),
        ({"architecture": NetOptions()}, r"net.name \(unet3d and shuffle_unet\)"),
        ({"normalisation": Normalisation(mean=1.0, deviation=2.0)}, "the scaling of grey values"),
    ],
)
def test_what_does_not_go_together_is_refused_and_named(
    three: list[Checkpoint], changes: dict[str, object], difference: str
) -> None:
    if changes.get("species") == "reversed":
        changes = {"species": three[1].species[::-1]}
    other = replace(three[1], **changes)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=f"Checkpoints 1 and 2 cannot be averaged: they differ in {difference}"):
        soup([three[0], other])


def test_options_of_training_alone_make_no_difference(three: list[Checkpoint]) -> None:
    other = replace(three[1], architecture=SMALL.model_copy(update={"dropout": 0.7}))
    assert not three[0].differences(other)
    soup([three[0], other])


def test_weights_must_be_positive_and_one_each(three: list[Checkpoint]) -> None:
    with pytest.raises(InputError, match="A soup needs at least one checkpoint, got none"):
        soup([])
    for weights in ([1.0], [1.0, 0.0]):
        with pytest.raises(InputError, match=r"Expected one positive weight for each checkpoint \(2\), got 1"):
            soup(three[:2], weights=weights)


def test_a_greedy_soup_takes_what_raises_the_score_and_leaves_the_rest(three: list[Checkpoint]) -> None:
    """The score is how near the first weight is to a goal: two of the ingredients lie on either side of it, one far."""
    key = next(iter(three[0].weights))
    first = [replace(c, weights={**c.weights, key: torch.full_like(c.weights[key], v)})
             for c, v in zip(three, (5.0, 1.2, 0.9), strict=True)]  # fmt: skip
    asked = []

    def near(checkpoint: Checkpoint) -> float:
        asked.append(float(checkpoint.weights[key].flatten()[0]))
        return -abs(asked[-1] - 1.0)

    found, steps = greedy_soup(first, near)
    assert [(number, kept) for number, _, kept in steps] == [(2, True), (1, True), (0, False)]
    assert [value for _, value, _ in steps] == pytest.approx([-0.1, -0.05, abs(7.1 / 3 - 1) * -1])
    torch.testing.assert_close(found.weights[key], torch.full_like(three[0].weights[key], 1.05))
    assert asked[:3] == pytest.approx([5.0, 1.2, 0.9])  # each alone first


def test_no_run_is_unseen_once_every_fold_is_in(three: list[Checkpoint]) -> None:
    seen = runs_seen(soup(three).history)
    assert seen.trained == seen.held_out == {"run_000", "run_001", "run_002"}
    assert runs_seen(three[0].history).trained == {"run_001", "run_002"}
    pretrained = replace(three[0], history=(Trained(step="pretrain", runs=("x",), held_out="y"), *three[0].history))
    assert runs_seen(pretrained.history) == runs_seen(three[0].history)  # of another project
    twice = soup([soup(three[:2]), three[2]])
    assert runs_seen(twice.history) == seen


def test_a_soup_of_one_trainings_epochs_still_holds_its_run_out(project_folder: Path) -> None:
    epochs = [made(project_folder, seed) for seed in range(2)]
    assert held_out_run(soup(epochs).history) == "run_000"
    with pytest.raises(InputError, match="names no held-out run"):
        held_out_run(soup([epochs[0], made(project_folder, 2, held_out="run_001")]).history)


BATCH_NORM = NetOptions(backbone="test_efficientnet", input_slices=3, decoder_widths=(16, 12, 8))


def test_statistics_of_a_soup_with_batch_norm_are_those_of_its_own_activations(
    project_folder: Path, checkpoint: Checkpoint
) -> None:
    from conftest import TINY_TRAINING

    torch.manual_seed(1)
    other = replace(checkpoint, weights=build_net(checkpoint.architecture, classes=2).state_dict())
    mean = soup([checkpoint, other])
    assert has_batch_norm(mean.net())
    project = open_project(project_folder)
    crops = Crops(normalised(read_examples(project, AnnotatedData()), Normalisation()), project.species, TINY_TRAINING)
    mended = with_statistics(mean, crops)
    changed = {k for k, v in mended.weights.items() if not torch.equal(v, mean.weights[k])}
    assert changed
    assert all("running_" in k or "num_batches" in k for k in changed)
    # On the crops that it was estimated from, a norm's input has its running mean, layer by layer.
    net = mended.net()
    first = next(m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d))
    inputs = []
    first.register_forward_hook(lambda _, args, __: inputs.append(args[0].mean(dim=(0, 2, 3))))
    with torch.no_grad():
        for i in crops.order()[: 8 * (len(crops) // 8)]:
            net(crops[i][0][None])
    torch.testing.assert_close(torch.stack(inputs).mean(dim=0), first.running_mean, atol=2e-3, rtol=2e-2)
    assert with_statistics(soup([made(project_folder, 0)]), crops).history  # nothing to do without batch norm


def test_norms_of_a_soup_are_of_crops_as_large_as_those_of_its_training(
    project_folder: Path, checkpoint: Checkpoint
) -> None:
    from conftest import TINY_PLAN, TINY_TRAINING

    planes = TINY_PLAN.model_copy(update={"shape": (16, 512, 512), "stride": (8, 512, 512), "border": "inside"})
    for recipe, wanted in (
        (TINY_TRAINING, (16, 64, 64)),
        (
            TINY_TRAINING.model_copy(update={"windows": planes, "crop_shape": (16, 32, 32), "norm_crops": 3}),
            (16, 96, 96),
        ),
    ):
        event = Trained(recipe=recipe.model_dump(mode="json"), runs=("run_000",), held_out="run_001")
        mean = replace(checkpoint, history=(event,))
        crops = training_crops(open_project(project_folder), AnnotatedData(), mean)
        assert crops.recipe.crop == wanted
        assert [e.run for e in crops.examples] == ["run_000"]


def saved(folder: Path, checkpoints: list[Checkpoint]) -> list[str]:
    """Files of some checkpoints."""
    for i, checkpoint in enumerate(checkpoints):
        checkpoint.save(folder / f"{i}.safetensors")
    return [str(folder / f"{i}.safetensors") for i in range(len(checkpoints))]


def test_the_command_makes_a_soup_and_warns_that_nothing_is_unseen(
    three: list[Checkpoint], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files, out = saved(tmp_path, three), tmp_path / "soup.safetensors"
    main(["soup", *files, "-o", str(out), "--weights", "1", "2", "1"])
    said = capsys.readouterr().out
    assert "the mean of 3 checkpoints" in said
    assert "No known run is unseen by every ingredient: a score on any of them is not a held-out score." in said
    made_soup = load(out)
    for name, value in soup(three, weights=[1, 2, 1]).weights.items():
        torch.testing.assert_close(made_soup.weights[name], value, atol=0, rtol=0)
    before = out.read_bytes()
    with pytest.raises(SystemExit):
        main(["soup", *files, "-o", str(out)])
    assert "exists already" in capsys.readouterr().err
    assert out.read_bytes() == before
    replace(three[0], voxel_size=12.0).save(other := tmp_path / "other.safetensors")
    for words, message in (
        ([files[0], str(other)], "other.safetensors cannot be averaged: they differ in voxel size (10 and 12 Å)"),
        ([str(tmp_path / "no.safetensors")], "There is no checkpoint at"),
        ([*files, "--weights", "1", "2"], "Expected one positive weight for each checkpoint (3), got 1, 2."),
        ([*files, "--weights", "1", "2", "1", "--greedy"], "A greedy soup gives all that it keeps the same weight"),
    ):
        with pytest.raises(SystemExit) as end:
            main(["soup", *words, "-o", str(out), "--overwrite"])
        assert end.value.code == 1
        assert message in capsys.readouterr().err
    assert out.read_bytes() == before
    main(["soup", *files[:1], "--output", str(out), "--overwrite"])
    assert "run_000 chose the weights: a score there is too high." in capsys.readouterr().out


def test_a_greedy_soup_of_the_command_names_the_runs_that_chose_it(
    three: list[Checkpoint], project_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files, out = saved(tmp_path, three), tmp_path / "soup.safetensors"
    words = ["soup", *files, "-o", str(out), "--greedy", "--segmentation.by", "peaks"]
    with pytest.raises(SystemExit):
        main(words)
    assert "A greedy soup is chosen by annotated runs: give their --project" in capsys.readouterr().err
    words += ["--project", str(project_folder)]
    with pytest.raises(SystemExit):
        main(words)
    assert "has none (annotated are run_000, run_001, run_002): name runs with --runs" in capsys.readouterr().err
    assert not out.exists()
    main([*words, "--runs", "run_001"])
    said = capsys.readouterr().out
    assert "not a held-out score" in said
    assert "An ingredient was trained on run_001: a score there is too high." in said
    assert said.count("Kept ") + said.count("Left ") == 3
    assert "on run_001 (best thresholds there), where ingredients and thresholds were chosen" in said
    (event,) = load(out).history
    assert event.chosen_on == ("run_001",)
    assert len(event.ingredients) == said.count("Kept ")


def test_a_run_that_no_ingredient_saw_sets_the_thresholds(
    project_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history = (Trained(runs=("run_000",), held_out="run_001", epoch=1, f4=0.1),)
    two = [replace(made(project_folder, seed), history=history) for seed in range(2)]
    out = tmp_path / "soup.safetensors"
    main(["soup", *saved(tmp_path, two), "-o", str(out), "--project", str(project_folder)])
    said = capsys.readouterr().out
    assert "Seen by no ingredient: run_002." in said
    assert "on run_002 (best thresholds there), where thresholds were chosen" in said
    assert load(out).history[0].chosen_on == ("run_002",)
    assert runs_seen(load(out).history).held_out == {"run_001", "run_002"}


def test_a_soup_whose_norms_were_frozen_keeps_them(checkpoint: Checkpoint) -> None:
    """Fine-tunings with frozen norms have the statistics of what they started from."""
    moved = {k: w if "running_" in k or not w.is_floating_point() else w + 1 for k, w in checkpoint.weights.items()}
    made = make_soup([checkpoint, replace(checkpoint, weights=moved)]).checkpoint
    statistics = [k for k in moved if "running_" in k]
    assert statistics
    assert all(torch.equal(made.weights[k], moved[k]) for k in statistics)


def test_a_soup_with_batch_norm_needs_its_training_runs(
    project_folder: Path, checkpoint: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history = (Trained(runs=("run_000", "run_002"), held_out="run_001", epoch=1, f4=0.1),)
    torch.manual_seed(1)
    weights = build_net(checkpoint.architecture, classes=2).state_dict()
    weights |= {name: w + 1 for name, w in weights.items() if name.endswith("running_mean")}
    other = replace(checkpoint, weights=weights, history=history)
    files, out = saved(tmp_path, [replace(checkpoint, history=history), other]), tmp_path / "soup.safetensors"
    with pytest.raises(SystemExit):
        main(["soup", *files, "-o", str(out)])
    assert "The net shuffle_unet has batch norm, whose statistics must be re-estimated" in capsys.readouterr().err
    main(["soup", *files, "-o", str(out), "--project", str(project_folder), "--runs", "run_001"])
    plain = soup([load(f) for f in files])
    changed = {k for k, v in load(out).weights.items() if not torch.equal(v, plain.weights[k])}
    assert changed
    assert all("running_" in k or "num_batches" in k for k in changed)
