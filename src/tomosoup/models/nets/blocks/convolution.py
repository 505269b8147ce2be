"""3x3x3 convolutions that skip what is known to be zero or the same: exact, and cheaper where maps are shallow."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FLAT = 2
"""Maps of at most so many slices are convolved as images, their slices as channels."""

ONEDNN_FROM = 20480
"""Channels times depth times height of a single map over which torch's CPU convolution is oneDNN's."""


class Conv3x3x3(nn.Conv3d):
    """`conv3x3x3` as a module: `(b, inputs, z, y, x)` -> `(b, outputs, z, y, x)`; `dilation` is in the plane."""

    def __init__(self, inputs: int, outputs: int, *, dilation: int = 1, groups: int = 1, bias: bool = False) -> None:
        spread = (1, dilation, dilation)
        super().__init__(inputs, outputs, 3, padding=spread, dilation=spread, groups=groups, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return conv3x3x3(x, self.weight, self.bias, dilation=self.dilation[1], groups=self.groups)


class ConvBlock(nn.Sequential):
    """conv 3x3x3 - batch norm - ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            Conv3x3x3(inputs, outputs),
            nn.BatchNorm3d(outputs),
            nn.ReLU(inplace=True),
        )


def conv3x3x3(x: Tensor, weight: Tensor, bias: Tensor | None = None, *, dilation: int = 1, groups: int = 1) -> Tensor:
    """`(b, i, z, y, x)` by `(o, i / groups, 3, 3, 3)` -> `(b, o, z, y, x)`, zeros past the ends.

    Maps one or two slices deep are convolved in two dimensions with `flat_weight`: a third, or two thirds, of the
    products. In bf16 on a CPU that is also the safe way to train: torch's weight gradient of a 3D convolution is wrong
    there for maps two slices deep (seen in torch 2.14).
    """
    depth, spread = x.shape[2], (1, dilation, dilation)
    if depth > FLAT:
        if groups == 1 and _is_slow(x):
            deep_last, spread = x.movedim(2, -1).contiguous(), (dilation, dilation, 1)
            turned = F.conv3d(deep_last, weight.movedim(2, -1), bias, padding=spread, dilation=spread)
            return turned.movedim(-1, 2).contiguous()
        return F.conv3d(x, weight, bias, padding=spread, dilation=spread, groups=groups)
    if bias is not None:
        bias = bias.repeat_interleave(depth)
    flat = F.conv2d(x.flatten(1, 2), flat_weight(weight, depth), bias, 1, dilation, dilation, groups)
    return torch.unflatten(flat, 1, (-1, depth))


def _is_slow(x: Tensor) -> bool:
    """Whether torch convolves a map on the CPU by its slow kernel, and would not with the depth as the last axis.

    torch 2.14 hands a single map to oneDNN, here 6 to 12 times faster forwards, where its first sizes are large enough.
    """
    _, c, z, y, x_ = x.shape
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32  # others have no slow kernel
        and not torch.compiler.is_compiling()  # nor exporting: other engines know no such thing
        and len(x) == 1
        and c * z * y <= ONEDNN_FROM < c * y * x_
    )


def flat_weight(weight: Tensor, depth: int) -> Tensor:
    """`(o, i, 3, y, x)` -> `(o depth, i depth, y, x)`: the same convolution of maps 1 or 2 slices deep, as channels.

    Slice b of the input reaches slice a of the output through tap b - a + 1.
    """
    rows = [weight[:, :, 1 - a : 1 - a + depth] for a in range(depth)]
    return torch.stack(rows, dim=1).flatten(0, 1).flatten(1, 2)


def upsampled_conv(x: Tensor, weight: Tensor, bias: Tensor | None, factor: Sequence[int]) -> Tensor:
    """Nearest upsampling of `(b, i, z, y, x)` by `factor` (1 or 2 an axis), then a 3x3x3 convolution, in one.

    Of the upsampled map every second voxel repeats its neighbour, so the taps that meet the same voxel are added up
    first (`upsampled_weight`): 8 products a voxel in place of 27.
    """
    return transposed_conv(x, upsampled_weight(weight, factor, depth=x.shape[2]), bias, factor)


def upsampled_weight(weight: Tensor, factor: Sequence[int], *, depth: int) -> Tensor:
    """`(o, i, 3, 3, 3)` -> the weight of the equal `transposed_conv` of maps `depth` slices deep.

    That is `(i, o, kz, ky, kx)`, or `(i, o factor_z, ky, kx)` for one slice. Along an axis that is doubled the taps
    (a, b, c) become (c, b + c, a + b, a); along one that is kept, (c, b, a).
    """
    for axis, step in zip((2, 3, 4), factor, strict=True):
        a, b, c = weight.unbind(axis)
        weight = torch.stack([c, b + c, a + b, a] if step == 2 else [c, b, a], dim=axis)
    weight = weight.transpose(0, 1)
    return weight if depth > 1 else weight[:, :, 1 : 1 + factor[0]].flatten(1, 2)


def transposed_conv(x: Tensor, weight: Tensor, bias: Tensor | None, factor: Sequence[int]) -> Tensor:
    """`(b, i, z, y, x)` by a weight of `upsampled_weight` -> `(b, o, z, y, x)`, each axis `factor` times as long."""
    if weight.ndim == 5:
        return F.conv_transpose3d(x, weight, bias, stride=tuple(factor), padding=1)
    if bias is not None:
        bias = bias.repeat_interleave(factor[0])
    image = F.conv_transpose2d(x[:, :, 0], weight, bias, stride=tuple(factor[1:]), padding=1)
    return torch.unflatten(image, 1, (-1, factor[0]))
