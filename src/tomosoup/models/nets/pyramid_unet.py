"""The net of `tattaka`: the 4th place's lighter 2.5D U-Net, with joint pyramid upsampling and decoder attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tomosoup.core.errors import InputError
from tomosoup.models.nets.blocks.attention import Attention
from tomosoup.models.nets.blocks.convolution import ConvBlock
from tomosoup.models.nets.blocks.joint_pyramid import DILATIONS, AtrousPyramid, JointPyramid, upsampled
from tomosoup.models.nets.blocks.slice_encoder import SliceEncoder, Stage
from tomosoup.models.nets.options import NetOptions, PyramidOptions
from tomosoup.models.nets.shuffle_unet import heatmap_head
from tomosoup.models.nets.tomo_net import TomoNet

LEVELS = 3
"""How many of the lowest-resolution maps the joint pyramid takes."""


class PyramidUNet(TomoNet):
    """`(b, 1, z, y, x)` -> heatmaps `(b, classes, z, y, x)`, no activation. Sizes are multiples of `multiple`.

    Encoder: `SliceEncoder` with all the backbone's stages. The three coarsest maps go through `JointPyramid`; from its
    stride on, upsampling blocks (conv block, `Attention`, trilinear upsampling), each joined by the encoder's map of
    its new size while there is one, up to full size. Head: a convolution. Section 2.4 of the 4th place's paper names
    these parts. Widths are the recipe's `decoder_widths`: the pyramid's branches, then each block. What else the paper
    leaves open is in its `pyramid` (`PyramidOptions`).
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
        form = recipe.pyramid
        self.interpolation = form.interpolation
        self.pyramid = JointPyramid(
            [s.channels for s in stages[-LEVELS:]],
            pyramid,
            separable_norm=form.separable_norm,
            interpolation=form.interpolation,
        )
        channels = pyramid * len(DILATIONS)
        self.context = AtrousPyramid(channels) if form.aspp else nn.Identity()
        self.blocks = nn.ModuleList()
        for target, width in zip(targets, widths, strict=True):
            self.blocks.append(upsampling_block(channels, width, form))
            channels = width + target.channels
        self.strides = [target.stride for target in targets]
        self.head = heatmap_head(
            channels, classes, kernel_size=1 if form.head == "1x1x1" else 3, small=recipe.small_head
        )

    def forward(self, volume: Tensor, halo: int = 0) -> Tensor:
        self.check(volume.shape, halo=halo)
        z, y, x_ = volume.shape[2:]
        window = (z - 2 * halo, y, x_)
        maps = self.encoder(volume, halo=halo)
        x = self.context(self.pyramid(maps[-LEVELS:]))
        skips = maps[:-LEVELS]
        for block, stride in zip(self.blocks, self.strides, strict=True):
            size = [n // s for n, s in zip(window, stride, strict=True)]
            x = upsampled(block(x), size, interpolation=self.interpolation)
            if skips:
                x = torch.cat([x, skips.pop()], dim=1)
        heatmap: Tensor = self.head(x)
        return heatmap


def upsampling_block(inputs: int, width: int, form: PyramidOptions) -> nn.Sequential:
    """What an upsampling block does before it upsamples: convolutions and attention, in the order of `form`."""

    def attention(place: str, channels: int) -> list[nn.Module]:
        chosen = form.attention in (place, "both")
        return [Attention(channels, form=form.attention_form, least=form.attention_least)] if chosen else []

    convolutions = [ConvBlock(inputs if i == 0 else width, width) for i in range(form.convolutions)]
    return nn.Sequential(*attention("before", inputs), *convolutions, *attention("after", width))


def upsampling_path(finer: list[Stage], *, start: tuple[int, int, int]) -> list[Stage]:
    """Strides that the decoder passes from `start` to 1: the encoder's `finer` maps, then halvings without channels."""
    path = list(reversed(finer))
    stride = path[-1].stride if path else start
    while max(stride) > 1:
        stride = (max(1, stride[0] // 2), max(1, stride[1] // 2), max(1, stride[2] // 2))
        path.append(Stage(0, stride))
    return path
