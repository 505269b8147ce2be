"""Net A2: the 4th place's lighter 2.5D U-Net, with joint pyramid upsampling and attention in the decoder."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tomosoup.core.errors import InputError
from tomosoup.models.nets.convolution import Conv3x3x3
from tomosoup.models.nets.options import NetOptions
from tomosoup.models.nets.shuffle_unet import ConvBlock, heatmap_head
from tomosoup.models.nets.slice_encoder import SliceEncoder, Stage
from tomosoup.models.nets.tomo_net import TomoNet

DILATIONS = (1, 2, 4, 8)
"""In-plane distances that the joint pyramid's four branches look at."""
LEVELS = 3
"""How many of the lowest-resolution maps the joint pyramid takes."""


class SeparableBlock(nn.Sequential):
    """A 3x3x3 convolution channel by channel, dilated in the plane, then one across channels - batch norm - ReLU.

    Along z the neighbours stay next to each other: the maps are a few slices deep there.
    """

    def __init__(self, inputs: int, outputs: int, *, dilation: int) -> None:
        super().__init__(
            Conv3x3x3(inputs, inputs, dilation=dilation, groups=inputs),
            nn.Conv3d(inputs, outputs, kernel_size=1, bias=False),
            nn.BatchNorm3d(outputs),
            nn.ReLU(inplace=True),
        )


class JointPyramid(nn.Module):
    """Joint pyramid upsampling (FastFCN, arXiv 1903.11816, Section 3.3) in three dimensions.

    Maps `(b, channels_i, z_i, y_i, x_i)`, finest first -> `(b, 4 width, z_0, y_0, x_0)`: one 3x3x3 conv block each,
    upsampled to the finest, concatenated; four parallel separable convolutions of growing dilation, concatenated.
    """

    def __init__(self, channels: list[int], width: int) -> None:
        super().__init__()
        self.inputs = nn.ModuleList(ConvBlock(c, width) for c in channels)
        self.branches = nn.ModuleList(SeparableBlock(len(channels) * width, width, dilation=d) for d in DILATIONS)

    def forward(self, maps: list[Tensor]) -> Tensor:
        level = [block(x) for block, x in zip(self.inputs, maps, strict=True)]
        size = level[0].shape[2:]
        joined = torch.cat([level[0], *(_upsampled(x, size) for x in level[1:])], dim=1)
        return torch.cat([branch(joined) for branch in self.branches], dim=1)


class Attention(nn.Module):
    """Concurrent spatial and channel squeeze and excitation, scSE (Roy et al., IEEE TMI 2018): the same shape.

    The map times a gate a channel (from its mean over space), plus the map times a gate a voxel.
    """

    def __init__(self, channels: int, *, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(8, channels // reduction)  # of one or two units all may be dead from the start
        self.channel = nn.Sequential(
            nn.AdaptiveAvgPool3d(1),
            nn.Conv3d(channels, hidden, kernel_size=1),
            nn.ReLU(inplace=True),
            nn.Conv3d(hidden, channels, kernel_size=1),
            nn.Sigmoid(),
        )
        self.spatial = nn.Sequential(nn.Conv3d(channels, 1, kernel_size=1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        attended: Tensor = x * self.channel(x) + x * self.spatial(x)
        return attended


class PyramidUNet(TomoNet):
    """`(b, 1, z, y, x)` -> heatmaps `(b, classes, z, y, x)`, no activation. Sizes are multiples of `multiple`.

    Encoder: `SliceEncoder` with all the backbone's stages. The three coarsest maps go through `JointPyramid`; from its
    stride on, upsampling blocks (conv block, `Attention`, trilinear upsampling), each joined by the encoder's map of
    its new size while there is one, up to full size. Head: a 3x3x3 convolution. Section 2.4 of the 4th place's paper,
    which gives the parts; the widths are the recipe's: the pyramid's branches, then each block.
    """

    def __init__(self, recipe: NetOptions, *, classes: int) -> None:
        super().__init__()
        self.encoder = SliceEncoder(recipe)
        stages = self.encoder.stages
        if len(stages) < LEVELS:
            raise InputError(f"Backbone {recipe.backbone!r} has {len(stages)} feature stages; the pyramid takes 3.")
        self.multiple, self.halo = stages[-1].stride, recipe.input_slices // 2
        targets = upsampling_path(stages[:-LEVELS], start=stages[-LEVELS].stride)
        pyramid, *widths = recipe.decoder_widths
        if len(widths) != len(targets):
            raise InputError(
                f"With backbone {recipe.backbone!r} there are {len(targets)} upsampling blocks: expected "
                f"{len(targets) + 1} decoder widths (the pyramid's first), got {len(recipe.decoder_widths)}."
            )
        self.pyramid = JointPyramid([s.channels for s in stages[-LEVELS:]], pyramid)
        self.blocks = nn.ModuleList()
        channels = pyramid * len(DILATIONS)
        for target, width in zip(targets, widths, strict=True):
            self.blocks.append(nn.Sequential(ConvBlock(channels, width), Attention(width)))
            channels = width + target.channels
        self.strides = [target.stride for target in targets]
        self.head = heatmap_head(channels, classes, kernel_size=3, small=recipe.small_head)

    def forward(self, volume: Tensor, halo: int = 0) -> Tensor:
        self.check(volume.shape, halo=halo)
        z, y, x_ = volume.shape[2:]
        window = (z - 2 * halo, y, x_)
        maps = self.encoder(volume, halo=halo)
        x = self.pyramid(maps[-LEVELS:])
        skips = maps[:-LEVELS]
        for block, stride in zip(self.blocks, self.strides, strict=True):
            size = [n // s for n, s in zip(window, stride, strict=True)]
            x = _upsampled(block(x), size)
            if skips:
                x = torch.cat([x, skips.pop()], dim=1)
        heatmap: Tensor = self.head(x)
        return heatmap


def upsampling_path(finer: list[Stage], *, start: tuple[int, int, int]) -> list[Stage]:
    """Strides that the decoder passes from `start` to 1: the encoder's `finer` maps, then halvings without channels."""
    path = list(reversed(finer))
    stride = path[-1].stride if path else start
    while max(stride) > 1:
        stride = (max(1, stride[0] // 2), max(1, stride[1] // 2), max(1, stride[2] // 2))
        path.append(Stage(0, stride))
    return path


def _upsampled(x: Tensor, size: list[int] | torch.Size) -> Tensor:
    return F.interpolate(x, size=size, mode="trilinear", align_corners=False)
