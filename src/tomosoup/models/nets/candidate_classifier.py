"""A small 3D classifier of crops: which species a candidate is, or none."""

from __future__ import annotations

from torch import Tensor, nn

from tomosoup.models.nets.options import ClassifierOptions


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
