"""Particles drawn straight into a volume: what the simulator's projections are held against."""

import math
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from einops import einsum
from torch import Tensor

from tomosoup.recipes.simulation import SimulationRecipe
from tomosoup.types import Array, Picks


def density_volume(maps: Mapping[str, Tensor], particles: Mapping[str, Picks], recipe: SimulationRecipe) -> Tensor:
    """The particles as a noise-free `(z, y, x)` density without missing wedge, by trilinear interpolation."""
    volume = torch.zeros(recipe.shape)
    centre = (torch.tensor(recipe.shape) - 1) / 2
    for name, picks in particles.items():
        assert picks.rotations is not None
        for pose, place in zip(picks.rotations, picks.zyx / recipe.voxel_size + centre.numpy(), strict=True):
            _deposit(volume, maps[name], pose, place)
    return volume


def _deposit(volume: Tensor, density: Tensor, pose: Array, place: Array) -> None:
    """Add a turned map to the volume, in place, its middle voxel at `place` (voxels)."""
    n = density.shape[0]
    reach = math.ceil(n / 2 * math.sqrt(3)) + 1
    low = np.maximum(np.floor(place).astype(int) - reach, 0)
    high = np.minimum(np.floor(place).astype(int) + reach + 1, volume.shape)
    if (high <= low).any():
        return
    axes = [
        torch.arange(int(a), int(b), dtype=torch.float32) - float(p) for a, b, p in zip(low, high, place, strict=True)
    ]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    source = einsum(torch.tensor(pose, dtype=torch.float32), grid, "scope map, z y x scope -> z y x map")
    sampled = F.grid_sample(density[None, None], (source / (n // 2)).flip(-1)[None], align_corners=True)
    volume[tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))] += sampled[0, 0]
