"""The nets, by name. Each is `net(recipe, classes=n)`: `(b, 1, z, y, x)` -> `(b, n, z, y, x)`, or one channel more."""

from __future__ import annotations

from torch import nn

from tomosoup.nets.pyramid_unet import PyramidUNet
from tomosoup.nets.shuffle_unet import ShuffleUNet
from tomosoup.nets.unet3d import UNet3d
from tomosoup.recipes.nets import Architecture

NETS: dict[str, type[ShuffleUNet | PyramidUNet | UNet3d]] = {
    "shuffle_unet": ShuffleUNet,
    "pyramid_unet": PyramidUNet,
    "unet3d": UNet3d,
}


def build_net(recipe: Architecture, *, classes: int) -> nn.Module:
    """A new net for `classes` species, its weights drawn by torch's random generator.

    It puts out a heatmap a species, or, where it tells voxels apart (unet3d), logits: background first, then species.
    """
    return NETS[recipe.name](recipe, classes=classes)  # type: ignore[arg-type]
