"""Potential maps of particles, from density maps or atomic models.

Maps are cubes `(n, n, n)`, n odd, with the particle's centre of mass on the centre voxel, in V above water.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from tomosoup.core.errors import InputError
from tomosoup.core.types import Array, Volume
from tomosoup.simulation.specimen.built_in import VOLTS_PER_KDA, trimmed

UNITS_PER_KDA = 28.3
"""Summed density of a kilodalton in the maps that the contest's organisers made."""
SUPPORT = 0.15
"""A voxel is part of the particle if it reaches this fraction of the map's 99th percentile."""


def from_map(density: Volume, *, voxel_size: float, scale: float = 1.0, mass_kda: float | None = None) -> Tensor:
    """A `(z, y, x)` density map at `voxel_size` (Å), `scale` times as large, its near-zero background removed.

    The particle's whole potential is the same at every voxel size and goes with `scale` cubed (density is kept),
    unless `mass_kda` is given: then it is that of so much protein. Raises `InputError` for a map of zeros.
    """
    values = near_zero_removed(density.data.double().numpy())
    if not values.any():
        raise InputError("A density map holds zeros only; expected a particle.")
    values = _resampled(values, scale * density.voxel_size / voxel_size)
    values *= VOLTS_PER_KDA / (UNITS_PER_KDA * density.voxel_size**3)
    if mass_kda is not None:
        values *= VOLTS_PER_KDA * mass_kda / (values.sum() * voxel_size**3)
    return centred(values)


def near_zero_removed(density: Array) -> Array:
    """The density without what is weaker than 1 % of its strongest voxel."""
    strong = np.abs(density)
    kept: Array = np.where(strong < 0.01 * strong.max(), 0.0, density)
    return kept


def _resampled(density: Array, zoom: float) -> Array:
    """The map on a grid `zoom` times as fine, about the same centre, smoothed first where the grid gets coarser."""
    if abs(zoom - 1) < 1e-3:
        return density
    if zoom < 1:
        density = ndimage.gaussian_filter(density, 0.4 / zoom - 0.4)
    old = np.array(density.shape)
    new = np.ceil(old * zoom).astype(int)
    offset = (old - 1) / 2 - (new - 1) / 2 / zoom
    resampled: Array = ndimage.affine_transform(density, [1 / zoom] * 3, offset, tuple(new), order=1)
    return resampled


def centred(density: Array) -> Tensor:
    """Any `(z, y, x)` density -> a cube with its centre of mass on the centre voxel, float32."""
    centre = np.array(ndimage.center_of_mass(np.abs(density)))
    half = int(np.ceil(max(np.max(centre), np.max(np.array(density.shape) - 1 - centre)))) + 1
    cube = np.zeros([2 * half + 1] * 3)
    low = half - np.floor(centre).astype(int)
    cube[tuple(slice(a, a + n) for a, n in zip(low, density.shape, strict=True))] = density
    return torch.from_numpy(trimmed(ndimage.shift(cube, np.floor(centre) - centre, order=1)).astype(np.float32))


def support(density: Tensor, *, voxel_size: float, hollow: bool = False) -> Array:
    """The voxels of a map `(n, n, n)` that are matter: `(voxels, 3)` in Å (z, y, x) from the centre voxel.

    What a shell encloses counts as matter, unless it is `hollow`: then other things may be inside.
    """
    matter = _matter(density.numpy())
    positions: Array = (
        np.argwhere(matter if hollow else ndimage.binary_fill_holes(matter)) - density.shape[0] // 2
    ).astype(np.float64) * voxel_size
    return positions


def inside(density: Array) -> np.ndarray:
    """The voxels of a map `(n, n, n)` that its matter encloses, as booleans: it stands in five of the six directions
    along the axes at least, so that a shell may have pores."""
    matter = _matter(density)
    seen = np.zeros(matter.shape, dtype=int)
    for axis in range(3):
        seen += np.maximum.accumulate(matter, axis)
        seen += np.flip(np.maximum.accumulate(np.flip(matter, axis), axis), axis)
    enclosed: np.ndarray = (seen >= 5) & ~matter
    return enclosed


def _matter(density: Array) -> np.ndarray:
    strong = np.abs(density)
    matter: np.ndarray = strong > SUPPORT * np.percentile(strong[strong > 0], 99)
    return matter


def support_radius(density: Tensor, *, voxel_size: float) -> float:
    """Distance (Å) from the centre within which all matter of a map is found."""
    return float(np.linalg.norm(support(density, voxel_size=voxel_size), axis=1).max())
