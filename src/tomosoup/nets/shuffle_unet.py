"""Net A1: the 4th place's 2.5D U-Net, which stops at a coarse stride and shuffles channels into voxels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from tomosoup.errors import InputError
from tomosoup.nets.depth_reduction import SliceEncoder
from tomosoup.recipes.training import NetRecipe

QUIET = 0.01
"""Deviation of the head's weights at the start of a training."""


class ConvBlock(nn.Sequential):
    """conv 3x3x3 - batch norm - ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Conv3d(inputs, outputs, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm3d(outputs),
            nn.ReLU(inplace=True),
        )


class ShuffleUNet(nn.Module):
    """`(b, 1, z, y, x)` -> heatmaps `(b, classes, z, y, x)`, no activation. Sizes are multiples of `multiple`.

    Encoder: `SliceEncoder`. Every skip passes two conv blocks of its own width. Decoder: a step a width, each nearest
    upsampling, concatenation with the skip, two conv blocks. Head: 1x1x1 convolution and pixel shuffle from the stride
    where the decoder ends (4 in the published net). Section 2.3 of the 4th place's paper.
    """

    def __init__(self, recipe: NetRecipe, *, classes: int) -> None:
        super().__init__()
        self.encoder = SliceEncoder(recipe, steps=len(recipe.decoder_widths))
        stages = self.encoder.stages
        self.multiple = stages[-1].stride
        self.skips = nn.ModuleList(
            nn.Sequential(ConvBlock(s.channels, s.channels), ConvBlock(s.channels, s.channels)) for s in stages
        )
        self.steps = nn.ModuleList()
        self.factors: list[tuple[int, ...]] = []
        width, coarse = stages[-1].channels, stages[-1].stride
        for stage, out in zip(reversed(stages[:-1]), recipe.decoder_widths, strict=True):
            self.factors.append(tuple(a // b for a, b in zip(coarse, stage.stride, strict=True)))
            self.steps.append(nn.Sequential(ConvBlock(width + stage.channels, out), ConvBlock(out, out)))
            width, coarse = out, stage.stride
        self.shuffle = coarse
        self.head = nn.Conv3d(width, classes * coarse[0] * coarse[1] * coarse[2], kernel_size=1)
        # Heatmaps are nearly empty: a head that starts out loud spends its first hundred updates on falling silent.
        nn.init.trunc_normal_(self.head.weight, std=QUIET)
        assert self.head.bias is not None
        nn.init.zeros_(self.head.bias)

    def forward(self, volume: Tensor) -> Tensor:
        sizes = volume.shape[2:]
        if volume.ndim != 5 or volume.shape[1] != 1 or any(n % m for n, m in zip(sizes, self.multiple, strict=True)):
            raise InputError(
                f"The net takes windows (batch, 1, z, y, x) with z, y, x multiples of {self.multiple}, "
                f"got {tuple(volume.shape)}: choose another window shape."
            )
        maps = [skip(x) for skip, x in zip(self.skips, self.encoder(volume), strict=True)]
        x = maps.pop()
        for step, factor in zip(self.steps, self.factors, strict=True):
            x = step(torch.cat([F.interpolate(x, scale_factor=factor, mode="nearest"), maps.pop()], dim=1))
        dz, dy, dx = self.shuffle
        shuffled: Tensor = rearrange(
            self.head(x), "b (c dz dy dx) z y x -> b c (z dz) (y dy) (x dx)", dz=dz, dy=dy, dx=dx
        )
        return shuffled
