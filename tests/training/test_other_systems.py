"""What the 4th place's paper compares its nets with: each trains, and picks from its checkpoint alone."""

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from tomosoup.data.project import open_project
from tomosoup.data.tomogram import open_tomogram
from tomosoup.inference.pick import pick
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.models.history import last_training
from tomosoup.models.nets.options import Architecture, ResNetUNet3dOptions, UNet3dOptions
from tomosoup.models.window_plan import WindowPlan
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
        recipe = recipe.model_copy(update={"epochs": 1, "crops_per_epoch": 8})
    model = trained_and_read(project_folder, recipe, tmp_path)
    assert model.architecture == net
    assert not model.segments_voxels
    species = open_project(project_folder).species
    assert model.channels == species  # no background
    assert model.net()(torch.zeros(1, 1, 32, 32, 32)).shape == (1, len(species), 32, 32, 32)
    found = pick(open_tomogram(project_folder, last_training(model.history).held_out), model)
    assert sum(map(len, found.values())) > 0


def test_what_a_net_predicts_decides_which_losses_suit_it() -> None:
    for net, right, wrong in (
        (UNet3dOptions(), "dice", "weighted"),
        (UNet3dOptions(output="heatmaps"), "balanced", "dice"),
        (ResNetUNet3dOptions(), "weighted", "dice"),
        (ResNetUNet3dOptions(output="labels"), "dice", "balanced"),
    ):
        TrainingRecipe(net=net, loss=LossOptions(name=right))
        with pytest.raises(ValidationError, match=r"change it, or `net\.output`"):
            TrainingRecipe(net=net, loss=LossOptions(name=wrong))
