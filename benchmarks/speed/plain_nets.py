"""Nets by their published formula: what the tests hold ours against, and the benchmarks' other side."""

import copy
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tomosoup.models.nets.blocks.convolution import Conv3x3x3
from tomosoup.models.nets.shuffle_unet import UpStep

Net = TypeVar("Net", bound=nn.Module)


def plain(net: Net) -> Net:
    """A copy of the net that upsamples and joins its maps, then convolves them in three dimensions."""

    def step(self: UpStep, x: Tensor, skip: Tensor | None = None) -> Tensor:
        x = F.interpolate(x, scale_factor=self.factor, mode="nearest")
        return nn.Sequential.forward(self, x if skip is None else torch.cat([x, skip], dim=1))

    net = copy.deepcopy(net)
    for module in net.modules():
        if isinstance(module, Conv3x3x3):
            module.forward = nn.Conv3d.forward.__get__(module)
        elif isinstance(module, UpStep):
            module.forward = step.__get__(module)
    return net
