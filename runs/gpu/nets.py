"""What is measured: nets and checkpoints with random weights, in full or tiny."""

import torch
from torch import nn

from benchmarks.speed.inference.sides import random_net
from runs.gpu.budget import Setting
from tomosoup.core.config import ZYX
from tomosoup.core.runtime import best_device
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.inference.options.hardware import InferenceOptions
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.models.nets.options import NetOptions, ResNetUNet3dOptions, UNet3dOptions
from tomosoup.models.nets.tomo_net import TomoNet
from tomosoup.models.window_plan import WindowPlan
from tomosoup.training.options import TrainingRecipe
from tomosoup.training.supervision.options import LOSSES, LossOptions

DEFAULT, RESNET = "default", "resnet_unet3d"
"""The bundled model, and a net of no recipe; all other names are those of recipes."""
NOTHING = 1e-3
"""Parameters that are smaller at the start have no say."""
WINDOW = {"plane": 128, "small": 32}
"""Voxels of a window along y and x."""


def recipe_of(name: str, setting: Setting) -> TrainingRecipe:
    """A recipe by name, without downloads; for a small run with a tiny net of its form and small windows."""
    net = ResNetUNet3dOptions() if name == RESNET else None
    recipe = TrainingRecipe.read("small" if name in (DEFAULT, RESNET) else name)
    changes: dict[str, object] = {"net": (net or recipe.net).given_weights()}
    if net:
        changes["loss"] = LossOptions(name=LOSSES[net.predicts][0])
    if setting.small:
        side = WINDOW["small"]
        changes["net"] = tiny(changes["net"])
        changes["windows"] = WindowPlan(shape=(side, side, side), stride=(side,) * 3, border=recipe.windows.border)
        changes |= {"crop_shape": None, "crops_per_tomogram": recipe.crops_per_tomogram and 4, "batch_size": 2}
    return recipe.model_copy(update=changes)


def tiny(net: object) -> object:
    """A net of the same form for tests."""
    if isinstance(net, UNet3dOptions):
        return net.model_copy(update={"channels": (4, 6, 8), "strides": (2, 2)})
    if isinstance(net, ResNetUNet3dOptions):
        return net.model_copy(update={"backbone": "resnet10", "decoder_widths": (8, 8, 6, 6, 4)})
    assert isinstance(net, NetOptions)
    widths = (16, 12, 8) if net.name == "shuffle_unet" else (8, 12, 10, 8)
    return net.model_copy(update={"backbone": "test_resnet", "decoder_widths": widths})


def checkpoint_of(name: str, setting: Setting, *, seed: int = 0) -> Checkpoint:
    """The bundled model, or an untrained net that finds next to nothing, as a trained one does in noise.

    It so measures the network, and not the search through thousands of random peaks or segments.
    """
    if name == DEFAULT:
        return load(DEFAULT)
    recipe = recipe_of(name, setting)
    net = random_net(recipe, seed=seed)
    last = [m for m in net.modules() if isinstance(m, nn.Conv3d | nn.ConvTranspose3d)][-1]
    assert last.bias is not None
    with torch.no_grad():
        last.weight.mul_(0.01)
        last.bias.zero_()
        if recipe.segments_voxels:
            last.bias[0] = 5.0  # the background
    return Checkpoint(net.state_dict(), recipe.net, CONTEST_SPECIES, 10.0, recipe.windows)


def net_and_window(name: str, setting: Setting) -> tuple[TomoNet, ZYX]:
    """A net in eval mode, and the shape of a window of its recipe."""
    if name == DEFAULT:
        model = load(DEFAULT)
        net, depth = model.net(), model.windows.shape[0]
    else:
        recipe = recipe_of(name, setting)
        net, depth = stirred(random_net(recipe)), recipe.windows.shape[0]
    side = WINDOW["small" if setting.small else "plane"]
    depth = max(depth // net.multiple[0] * net.multiple[0], net.multiple[0])
    return net, (min(depth, side) if setting.small else depth, side, side)


@torch.no_grad()
def stirred(net: TomoNet) -> TomoNet:
    """The net as after some training: backbones may start with blocks that add nothing, so no error would show."""
    for parameter in net.parameters():
        if parameter.requires_grad and parameter.abs().max() < NOTHING:
            parameter.uniform_(0.1, 0.3)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)
    return net


def device() -> torch.device:
    """The GPU, or the CPU where there is none."""
    return best_device("auto")


def options(**changes: object) -> InferenceOptions:
    """What runs a net, on `device`."""
    return InferenceOptions.model_validate({"device": str(device()), **changes})
