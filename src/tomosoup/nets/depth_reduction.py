"""A 2D image backbone on the slices of a window, its depth pooled away as its planes shrink."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import timm
import torch
from einops import rearrange, reduce
from timm.models._features import FeatureListNet
from torch import Tensor, nn

from tomosoup.errors import InputError
from tomosoup.recipes.training import NetRecipe


@dataclass(frozen=True)
class Stage:
    """One feature map of the encoder: its channels and its strides (z, y, x) relative to the input."""

    channels: int
    stride: tuple[int, int, int]


def slice_picker(slices: int) -> nn.Conv3d:
    """`(b, 1, z, y, x)` -> `(b, slices, z, y, x)`: each slice with its neighbours in z, zeros past the ends.

    A convolution with fixed weights, as in the published net, whose parameter count includes them.
    """
    pick = nn.Conv3d(1, slices, kernel_size=(slices, 1, 1), padding=(slices // 2, 0, 0), bias=False)
    pick.weight.requires_grad_(False).copy_(torch.eye(slices).reshape(pick.weight.shape))
    return pick


class SliceEncoder(nn.Module):
    """A timm 2D backbone that runs on all slices as one batch; after each stage the depth is average-pooled.

    `(b, 1, z, y, x)` -> one `(b, channels, z / dz, y / d, x / d)` a stage in `stages`. The depth stride follows the
    in-plane stride up to a limit, and the pooled map is both the skip and the next stage's input (Section 2.3 of the
    4th place's paper).
    """

    def __init__(self, recipe: NetRecipe, *, steps: int) -> None:
        """`steps`: how many times the decoder upsamples; the encoder returns that many maps and one more.

        Raises `InputError` for an unknown backbone, or one with too few stages.
        """
        super().__init__()
        self.slices = slice_picker(recipe.input_slices)
        backbone = _timm_model(recipe)
        reductions = [stage["reduction"] for stage in backbone.feature_info]
        if len(reductions) <= steps:
            raise InputError(
                f"Backbone {recipe.backbone!r} has {len(reductions)} feature stages and the decoder's {steps} widths "
                f"need {steps + 1}: name fewer decoder widths or another backbone."
            )
        # Stages named like "blocks.1" sit inside a sequential container, which must then be opened.
        nested = any("." in stage["module"] for stage in backbone.feature_info)
        self.backbone = FeatureListNet(backbone, out_indices=tuple(range(len(reductions))), flatten_sequential=nested)
        depths = [min(r, recipe.depth_stride_limit) for r in reductions]
        self.pools = dict(zip(self.backbone.return_layers, _ratios([1, *depths]), strict=True))
        self.stages = [
            Stage(info["num_chs"], (depth, info["reduction"], info["reduction"]))
            for info, depth in zip(backbone.feature_info, depths, strict=True)
        ][-steps - 1 :]

    def forward(self, volume: Tensor) -> list[Tensor]:
        b = volume.shape[0]
        x = rearrange(self.slices(volume), "b c z y x -> (b z) c y x")
        maps = []
        for name, module in self.backbone.items():
            x = module(x)
            if name in self.pools:
                x = reduce(x, "(b z dz) c y x -> (b z) c y x", "mean", b=b, dz=self.pools[name])
                maps.append(rearrange(x, "(b z) c y x -> b c z y x", b=b))
        return maps[-len(self.stages) :]


def _ratios(values: list[int]) -> list[int]:
    return [b // a for a, b in pairwise(values)]


def _timm_model(recipe: NetRecipe) -> Any:
    try:
        model = timm.create_model(
            recipe.backbone,
            pretrained=recipe.pretrained,
            in_chans=recipe.input_slices,
            **({"drop_path_rate": recipe.drop_path} if recipe.drop_path else {}),
        )
    except (RuntimeError, TypeError) as error:
        raise InputError(f"timm cannot make backbone {recipe.backbone!r} ({error}); see timm.list_models().") from error
    except OSError as error:
        raise InputError(
            f"The ImageNet weights of {recipe.backbone!r} could not be downloaded ({error}): "
            "go on line once, or train with --net.no-pretrained."
        ) from error
    if not hasattr(model, "feature_info"):
        raise InputError(
            f"Backbone {recipe.backbone!r} has no feature stages; take one that timm lists as features_only."
        )
    return model
