"""Training that starts from weights: for other species, by the command line, with a slow or frozen encoder."""

from pathlib import Path

import pytest
import torch
from conftest import TINY_TRAINING
from small_models import A1, A2, B

from tomosoup.cli.main import main
from tomosoup.core.errors import InputError
from tomosoup.core.types import Species
from tomosoup.data.project import open_project
from tomosoup.models.adapt import for_species
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.models.nets.build import build_net
from tomosoup.models.nets.options import Architecture
from tomosoup.models.window_plan import WindowPlan
from tomosoup.training.options import TrainingRecipe
from tomosoup.training.train import train

RIBOSOME, FERRITIN, VIRUS, NEW = (Species(name, 100.0) for name in ("ribosome", "apo-ferritin", "virus", "new"))
NETS = {"A1": A1, "A1-plain": A1.model_copy(update={"head": "plain", "decoder_widths": (16, 12, 48)}), "A2": A2, "B": B}


@pytest.fixture(scope="module", params=NETS.values(), ids=NETS.keys())
def start(request: pytest.FixtureRequest) -> Checkpoint:
    """Random weights for three species; all biases are random, too, so that outputs differ."""
    torch.manual_seed(0)
    net = build_net(request.param, classes=3)
    weights = {
        name: w + 0.01 * torch.randn_like(w) if w.is_floating_point() else w for name, w in net.state_dict().items()
    }
    return Checkpoint(
        weights, request.param, (RIBOSOME, FERRITIN, VIRUS), 10.0, WindowPlan(), thresholds={"virus": 0.5}
    )


@torch.inference_mode()
def test_species_keep_their_channels_in_any_order(start: Checkpoint) -> None:
    ahead, x = int(start.segments_voxels), torch.randn(1, 1, 16, 64, 64)
    turned = for_species(start, [VIRUS, RIBOSOME, FERRITIN])
    before, after = start.net()(x)[:, ahead:], turned.net()(x)[:, ahead:]
    torch.testing.assert_close(after, before[:, [2, 0, 1]], atol=1e-5, rtol=1e-4)
    assert not torch.allclose(after, before, atol=1e-3)
    assert not turned.thresholds
    assert for_species(start, start.species) is start


@torch.inference_mode()
def test_species_that_are_gone_or_new_leave_the_others_as_they_are(start: Checkpoint) -> None:
    if start.segments_voxels:  # its last convolutions mix the classes
        pytest.skip("only nets of heatmaps have channels that know nothing of each other")
    x = torch.randn(1, 1, 16, 64, 64)
    before = start.net()(x)
    for species in ((NEW,), (NEW, VIRUS), (NEW, VIRUS, RIBOSOME, FERRITIN, Species("other", 50.0))):
        after = for_species(start, species).net()(x)
        assert after.shape[1] == len(species)
        for channel, kind in enumerate(species):
            if kind in start.species:
                own = before[:, start.species.index(kind)]
                torch.testing.assert_close(after[:, channel], own, atol=1e-5, rtol=1e-4)


def test_only_the_output_is_new_for_other_species(start: Checkpoint) -> None:
    other = for_species(start, [NEW, VIRUS]).weights
    new = [name for name, w in start.weights.items() if w.shape != other[name].shape or not torch.equal(w, other[name])]
    assert 0 < sum(start.weights[name].numel() for name in new) < 0.2 * sum(w.numel() for w in start.weights.values())


def checkpoint_for(architecture: Architecture, path: Path) -> Path:
    """A file of random weights for two species, one of which the simulated project has."""
    net = build_net(architecture, classes=2)
    Checkpoint(net.state_dict(), architecture, (NEW, FERRITIN), 10.0, WindowPlan()).save(path)
    return path


def test_fine_tuning_by_the_command_line_takes_net_and_recipe(project_folder: Path, tmp_path: Path) -> None:
    first = checkpoint_for(TINY_TRAINING.net, tmp_path / "first.safetensors")
    words = ["train", project_folder, "--from", first, "--output", tmp_path / "tuned.safetensors"]
    words += ["--epochs", "1", "--crops-per-epoch", "2", "--norm-crops", "2"]
    main([str(w) for w in words])
    tuned = load(tmp_path / "tuned.safetensors")
    assert tuned.architecture == TINY_TRAINING.net
    assert [s.name for s in tuned.species] == ["apo-ferritin", "beta-amylase"]
    used, shipped = TrainingRecipe.of(tuned.history[-1].recipe, source="history"), TrainingRecipe.read("finetune")
    assert used.learning_rate == shipped.learning_rate
    assert used.windows == shipped.windows
    assert used.net == TINY_TRAINING.net


def test_a_net_without_an_encoder_is_fine_tuned_as_a_whole(
    project_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = checkpoint_for(B.model_copy(update={"output": "heatmaps"}), tmp_path / "first.safetensors")
    words = ["train", project_folder, "--from", first, "--output", tmp_path / "tuned.safetensors"]
    with pytest.raises(SystemExit):
        main([str(w) for w in [*words, "--encoder-rate", "0.5"]])
    assert "unet3d has no encoder that is trained apart: set --encoder-rate to 1" in capsys.readouterr().err
    main([str(w) for w in [*words, "--epochs", "1", "--crops-per-epoch", "4", "--average-decay", "0"]])
    before, after = load(first).weights, load(tmp_path / "tuned.safetensors").weights
    moved = [name for name, w in before.items() if w.shape == after[name].shape and not torch.equal(w, after[name])]
    assert len(moved) > len(before) // 2


def test_a_recipe_for_the_other_system_is_refused(
    project_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = checkpoint_for(B, tmp_path / "labels.safetensors")
    with pytest.raises(SystemExit):
        main(["train", str(project_folder), "--from", str(labels), "--output", str(tmp_path / "no.safetensors")])
    assert "loss.name must be dice for segmentation models" in capsys.readouterr().err
    assert not (tmp_path / "no.training").exists()


@pytest.mark.parametrize("share", [0.0, 0.01])
def test_an_encoder_can_learn_more_slowly_or_not_at_all(project_folder: Path, tmp_path: Path, share: float) -> None:
    recipe = TINY_TRAINING.model_copy(
        update={"epochs": 1, "crops_per_epoch": 8, "encoder_rate": share, "average_decay": 0.0}
    )
    project = open_project(project_folder)
    torch.manual_seed(1)
    start = Checkpoint(build_net(recipe.net, classes=2).state_dict(), recipe.net, project.species, 10.0, recipe.windows)
    tuned = train(project, recipe, folder=tmp_path / "t", start=start)
    moved = {
        part: max(
            float((tuned.weights[name] - w).abs().max())
            for name, w in start.weights.items()
            if name.startswith(part) and name.endswith("weight") and w.ndim > 1
        )
        for part in ("encoder", "steps")
    }
    assert moved["steps"] > 1e-4
    assert moved["encoder"] < (0.1 * moved["steps"] if share else 1e-12)
    assert bool(moved["encoder"]) == bool(share)


@pytest.mark.parametrize("frozen", [False, True])
def test_frozen_norms_keep_the_statistics_that_they_start_with(
    project_folder: Path, tmp_path: Path, frozen: bool
) -> None:
    """Through two epochs with their validations, and although the recipe would estimate them."""
    recipe = TINY_TRAINING.model_copy(
        update={"epochs": 2, "crops_per_epoch": 8, "warmup_epochs": 0, "norm_crops": 2, "freeze_norms": frozen}
    )
    species = open_project(project_folder).species
    start = Checkpoint(build_net(recipe.net, classes=2).state_dict(), recipe.net, species, 10.0, recipe.windows)
    tuned = train(project_folder, recipe, folder=tmp_path / "t", start=start)
    statistics = [name for name in start.weights if "running" in name]
    assert statistics
    assert all(torch.equal(tuned.weights[n], start.weights[n]) for n in statistics) == frozen
    assert any(not torch.equal(tuned.weights[n], w) for n, w in start.weights.items() if n.endswith("weight"))


def test_norms_without_statistics_cannot_be_frozen(project_folder: Path, tmp_path: Path) -> None:
    recipe = TINY_TRAINING.model_copy(update={"freeze_norms": True})
    with pytest.raises(InputError, match="this training starts from random weights"):
        train(project_folder, recipe, folder=tmp_path / "t")


def test_weights_of_another_net_are_refused(project_folder: Path, tmp_path: Path) -> None:
    other = TINY_TRAINING.net.model_copy(update={"decoder_widths": (8, 8, 8)})
    start = Checkpoint(build_net(other, classes=1).state_dict(), other, (NEW,), 10.0, TINY_TRAINING.windows)
    with pytest.raises(InputError, match=r"differ in net.decoder_widths .* of the same net and voxel size"):
        train(open_project(project_folder), TINY_TRAINING, folder=tmp_path / "t", start=start)


def test_a_net_with_inner_layers_as_narrow_as_its_species_is_refused() -> None:
    narrow = A1.model_copy(update={"head": "plain"})
    start = Checkpoint(
        build_net(narrow, classes=3).state_dict(), narrow, (RIBOSOME, FERRITIN, VIRUS), 10.0, WindowPlan()
    )
    with pytest.raises(InputError, match="as narrow as its 3 species and do not fit 1"):
        for_species(start, [VIRUS])
