"""The nets, by name. Each is `net(recipe, classes=n)`: `(b, 1, z, y, x)` -> `(b, n, z, y, x)`."""

from __future__ import annotations

from torch import nn

from tomosoup.nets.pyramid_unet import PyramidUNet
from tomosoup.nets.shuffle_unet import ShuffleUNet
from tomosoup.recipes.training import NetRecipe

NETS: dict[str, type[ShuffleUNet | PyramidUNet]] = {"shuffle_unet": ShuffleUNet, "pyramid_unet": PyramidUNet}


def build_net(recipe: NetRecipe, *, classes: int) -> nn.Module:
    """A new net with `classes` output channels, its weights drawn by torch's random generator."""
    return NETS[recipe.name](recipe, classes=classes)
