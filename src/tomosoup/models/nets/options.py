"""Which net, and of what size."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from annotated_types import Ge, Le, Lt, MaxLen, MultipleOf
from pydantic import Discriminator, Tag, field_validator, model_validator

from tomosoup.core.config import Options, shown_value

Width = Annotated[int, Ge(1), Le(2**14)]
GroupedWidth = Annotated[int, Ge(8), Le(2**14), MultipleOf(8)]
Predicts = Literal["heatmaps", "labels", "centres"]
"""What a net puts out: a heatmap a species; logits of each voxel's species, background first; or a heatmap a species
and three displacements from each voxel to a particle's centre."""
MODELS: Mapping[Predicts, str] = {
    "heatmaps": "heatmap models",
    "labels": "segmentation models",
    "centres": "centre models",
}
"""What users call the models that predict this."""


class PyramidOptions(Options):
    """What the 4th place's paper leaves open in its second net (pyramid_unet)."""

    separable_norm: bool = False
    """Batch norm between the two convolutions of each separable one in the joint pyramid, as in FastFCN."""
    aspp: bool = False
    """Atrous spatial pyramid pooling (DeepLabv3) after the joint pyramid, with as many channels as come out of it."""
    convolutions: Annotated[int, Ge(1), Le(4)] = 1
    """Number of convolutions in an upsampling block."""
    attention: Literal["after", "before", "both", "none"] = "after"
    """Where an upsampling block has scSE attention: after its convolutions, before them, both, or nowhere."""
    attention_form: Literal["sum", "max"] = "sum"
    """How scSE joins its two gated maps: their sum, or the larger value."""
    attention_least: Annotated[int, Ge(1), Le(2**10)] = 8
    """Fewest hidden channels of the channel gate, which has a sixteenth of the map's."""
    interpolation: Literal["trilinear", "trilinear-corners", "nearest"] = "trilinear"
    """How maps are upsampled. trilinear-corners aligns the centres of the corner voxels, as FastFCN does."""
    head: Literal["3x3x3", "1x1x1"] = "3x3x3"
    """Kernel of the last convolution."""


class NetOptions(Options):
    """Which net, and of what size."""

    name: Literal["shuffle_unet", "pyramid_unet"] = "shuffle_unet"
    """Architecture: yu4u's (shuffle_unet) or tattaka's (pyramid_unet)."""
    backbone: str = "convnext_nano.in12k_ft_in1k"
    """Encoder: any timm model with feature stages. The slices of a tomogram are its images."""
    pretrained: bool = False
    """Start the backbone from timm's ImageNet weights (downloads them)."""
    backbone_weights: Path | None = None
    """Start the backbone from this file (.safetensors or .pth, weights named as in timm), without a download."""
    input_slices: Annotated[int, Ge(1), Le(99)] = 5
    """Each slice is seen with its neighbours as this many channels (odd)."""
    decoder_widths: Annotated[tuple[Width, ...], MaxLen(16)] = (1024, 768, 256)
    """Channels of the decoder, lowest resolution first. shuffle_unet: a width an upsampling step, their number sets
    where it ends. pyramid_unet: the joint pyramid's branches, then each upsampling block up to full size."""
    head: Literal["shuffle", "plain", "centres"] = "shuffle"
    """How shuffle_unet comes from its coarse stride to full size: pixel shuffle, or further upsampling blocks. centres
    stays coarse and predicts for each cell whether it holds a particle's centre, and where (as CenterNet; loss focal).
    """
    depth_stride_limit: Annotated[int, Ge(1), Le(2**10)] = 16
    """The depth stride follows the in-plane stride up to here: a power of two."""
    depth_reduction: Literal["average", "convolution"] = "average"
    """How the depth of the encoder's maps is reduced: average pooling, or a strided 3D convolution."""
    depth_mixing: bool = False
    """After stages that keep the depth, average each slice with its two neighbours."""
    small_head: bool = True
    """Start with a last convolution of small weights (standard deviation 0.01), which learns faster in a short
    training. False starts it as torch does, as in yu4u's published program."""
    mixing_kernel: Literal["3x1x1", "3x3x3"] = "3x1x1"
    """What depth mixing averages over: along z alone, or in the plane, too."""
    pyramid: PyramidOptions = PyramidOptions()
    """The parts of pyramid_unet that the paper leaves open."""
    drop_path: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Stochastic depth in the backbone, where it has any."""

    @property
    def predicts(self) -> Predicts:
        """What the net puts out."""
        return "centres" if self.head == "centres" and self.name == "shuffle_unet" else "heatmaps"

    def given_weights(self) -> Self:
        """The net as it is built to be given weights: none are fetched for it."""
        return self.model_copy(update={"pretrained": False, "backbone_weights": None})

    @field_validator("backbone")
    @classmethod
    def _a_name_and_no_path(cls, name: str) -> str:
        if not re.fullmatch(r"[\w.-]+", name):
            raise ValueError(f"backbone must be the name of a timm model, got {shown_value(name)}")
        return name

    @model_validator(mode="after")
    def _strides_divide_each_other(self) -> Self:
        if self.depth_stride_limit.bit_count() != 1:
            raise ValueError("depth_stride_limit must be a power of two")
        return self

    @model_validator(mode="after")
    def _slices_have_a_middle(self) -> Self:
        if self.input_slices % 2 == 0:
            raise ValueError("input_slices must be odd, so that a slice has as many neighbours on either side")
        return self


class UNet3dOptions(Options):
    """A 3D U-Net: the 8th place's nets, which segment voxels."""

    name: Literal["unet3d"] = "unet3d"
    """Architecture: a key of tomosoup.models.nets.build.NETS."""
    channels: Annotated[tuple[Width, ...], MaxLen(16)] = (32, 64, 128, 128)
    """Channels of each level, finest first."""
    strides: Annotated[tuple[Annotated[int, Ge(1), Le(16)], ...], MaxLen(16)] = (2, 2, 1)
    """From each level to the next."""
    residual_units: Annotated[int, Ge(0), Le(16)] = 1
    """Convolutions of a residual block."""
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.3
    """While training."""
    output: Literal["labels", "heatmaps"] = "labels"
    """What it predicts: each voxel's species (loss dice), or a heatmap a species (losses weighted and balanced)."""

    @property
    def predicts(self) -> Predicts:
        """What the net puts out."""
        return self.output

    def given_weights(self) -> Self:
        """Itself: its first weights are always random."""
        return self

    @model_validator(mode="after")
    def _a_stride_between_levels(self) -> Self:
        if len(self.strides) != len(self.channels) - 1:
            raise ValueError(f"strides must be one fewer than channels ({len(self.channels)}), got {len(self.strides)}")
        return self


class ResNetUNet3dOptions(Options):
    """A 3D U-Net with a 3D ResNet as its encoder, which the 4th place's paper compares its 2.5D nets with."""

    name: Literal["resnet_unet3d"] = "resnet_unet3d"
    """Architecture: a key of tomosoup.models.nets.build.NETS."""
    backbone: Literal["resnet10", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnet200"] = (
        "resnet18"
    )
    """Encoder, without pretrained weights."""
    decoder_widths: tuple[Width, Width, Width, Width, Width] = (256, 128, 64, 32, 16)
    """Channels of the decoder, lowest resolution first."""
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
    """While training."""
    output: Literal["heatmaps", "labels"] = "heatmaps"
    """What it predicts, as for unet3d."""

    @property
    def predicts(self) -> Predicts:
        """What the net puts out."""
        return self.output

    def given_weights(self) -> Self:
        """Itself: its first weights are always random."""
        return self


class ClassifierOptions(Options):
    """The net of a second stage: MONAI's 3D ResNet with one residual block a width."""

    widths: tuple[GroupedWidth, GroupedWidth, GroupedWidth, GroupedWidth] = (24, 48, 96, 192)
    """Channels of the four stages, each of half the size of the one before; multiples of 8."""


OPTIONS: Mapping[str, type[NetOptions | UNet3dOptions | ResNetUNet3dOptions]] = {
    "unet3d": UNet3dOptions,
    "resnet_unet3d": ResNetUNet3dOptions,
}
"""The options of nets by their name; those of others are `NetOptions`."""


def _options_of(net: Any) -> type[NetOptions | UNet3dOptions | ResNetUNet3dOptions]:
    """The class of the options of a net, which may be a table."""
    name = net.get("name") if isinstance(net, Mapping) else net.name
    return OPTIONS.get(name, NetOptions) if isinstance(name, str) else NetOptions


Architecture = Annotated[
    Annotated[NetOptions, Tag("NetOptions")]
    | Annotated[UNet3dOptions, Tag("UNet3dOptions")]
    | Annotated[ResNetUNet3dOptions, Tag("ResNetUNet3dOptions")],
    Discriminator(lambda net: _options_of(net).__name__),
]
"""What a net may be; its name tells which."""


def read_architecture(options: Mapping[str, Any], *, source: str) -> Architecture:
    """The recipe of a net from what its checkpoint says."""
    return _options_of(options).of(options, source=source)


def net_differences(a: Architecture, b: Architecture) -> list[str]:
    """What keeps the weights of two nets from being exchanged or averaged, in words: options with both values."""
    mine, theirs = _weight_options(a), _weight_options(b)
    if a.name != b.name:
        return [f"net.name ({a.name} and {b.name})"]
    return [f"net.{k} ({_shown(v)} and {_shown(theirs[k])})" for k, v in mine.items() if v != theirs[k]]


def stored_options(architecture: Architecture) -> dict[str, Any]:
    """The options of a net as its checkpoint stores them, in JSON's types.

    Options that version 0.1.0 does not have are stored where they differ from their defaults, which are that version's
    nets. So its checkpoints keep their fingerprints, and it reads those of today that it can build.
    """
    fields = type(architecture).model_fields
    defaults = {name for name in LATER & fields.keys() if getattr(architecture, name) == fields[name].default}
    return architecture.model_dump(mode="json", exclude=defaults)


LATER = {"mixing_kernel", "output", "pyramid", "small_head"}
"""Options of nets that version 0.1.0 does not have."""


def _weight_options(architecture: Architecture) -> dict[str, Any]:
    """The options of a net that its weights depend on, those of sets in it by their full names."""
    only_in_training = {"pretrained", "backbone_weights", "dropout", "drop_path", "small_head"}
    found: dict[str, Any] = {}
    for name, value in architecture.model_dump(mode="json", exclude=only_in_training).items():
        found |= {f"{name}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {name: value}
    return found


def _shown(value: Any) -> str:
    return "nothing" if value is None else str(tuple(value) if isinstance(value, list) else value)
