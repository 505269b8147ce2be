"""Joint pyramid upsampling, and the pyramid of dilations that may follow it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tomosoup.models.nets.blocks.convolution import Conv3x3x3, ConvBlock

DILATIONS = (1, 2, 4, 8)
"""In-plane distances that the joint pyramid's four branches look at."""
ATROUS = (6, 12, 18)
"""In-plane distances of atrous spatial pyramid pooling (DeepLabv3, at an output stride of 16)."""
INTERPOLATIONS: Mapping[str, Mapping[str, Any]] = {
    "trilinear": {"mode": "trilinear", "align_corners": False},
    "trilinear-corners": {"mode": "trilinear", "align_corners": True},
    "nearest": {"mode": "nearest"},
}
"""By name, what torch's `interpolate` is told."""


def upsampled(x: Tensor, size: Sequence[int], *, interpolation: str = "trilinear") -> Tensor:
    """`(b, c, z, y, x)` -> the same at `size` (z, y, x)."""
    return F.interpolate(x, size=list(size), **INTERPOLATIONS[interpolation])


class SeparableBlock(nn.Sequential):
    """A 3x3x3 convolution channel by channel, dilated in the plane, then one across channels - batch norm - ReLU.

    With `norm` there is another batch norm between the two, as in FastFCN. Along z the neighbours stay next to each
    other: the maps are a few slices deep there.
    """

    def __init__(self, inputs: int, outputs: int, *, dilation: int, norm: bool = False) -> None:
        super().__init__(
            Conv3x3x3(inputs, inputs, dilation=dilation, groups=inputs),
            *([nn.BatchNorm3d(inputs)] if norm else []),
            nn.Conv3d(inputs, outputs, kernel_size=1, bias=False),
            nn.BatchNorm3d(outputs),
            nn.ReLU(inplace=True),
        )


class JointPyramid(nn.Module):
    """Joint pyramid upsampling (FastFCN, arXiv 1903.11816, Section 3.3) in three dimensions.

    Maps `(b, channels_i, z_i, y_i, x_i)`, finest first -> `(b, 4 width, z_0, y_0, x_0)`: one 3x3x3 conv block each,
    upsampled to the finest, concatenated; four parallel separable convolutions of growing dilation, concatenated.
    """

    def __init__(
        self, channels: list[int], width: int, *, separable_norm: bool = False, interpolation: str = "trilinear"
    ) -> None:
        super().__init__()
        self.interpolation = interpolation
        self.inputs = nn.ModuleList(ConvBlock(c, width) for c in channels)
        self.branches = nn.ModuleList(
            SeparableBlock(len(channels) * width, width, dilation=d, norm=separable_norm) for d in DILATIONS
        )

    def forward(self, maps: list[Tensor]) -> Tensor:
        level = [block(x) for block, x in zip(self.inputs, maps, strict=True)]
        size = level[0].shape[2:]
        finer = [level[0], *(upsampled(x, size, interpolation=self.interpolation) for x in level[1:])]
        joined = torch.cat(finer, dim=1)
        return torch.cat([branch(joined) for branch in self.branches], dim=1)


class AtrousPyramid(nn.Module):
    """Atrous spatial pyramid pooling (DeepLabv3, arXiv 1706.05587, Section 3.3): the same shape.

    A 1x1x1 convolution, three 3x3x3 ones dilated in the plane and the mean of the whole map, each with a quarter of the
    channels, batch norm and ReLU, are concatenated and projected back.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        width = max(1, channels // 4)
        self.point = _pointwise(channels, width)
        self.branches = nn.ModuleList(
            nn.Sequential(Conv3x3x3(channels, width, dilation=d), nn.BatchNorm3d(width), nn.ReLU(inplace=True))
            for d in ATROUS
        )
        # Without a batch norm, which a batch of one map of one voxel cannot train.
        self.mean = nn.Sequential(
            nn.AdaptiveAvgPool3d(1), nn.Conv3d(channels, width, kernel_size=1), nn.ReLU(inplace=True)
        )
        self.project = _pointwise(width * (len(ATROUS) + 2), channels)

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.point(x), *(branch(x) for branch in self.branches), self.mean(x).expand(-1, -1, *x.shape[2:])]
        projected: Tensor = self.project(torch.cat(parts, dim=1))
        return projected


def _pointwise(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(inputs, outputs, kernel_size=1, bias=False), nn.BatchNorm3d(outputs), nn.ReLU(inplace=True)
    )
