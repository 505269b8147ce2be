"""What the 4th place's paper compares its nets with: each trains, and picks from its checkpoint alone."""

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from tomosoup.data.project import open_project
from tomosoup.data.tomogram import open_tomogram
from tomosoup.data.truth import read_truth
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.inference.pick import pick
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.models.history import last_training
from tomosoup.models.nets.options import Architecture, NetOptions, ResNetUNet3dOptions, UNet3dOptions
from tomosoup.models.window_plan import WindowPlan
from tomosoup.scoring.thresholds import best_thresholds
from tomosoup.training.options import AugmentationOptions, LossOptions, TrainingRecipe
from tomosoup.training.train import train

NO_TURNS = AugmentationOptions(affine_probability=0.0, intensity_probability=0.0)


def heatmap_recipe(net: Architecture) -> TrainingRecipe:
    """A short training of a net on cubes."""
    return TrainingRecipe(
        net=net,
        windows=WindowPlan(shape=(32, 32, 32), stride=(32, 32, 32)),
        epochs=2,
        warmup_epochs=0.2,
        batch_size=4,
        learning_rate=5e-3,
        average_decay=0.5,
        sigma=40.0,
        augmentation=NO_TURNS,
    )


def trained_and_read(project: Path, recipe: TrainingRecipe, folder: Path) -> Checkpoint:
    """The checkpoint of a training, from its file."""
    train(project, recipe, folder=folder / "t").save(folder / "model.safetensors")
    return load(folder / "model.safetensors")


@pytest.mark.parametrize(
    "net",
    [
        UNet3dOptions(channels=(8, 16, 16), strides=(2, 2), dropout=0.0, output="heatmaps"),
        ResNetUNet3dOptions(backbone="resnet10", decoder_widths=(16, 16, 8, 8, 8)),
    ],
    ids=["unet3d", "resnet_unet3d"],
)
def test_a_3d_unet_trains_with_a_heatmap_loss_and_picks(
    project_folder: Path, tmp_path: Path, net: UNet3dOptions | ResNetUNet3dOptions
) -> None:
    recipe = heatmap_recipe(net)
    if net.name == "resnet_unet3d":  # its smallest backbone has twenty million parameters
        recipe = recipe.model_copy(update={"epochs": 1, "crops_per_epoch": 24, "batch_size": 2, "learning_rate": 1e-2})
    model = trained_and_read(project_folder, recipe, tmp_path)
    assert model.architecture == net
    assert not model.segments_voxels
    species = open_project(project_folder).species
    assert model.channels == species  # no background
    assert model.net()(torch.zeros(1, 1, 32, 32, 32)).shape == (1, len(species), 32, 32, 32)
    found = pick(open_tomogram(project_folder, last_training(model.history).held_out), model)
    assert sum(map(len, found.values())) > 0


def test_a_net_that_predicts_centres_trains_and_finds_particles(project_folder: Path, tmp_path: Path) -> None:
    net = NetOptions(backbone="test_efficientnet", input_slices=3, decoder_widths=(32, 24, 16), head="centres")
    recipe = TrainingRecipe(
        net=net,
        loss=LossOptions(name="focal"),
        windows=WindowPlan(shape=(16, 64, 64), stride=(16, 32, 32)),
        epochs=8,
        validate_every=8,
        warmup_epochs=0.5,
        batch_size=4,
        learning_rate=5e-3,
        average_decay=0.5,
        sigma=40.0,
        augmentation=NO_TURNS,
    )
    model = trained_and_read(project_folder, recipe, tmp_path)
    species = open_project(project_folder).species
    assert model.channels == species
    assert model.net().cell == (4, 4, 4)
    assert model.net()(torch.zeros(1, 1, 16, 64, 64)).shape == (1, len(species) + 3, 16, 64, 64)
    run = last_training(model.history).held_out
    tomogram = open_tomogram(project_folder, run)
    found = pick(tomogram, model)
    result = best_thresholds([(found, read_truth(open_project(project_folder), run))], species)[1]
    assert result.weighted > 0.4
    flipped = pick(tomogram, model, plan=PickingPlan(views=("flip_x", "transpose")))
    again = best_thresholds([(flipped, read_truth(open_project(project_folder), run))], species)[1]
    assert again.weighted > 0.4


def test_what_a_net_predicts_decides_which_losses_suit_it() -> None:
    for net, right, wrong in (
        (UNet3dOptions(), "dice", "weighted"),
        (UNet3dOptions(output="heatmaps"), "balanced", "dice"),
        (ResNetUNet3dOptions(), "weighted", "dice"),
        (ResNetUNet3dOptions(output="labels"), "dice", "balanced"),
        (NetOptions(head="centres"), "focal", "weighted"),
        (NetOptions(), "weighted", "focal"),
    ):
        TrainingRecipe(net=net, loss=LossOptions(name=right))
        with pytest.raises(ValidationError, match=r"`loss\.name` must be .*got"):
            TrainingRecipe(net=net, loss=LossOptions(name=wrong))
