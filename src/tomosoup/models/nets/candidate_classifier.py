"""A small 3D classifier of crops: which species a candidate is, or none."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge
from torch import Tensor, nn

from tomosoup.core.config import Options

Width = Annotated[int, Ge(8)]


class ClassifierOptions(Options):
    """The net of a second stage: MONAI's 3D ResNet with one residual block a width."""

    widths: tuple[Width, Width, Width, Width] = (24, 48, 96, 192)
    """Channels of the four stages, each of half the size of the one before; multiples of 8."""


class CandidateClassifier(nn.Module):
    """Crops `(b, 1, n, n, n)` around candidates -> logits `(b, 1 + classes)`: none of the species first.

    A 3D ResNet (K. He et al., "Deep Residual Learning for Image Recognition", CVPR 2016) with group norms, whose
    output for a crop does not depend on the others of its batch.
    """

    def __init__(self, options: ClassifierOptions, *, classes: int) -> None:
        from monai.networks.nets import ResNet  # here, as MONAI takes seconds to import

        super().__init__()
        self.resnet = ResNet(
            block="basic",
            layers=[1, 1, 1, 1],
            block_inplanes=list(options.widths),
            spatial_dims=3,
            n_input_channels=1,
            conv1_t_size=5,
            conv1_t_stride=2,
            no_max_pool=True,
            num_classes=1 + classes,
            norm=("group", {"num_groups": 8}),
        )

    def forward(self, crops: Tensor) -> Tensor:
        logits: Tensor = self.resnet(crops)
        return logits
