"""Random changes of training windows; the target changes with its window."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Generator, Tensor

from tomosoup.training.supervision.options import AugmentationOptions

AXES = {"z": -3, "y": -2, "x": -1}


def augment(window: Tensor, target: Tensor, recipe: AugmentationOptions, *, random: Generator) -> tuple[Tensor, Tensor]:
    """Window `(z, y, x)`, normalised, and its target `(c, z, y, x)` -> the same, changed at random by `recipe`.

    Targets of floats are heatmaps, interpolated as the recipe says; those of integers are labels, which are not.
    """
    for axis in recipe.flip_axes:
        if _happens(recipe.flip_probability, random):
            window, target = window.flip(AXES[axis]), target.flip(AXES[axis])
    if _happens(recipe.affine_probability, random):
        move = partial(
            move_in_plane,
            rotation_degrees=_within(recipe.rotation_degrees, random),
            scale=1 + _within(recipe.scale, random),
            shift=(_within(recipe.shift, random), _within(recipe.shift, random)),
        )
        window = move(window[None])[0]
        mode = recipe.target_interpolation if target.is_floating_point() else "nearest"
        target = move(target.float(), mode=mode).to(target)
    if _happens(recipe.intensity_probability, random):
        contrast, brightness = _within(recipe.intensity, random), _within(recipe.intensity, random)
        window = changed_intensity(window, contrast=contrast, brightness=brightness, clip=recipe.intensity_clip)
    return window, target


def move_in_plane(
    volumes: Tensor, *, rotation_degrees: float, scale: float, shift: tuple[float, float], mode: str = "bilinear"
) -> Tensor:
    """Rotate `(c, z, y, x)` in the plane about its centre, enlarge it by `scale` and shift it.

    Args:
        shift: Along (y, x), as a fraction of the size.
        mode: How torch's `grid_sample` interpolates. Voxels from outside are zero.
    """
    c, z, y, x = volumes.shape
    cos, sin = (f(math.radians(rotation_degrees)) / scale for f in (math.cos, math.sin))
    # affine_grid asks where each output pixel comes from, in units of half the image, x before y.
    back = torch.tensor([[cos, sin * y / x, 0.0], [-sin * x / y, cos, 0.0]])
    back[:, 2] = -back[:, :2] @ torch.tensor([2.0 * shift[1], 2.0 * shift[0]])
    grid = F.affine_grid(back[None], [1, c * z, y, x], align_corners=False)
    moved = F.grid_sample(rearrange(volumes, "c z y x -> 1 (c z) y x"), grid, mode=mode, align_corners=False)
    return rearrange(moved, "1 (c z) y x -> c z y x", c=c)


def changed_intensity(window: Tensor, *, contrast: float, brightness: float, clip: bool) -> Tensor:
    """window (1 + contrast) + brightness; with `clip` cut to 0 ... 1, as albumentations does to floats."""
    changed = window * (1 + contrast) + brightness
    return changed.clamp(0, 1) if clip else changed


@dataclass(frozen=True)
class Mix:
    """How a batch is mixed: window i has the weight `weight`, window `order[i]` the rest."""

    order: Tensor
    weight: float


def draw_mixup(batch: int, recipe: AugmentationOptions, *, random: Generator) -> Mix | None:
    """How to mix a batch of windows, or None where it stays as it is (mixup, Zhang et al. 2018).

    One weight for the whole batch, drawn from Beta(alpha, alpha).
    """
    if not _happens(recipe.mixup_probability, random):
        return None
    order = torch.randperm(batch, generator=random)
    seed = int(torch.randint(2**62, (), generator=random))
    return Mix(order, float(np.random.default_rng(seed).beta(recipe.mixup_alpha, recipe.mixup_alpha)))


def _happens(probability: float, random: Generator) -> bool:
    return float(torch.rand((), generator=random)) < probability


def _within(largest: float, random: Generator) -> float:
    """Uniform between -largest and largest."""
    return largest * (2 * float(torch.rand((), generator=random)) - 1)
