"""The 8th place's 3D U-Net, from MONAI, which tells every voxel's species."""

from __future__ import annotations

from math import prod

from torch import Tensor

from tomosoup.models.nets.options import UNet3dOptions
from tomosoup.models.nets.tomo_net import TomoNet


class UNet3d(TomoNet):
    """`(b, 1, z, y, x)` -> logits `(b, 1 + classes, z, y, x)`, background first. Sizes are multiples of `multiple`.

    MONAI's `UNet` with residual units, instance norm and PReLU: one input channel, a class more than there are species.
    """

    def __init__(self, recipe: UNet3dOptions, *, classes: int) -> None:
        from monai.networks.nets import UNet  # here, as it takes longer to import than all else that picks

        super().__init__()
        self.multiple = (prod(recipe.strides),) * 3
        self.unet = UNet(
            spatial_dims=3,
            in_channels=1,
            out_channels=1 + classes,
            channels=recipe.channels,
            strides=recipe.strides,
            num_res_units=recipe.residual_units,
            dropout=recipe.dropout,
        )

    def forward(self, volume: Tensor, halo: int = 0) -> Tensor:
        self.check(volume.shape, halo=halo)
        logits: Tensor = self.unet(volume)
        return logits
