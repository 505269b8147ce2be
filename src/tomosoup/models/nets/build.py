"""The nets, by name. Each is `net(recipe, classes=n)`: `(b, 1, z, y, x)` -> `(b, n, z, y, x)`, or one channel more."""

from __future__ import annotations

from tomosoup.models.nets.options import Architecture
from tomosoup.models.nets.pyramid_unet import PyramidUNet
from tomosoup.models.nets.shuffle_unet import ShuffleUNet
from tomosoup.models.nets.tomo_net import TomoNet
from tomosoup.models.nets.unet3d import ResNetUNet3d, UNet3d

NETS: dict[str, type[ShuffleUNet | PyramidUNet | UNet3d | ResNetUNet3d]] = {
    "shuffle_unet": ShuffleUNet,
    "pyramid_unet": PyramidUNet,
    "unet3d": UNet3d,
    "resnet_unet3d": ResNetUNet3d,
}


def build_net(recipe: Architecture, *, classes: int) -> TomoNet:
    """A new net for `classes` species, with random weights from torch's generator.

    Its output is `recipe.predicts`: one heatmap per species, or logits of each voxel, background first.
    """
    return NETS[recipe.name](recipe, classes=classes)  # type: ignore[arg-type]
