"""Training targets: picks -> Gaussian heatmaps, or a label volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from tomosoup.core.types import Array, PicksBySpecies, Species, Volume

REACH = 4.0
"""Gaussians are drawn out to this many sigma, where they have fallen to 3e-4."""


def gaussian_targets(
    picks: PicksBySpecies, species: Sequence[Species], like: Volume, *, sigma: float | Sequence[float]
) -> Volume:
    """Heatmaps `(c, z, y, x)` on the grid of `like`, with a channel for each species in their order.

    Each pick is a Gaussian of height 1 at its exact position, between voxels too. Where Gaussians of a species overlap
    the larger value counts. Picks outside `like` contribute where their Gaussians reach into it. A species without
    picks has an empty channel. (The target of the 4th place, which rounds centres to voxels.)

    Args:
        sigma: Standard deviation in Å: one for all species, or one each, as in the recipe `tattaka`.
    """
    widths = [sigma] * len(species) if isinstance(sigma, int | float) else list(sigma)
    heatmap = torch.zeros(len(species), *like.shape)
    for channel, one, width in zip(heatmap, species, widths, strict=True):
        if one.name in picks:
            for centre in like.to_voxel(picks[one.name].zyx):
                _draw(channel, centre, width / like.voxel_size)
    return replace(like, data=heatmap)


def label_targets(picks: PicksBySpecies, species: Sequence[Species], like: Volume, *, ball: float = 1.0) -> Volume:
    """Labels `(1, z, y, x)`, uint8, on the grid of `like`: 0 outside all particles, else 1 + the species' position.

    Each pick is a ball around its exact position, whose radius is `ball` times that of its species (the 8th place's
    target). Where balls overlap, a voxel belongs to the nearest centre, measured in radii of its species.
    """
    labels = torch.zeros(like.shape, dtype=torch.uint8)
    nearest = torch.ones(like.shape)
    for label, one in enumerate(species, start=1):
        radius_vox = ball * one.radius / like.voxel_size
        for centre in like.to_voxel(picks[one.name].zyx) if one.name in picks else ():
            if box := _box(centre, radius_vox, like.shape):
                z, y, x = (
                    ((torch.arange(s.start, s.stop) - m) / radius_vox) ** 2 for s, m in zip(box, centre, strict=True)
                )
                distance = (z[:, None, None] + y[:, None] + x).float()
                deeper = distance <= nearest[box]
                nearest[box] = torch.where(deeper, distance, nearest[box])
                labels[box] = torch.where(deeper, label, labels[box])
    return replace(like, data=labels[None])


def _draw(channel: Tensor, centre: Array, sigma_vox: float) -> None:
    """Raise `channel` `(z, y, x)`, in place, to a Gaussian about `centre` (voxels)."""
    if box := _box(centre, REACH * sigma_vox, channel.shape):
        z, y, x = (
            torch.exp(-0.5 * ((torch.arange(s.start, s.stop) - m) / sigma_vox) ** 2).float()
            for s, m in zip(box, centre, strict=True)
        )
        patch = channel[box]
        torch.maximum(patch, z[:, None, None] * y[:, None] * x, out=patch)


def _box(centre: Array, reach_vox: float, shape: Sequence[int]) -> tuple[slice, ...] | None:
    """The voxels within `reach_vox` of `centre` along every axis; None where a volume of `shape` holds none."""
    low = np.maximum(np.ceil(centre - reach_vox), 0).astype(int)
    high = np.minimum(np.floor(centre + reach_vox) + 1, shape).astype(int)
    return None if (high <= low).any() else tuple(slice(a, b) for a, b in zip(low, high, strict=True))
