"""3D U-Nets, from MONAI: the 8th place's, and one with a 3D ResNet as its encoder."""

from __future__ import annotations

from math import prod

from torch import Tensor, nn

from tomosoup.models.nets.options import ResNetUNet3dOptions, UNet3dOptions
from tomosoup.models.nets.tomo_net import TomoNet


class UNet3d(TomoNet):
    """`(b, 1, z, y, x)` -> logits `(b, 1 + classes, z, y, x)`, background first. Sizes are multiples of `multiple`.

    With `recipe.output` heatmaps it has no background: heatmaps `(b, classes, z, y, x)`. MONAI's `UNet` with residual
    units, instance norm and PReLU.
    """

    def __init__(self, recipe: UNet3dOptions, *, classes: int) -> None:
        from monai.networks.nets import UNet  # here, as it takes longer to import than all else that picks

        super().__init__()
        self.multiple = (prod(recipe.strides),) * 3
        self.unet = UNet(
            spatial_dims=3,
            in_channels=1,
            out_channels=outputs(recipe, classes=classes),
            channels=recipe.channels,
            strides=recipe.strides,
            num_res_units=recipe.residual_units,
            dropout=recipe.dropout,
        )

    def forward(self, volume: Tensor, halo: int = 0) -> Tensor:
        self.check(volume.shape, halo=halo)
        maps: Tensor = self.unet(volume)
        return maps


class ResNetUNet3d(TomoNet):
    """`(b, 1, z, y, x)` -> heatmaps `(b, classes, z, y, x)`, or logits as of `UNet3d`. Sizes are multiples of 32.

    MONAI's `FlexibleUNet`: a 3D ResNet without pretrained weights, and a decoder of nearest upsampling, skips and
    convolutions. The 4th place's paper (Section 2.3) compares its 2.5D nets with a U-Net that has a 3D backbone.
    """

    multiple = (32, 32, 32)

    def __init__(self, recipe: ResNetUNet3dOptions, *, classes: int) -> None:
        from monai.networks.nets import FlexibleUNet

        super().__init__()
        self.unet = FlexibleUNet(
            in_channels=1,
            out_channels=outputs(recipe, classes=classes),
            backbone=recipe.backbone,
            pretrained=False,
            decoder_channels=recipe.decoder_widths,
            spatial_dims=3,
            dropout=recipe.dropout,
            is_pad=False,
        )
        if recipe.predicts == "heatmaps":  # nearly empty: it starts small, as the other nets do
            head = self.unet.segmentation_head[0]
            nn.init.trunc_normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)

    def forward(self, volume: Tensor, halo: int = 0) -> Tensor:
        self.check(volume.shape, halo=halo)
        maps: Tensor = self.unet(volume)
        return maps


def outputs(recipe: UNet3dOptions | ResNetUNet3dOptions, *, classes: int) -> int:
    """Channels of a net's output: the background is one where it tells voxels apart."""
    return classes + (recipe.predicts == "labels")
