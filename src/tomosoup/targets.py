"""What a net is asked to predict: picks -> Gaussian heatmap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from tomosoup.types import Array, PicksBySpecies, Species, Volume

REACH = 4.0
"""Gaussians are drawn out to this many sigma, where they have fallen to 3e-4."""


def gaussian_targets(
    picks: PicksBySpecies, species: Sequence[Species], like: Volume, *, sigma: float | Sequence[float]
) -> Volume:
    """Heatmaps `(c, z, y, x)` on the grid of `like`, a channel a species, in their order.

    Each pick is a Gaussian of width `sigma` (Å; one for all, or one a species, as the 4th place's A2 has it in
    proportion to the particle) and height 1 at its exact, sub-voxel place; where two of a species
    overlap the larger value stands (the 4th place's target; theirs rounds the centre to a voxel). Picks outside `like`
    reach in as far as their Gaussians do. Species without picks give an empty channel.
    """
    widths = [sigma] * len(species) if isinstance(sigma, int | float) else list(sigma)
    heatmap = torch.zeros(len(species), *like.shape)
    for channel, kind, width in zip(heatmap, species, widths, strict=True):
        if kind.name in picks:
            for centre in like.to_voxel(picks[kind.name].zyx):
                _draw(channel, centre, width / like.voxel_size)
    return replace(like, data=heatmap)


def _draw(channel: Tensor, centre: Array, sigma_vox: float) -> None:
    """Raise `channel` `(z, y, x)`, in place, to a Gaussian about `centre` (voxels)."""
    reach = REACH * sigma_vox
    low = np.maximum(np.ceil(centre - reach), 0).astype(int)
    high = np.minimum(np.floor(centre + reach) + 1, channel.shape).astype(int)
    if (high <= low).any():
        return
    z, y, x = (
        torch.exp(-0.5 * ((torch.arange(a, b) - m) / sigma_vox) ** 2).float()
        for a, b, m in zip(low, high, centre, strict=True)
    )
    patch = channel[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    torch.maximum(patch, z[:, None, None] * y[:, None] * x, out=patch)
