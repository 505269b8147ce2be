"""The net of `yu4u`: the 4th place's 2.5D U-Net, which stops at a coarse stride and shuffles channels into voxels."""

from __future__ import annotations

from typing import Any

from einops import rearrange
from torch import Tensor, nn

from tomosoup.models.nets.blocks.centres import PRIOR, centre_maps
from tomosoup.models.nets.blocks.convolution import ConvBlock, conv3x3x3, upsampled_conv
from tomosoup.models.nets.blocks.slice_encoder import SliceEncoder
from tomosoup.models.nets.options import NetOptions
from tomosoup.models.nets.tomo_net import TomoNet

SMALL = 0.01
"""Standard deviation of the weights of a head that starts small."""


def heatmap_head(inputs: int, outputs: int, *, kernel_size: int = 1, small: bool = True) -> nn.Conv3d:
    """The last convolution of a net that predicts heatmaps.

    Heatmaps are nearly empty, so a net with torch's first weights (not `small`) spends its first hundred updates on
    bringing its output down.
    """
    head = nn.Conv3d(inputs, outputs, kernel_size=kernel_size, padding=kernel_size // 2)
    if small:
        nn.init.trunc_normal_(head.weight, std=SMALL)
        assert head.bias is not None
        nn.init.zeros_(head.bias)
    return head


class UpStep(nn.Sequential):
    """A step of the decoder: nearest upsampling by `factor` (z, y, x), concatenation with the skip, two conv blocks.

    The first convolution of the concatenation is the sum of one of the map and one of the skip, so the upsampled map
    is never made (`upsampled_conv`).
    """

    def __init__(self, inputs: int, outputs: int, *, factor: tuple[int, ...]) -> None:
        super().__init__(ConvBlock(inputs, outputs), ConvBlock(outputs, outputs))
        self.factor = factor

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        """`(b, c, z, y, x)` and, of the upsampled size, a skip or none -> `(b, outputs, ...)` of that size."""
        conv: Any
        conv, norm, activation = self[0].children()
        below = x.shape[1]
        joined = upsampled_conv(x, conv.weight[:, :below], conv.bias, self.factor)
        if skip is not None:
            joined = joined + conv3x3x3(skip, conv.weight[:, below:])
        blocks: Tensor = self[1](activation(norm(joined)))
        return blocks


class ShuffleUNet(TomoNet):
    """`(b, 1, z, y, x)` -> heatmaps `(b, classes, z, y, x)`, no activation. Sizes are multiples of `multiple`.

    Encoder: `SliceEncoder`. Every skip passes two conv blocks of its own width. Decoder: a step a width, each nearest
    upsampling, concatenation with the skip, two conv blocks. Head: 1x1x1 convolution and pixel shuffle from the stride
    where the decoder ends (4 in the published net), or, as the paper's first form, further steps without skips, each
    of half the width, up to full size. Section 2.3 of the 4th place's paper.

    With the head `centres` each voxel of the decoder's last map is a cell, of which two 1x1x1 convolutions say how
    likely it holds a centre of each species (through a sigmoid) and where it is: `(b, classes + 3, z, y, x)`
    (`centre_maps`). CenterNet (Zhou et al., "Objects as Points", arXiv 1904.07850) without its boxes.
    """

    def __init__(self, recipe: NetOptions, *, classes: int) -> None:
        super().__init__()
        self.encoder = SliceEncoder(recipe, steps=len(recipe.decoder_widths))
        stages = self.encoder.stages
        self.multiple, self.halo = stages[-1].stride, recipe.input_slices // 2
        self.skips = nn.ModuleList(
            nn.Sequential(ConvBlock(s.channels, s.channels), ConvBlock(s.channels, s.channels)) for s in stages
        )
        self.steps = nn.ModuleList()
        width, stride = stages[-1].channels, stages[-1].stride
        for stage, out in zip(reversed(stages[:-1]), recipe.decoder_widths, strict=True):
            factor = tuple(a // b for a, b in zip(stride, stage.stride, strict=True))
            self.steps.append(UpStep(width + stage.channels, out, factor=factor))
            width, stride = out, stage.stride
        while recipe.head == "plain" and max(stride) > 1:
            out = max(classes, width // 2)
            self.steps.append(UpStep(width, out, factor=tuple(min(2, n) for n in stride)))
            width, stride = out, (max(1, stride[0] // 2), max(1, stride[1] // 2), max(1, stride[2] // 2))
        self.offsets: nn.Module | None = None
        if recipe.predicts == "centres":
            self.cell = stride
            self.head = heatmap_head(width, classes, small=recipe.small_head)
            assert self.head.bias is not None
            nn.init.constant_(self.head.bias, PRIOR)
            self.offsets = heatmap_head(width, 3)
            return
        self.shuffle = stride
        self.head = heatmap_head(width, classes * stride[0] * stride[1] * stride[2], small=recipe.small_head)

    def forward(self, volume: Tensor, halo: int = 0) -> Tensor:
        self.check(volume.shape, halo=halo)
        maps = [skip(x) for skip, x in zip(self.skips, self.encoder(volume, halo=halo), strict=True)]
        x = maps.pop()
        for step in self.steps:
            x = step(x, maps.pop() if maps else None)
        if self.offsets is not None:
            return centre_maps(self.head(x).sigmoid(), self.offsets(x), self.cell)
        dz, dy, dx = self.shuffle
        shuffled: Tensor = rearrange(
            self.head(x), "b (c dz dy dx) z y x -> b c (z dz) (y dy) (x dx)", dz=dz, dy=dy, dx=dx
        )
        return shuffled
