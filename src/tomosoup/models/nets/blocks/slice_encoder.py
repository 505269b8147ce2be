"""A 2D image backbone that runs on the slices of a window and reduces depth together with the planes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from tomosoup.core.errors import InputError
from tomosoup.models.nets.blocks.starnet import StarNet
from tomosoup.models.nets.options import NetOptions


@dataclass(frozen=True)
class Stage:
    """One feature map of the encoder: its channels and its strides (z, y, x) relative to the input."""

    channels: int
    stride: tuple[int, int, int]


class SlicePicker(nn.Conv3d):
    """`(b, 1, z, y, x)` -> images `(b z, slices, y, x)`: each slice with its neighbours in z, zeros beyond the ends.

    With `halo` > 0, the first and last `halo` slices of the volume serve as neighbours only, in place of zeros. This is
    a convolution with fixed weights, as in the published net, whose parameter count includes them. It is computed as a
    product of small matrices, which puts the images into the order that the backbone expects.
    """

    def __init__(self, slices: int) -> None:
        super().__init__(1, slices, kernel_size=(slices, 1, 1), padding=(slices // 2, 0, 0), bias=False)
        self.weight.requires_grad_(False).copy_(torch.eye(slices, device="cpu").reshape(self.weight.shape))

    def forward(self, volume: Tensor, halo: int = 0) -> Tensor:
        slices, (height, width) = self.out_channels, volume.shape[-2:]
        ends = slices // 2 - halo
        rows = F.pad(volume.flatten(3), (0, 0, ends, ends)).unfold(2, slices, 1)  # (b, 1, z, y x, slices)
        return torch.unflatten(self.product(rows.flatten(0, 2).mT), -1, (height, width))

    def product(self, images: Tensor) -> Tensor:
        """`(n, slices, y x)` -> the same shape: the product with the weight."""
        return self.weight.flatten(1) @ images


class SliceStack(SlicePicker):
    """A slice picker without the product, which the next convolution includes."""

    def product(self, images: Tensor) -> Tensor:
        """The images, unchanged."""
        return images


class SliceEncoder(nn.Module):
    """A 2D image backbone that runs on all slices as one batch; after each stage the depth is reduced.

    `(b, 1, z, y, x)` -> one map `(b, channels, z / dz, y / d, x / d)` for each of `stages`. The depth stride equals the
    in-plane stride up to a limit. The reduced map is both the skip connection and the input of the next stage (Section
    2.3 of the 4th place's paper). Average pooling or a strided convolution reduces depth. Stages that keep the depth
    may average each slice with its neighbours (Section 2.4).
    """

    def __init__(self, recipe: NetOptions, *, steps: int | None = None) -> None:
        """`steps`: number of upsampling steps of the decoder. The encoder returns the last `steps` + 1 maps, or all.

        Raises `InputError` for an unknown backbone, and for one with too few stages.
        """
        super().__init__()
        self.slices = SlicePicker(recipe.input_slices)
        self.backbone, stages = backbone_of(recipe)
        if steps is not None and len(stages) <= steps:
            raise InputError(
                f"Expected a backbone with {steps + 1} feature stages for {steps} decoder widths, got "
                f"{recipe.backbone!r} with {len(stages)}: give fewer decoder widths or another backbone."
            )
        self.ends = frozenset(stages)
        channels, reductions = zip(*stages.values(), strict=True)
        depths = [min(r, recipe.depth_stride_limit) for r in reductions]
        self.depth_steps = nn.ModuleList(
            depth_step(recipe, channels=c, ratio=r) for c, r in zip(channels, _ratios([1, *depths]), strict=True)
        )
        self.stages = [Stage(c, (d, r, r)) for c, d, r in zip(channels, depths, reductions, strict=True)]
        if steps is not None:
            self.stages = self.stages[-steps - 1 :]

    def forward(self, volume: Tensor, halo: int = 0) -> list[Tensor]:
        """`halo`: number of slices at each end of the volume that serve as neighbours only."""
        b = volume.shape[0]
        x = self.slices(volume, halo=halo)
        maps: list[Tensor] = []
        for name, module in self.backbone.items():
            x = module(x)
            if name in self.ends:
                step = self.depth_steps[len(maps)]
                maps.append(step(rearrange(x, "(b z) c y x -> b c z y x", b=b)))
                x = rearrange(maps[-1], "b c z y x -> (b z) c y x")
        return maps[-len(self.stages) :]


def backbone_of(recipe: NetOptions) -> tuple[nn.ModuleDict, dict[str, tuple[int, int]]]:
    """A backbone's layers, and the name of each that ends a stage -> its channels, and its stride in the plane.

    The bundled model's does without timm, whose import takes longer than torch's. Raises `InputError` for a backbone
    that cannot be had.
    """
    if recipe.backbone == "starnet_s100" and recipe == recipe.given_weights() and not recipe.drop_path:
        starnet = StarNet(recipe.input_slices)
        return starnet, starnet.stages
    from tomosoup.models.nets.blocks.timm_backbone import timm_backbone

    return timm_backbone(recipe)


def depth_step(recipe: NetOptions, *, channels: int, ratio: int) -> nn.Module:
    """`(b, channels, z, y, x)` -> `(b, channels, z / ratio, y, x)`, as the recipe reduces depth."""
    if ratio == 1:
        if not recipe.depth_mixing:
            return nn.Identity()
        return SliceMixing(axes=(2,) if recipe.mixing_kernel == "3x1x1" else (2, 3, 4))
    if recipe.depth_reduction == "convolution":
        return nn.Conv3d(channels, channels, kernel_size=(ratio, 3, 3), stride=(ratio, 1, 1), padding=(0, 1, 1))
    return SliceMean(ratio)


class SliceMean(nn.Module):
    """`(b, c, z, y, x)` -> `(b, c, z / ratio, y, x)`, the mean of every `ratio` slices.

    On a CPU, `nn.AvgPool3d` has no bf16 kernel and copies maps whose slices were a batch, and `mean` takes many times
    as long as the means of pairs.
    """

    def __init__(self, ratio: int) -> None:
        super().__init__()
        self.ratio = ratio

    def forward(self, x: Tensor) -> Tensor:
        parts = torch.unflatten(x, 2, (-1, self.ratio)).unbind(3)
        while len(parts) > 1 and len(parts) % 2 == 0:
            parts = tuple(torch.lerp(a, b, 0.5) for a, b in zip(parts[::2], parts[1::2], strict=True))
        return parts[0] if len(parts) == 1 else torch.stack(parts).mean(0)


class SliceMixing(nn.Module):
    """`(b, c, z, y, x)` -> the same shape: the mean of each voxel and its two neighbours along each of `axes`.

    By default z; all three axes give the mean of 3 x 3 x 3 voxels. Voxels beyond the ends are zero.
    """

    def __init__(self, axes: tuple[int, ...] = (2,)) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, x: Tensor) -> Tensor:
        for axis in self.axes:
            ends = [0] * (2 * x.ndim)
            ends[2 * (x.ndim - 1 - axis)] = ends[2 * (x.ndim - 1 - axis) + 1] = 1
            padded, n = F.pad(x, ends), x.shape[axis]
            x = (padded.narrow(axis, 0, n) + x + padded.narrow(axis, 2, n)) / 3
        return x


def _ratios(values: list[int]) -> list[int]:
    return [b // a for a, b in pairwise(values)]
