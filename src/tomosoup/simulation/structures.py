"""What a particle looks like: density maps, built in or from MRC files.

Maps are cubes `(n, n, n)` with the particle's centre of mass on voxel n // 2. Their values add up to 28.3 a kDa: the
built-in shapes have the right mass, size, symmetry and hollowness, and no more detail than 10 Å voxels show.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from tomosoup.errors import InputError
from tomosoup.types import Array, Volume

UNITS_PER_KDA = 28.3
"""Summed density of a kilodalton."""
Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Ellipsoid:
    """A soft-edged solid: half axes and centre (z, y, x) in Å; `hollow` is the share of each axis that is empty."""

    axes: Vector
    centre: Vector = (0.0, 0.0, 0.0)
    hollow: float = 0.0


@dataclass(frozen=True)
class Shape:
    """A built-in particle: its mass in kDa and the solids that it is made of."""

    mass_kda: float
    solids: tuple[Ellipsoid, ...]


def _d2(axes: Vector, centre: Vector) -> tuple[Ellipsoid, ...]:
    """Four copies about three twofold axes."""
    z, y, x = centre
    return tuple(Ellipsoid(axes, c) for c in ((z, y, x), (z, -y, -x), (-z, y, -x), (-z, -y, x)))


SHAPES: dict[str, Shape] = {
    # 24 subunits of 18.5 kDa; a shell of 120 Å with a cavity of 80 Å (4V1W).
    "apo-ferritin": Shape(440.0, (Ellipsoid((60, 60, 60), hollow=0.66),)),
    # D2 tetramer of 56 kDa subunits, about 120 Å long (1FA2).
    "beta-amylase": Shape(224.0, _d2((24, 24, 30), (16, 22, 30))),
    # D2 tetramer of 116 kDa subunits, about 180 x 130 x 90 Å (6X1Q).
    "beta-galactosidase": Shape(465.0, _d2((28, 34, 44), (18, 30, 46))),
    # 80S: a large subunit of 2.8 MDa and a flatter small one of 1.5 MDa, 250 to 300 Å across (6EK0).
    "ribosome": Shape(4300.0, (Ellipsoid((110, 105, 85), (0, 0, -45)), Ellipsoid((95, 60, 50), (12, 20, 90)))),
    # C2 dimer of 330 kDa chains, about 250 x 160 x 110 Å (6SCJ).
    "thyroglobulin": Shape(
        660.0, (Ellipsoid((40, 48, 65), (0, 22, 60)), Ellipsoid((40, 48, 65), (0, -22, -60)), Ellipsoid((45, 45, 30)))
    ),
    # PP7-like capsid of 180 coats of 14 kDa: a shell, darkest 10 to 11 voxels of 10 Å from its centre (6N4V).
    "virus-like-particle": Shape(2500.0, (Ellipsoid((125, 125, 125), hollow=0.8),)),
}


def built_in(name: str, *, voxel_size: float) -> Tensor:
    """The map of a built-in species at `voxel_size` (Å). Raises `InputError` for a name that is not built in."""
    if name not in SHAPES:
        raise InputError(f"{name!r} is not built in ({', '.join(SHAPES)}): give it an MRC map with --maps {name} FILE.")
    shape = SHAPES[name]
    reach = max(max(abs(c) + a for c, a in zip(s.centre, s.axes, strict=True)) for s in shape.solids)
    half = int(np.ceil(reach / voxel_size)) + 2
    zyx = np.stack(np.meshgrid(*[np.arange(-half, half + 1) * voxel_size] * 3, indexing="ij"), axis=-1)
    density = np.max([_filled(solid, zyx, voxel_size) for solid in shape.solids], axis=0)
    return centred(density * (UNITS_PER_KDA * shape.mass_kda / density.sum()))


def _filled(solid: Ellipsoid, zyx: Array, voxel_size: float) -> Array:
    """1 inside the solid, 0 outside, falling over about a voxel."""
    radius = np.linalg.norm((zyx - solid.centre) / solid.axes, axis=-1)
    edge = voxel_size / np.mean(solid.axes)
    outside = np.clip((radius - 1) / edge + 0.5, 0, 1)
    cavity = np.clip((solid.hollow - radius) / edge + 0.5, 0, 1) if solid.hollow else 0.0
    filled: Array = np.clip(1 - outside - cavity, 0, 1)
    return filled


def from_map(density: Volume, *, voxel_size: float, scale: float = 1.0, mass_kda: float | None = None) -> Tensor:
    """A `(z, y, x)` density map at `voxel_size` (Å), `scale` times as large, its near-zero background removed.

    The sum of the values is the same at every voxel size and goes with `scale` cubed (density is kept), unless
    `mass_kda` says what it must come to. Raises `InputError` for a map of zeros.
    """
    values = density.data.double().numpy().copy()
    values[np.abs(values) < 0.01 * np.abs(values).max()] = 0.0
    if not values.any():
        raise InputError("A density map holds zeros only; expected a particle.")
    values = _resampled(values, scale * density.voxel_size / voxel_size) * (voxel_size / density.voxel_size) ** 3
    if mass_kda is not None:
        values *= UNITS_PER_KDA * mass_kda / values.sum()
    return centred(values)


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
    """Any `(z, y, x)` density -> a cube with its centre of mass on the middle voxel, float32."""
    centre = np.array(ndimage.center_of_mass(np.abs(density)))
    half = int(np.ceil(max(np.max(centre), np.max(np.array(density.shape) - 1 - centre)))) + 1
    cube = np.zeros([2 * half + 1] * 3)
    low = half - np.floor(centre).astype(int)
    cube[tuple(slice(a, a + n) for a, n in zip(low, density.shape, strict=True))] = density
    return torch.from_numpy(ndimage.shift(cube, np.floor(centre) - centre, order=1).astype(np.float32))


def support_radius(density: Tensor, *, voxel_size: float) -> float:
    """Distance (Å) from the centre beyond which less than a twentieth of the peak density is found."""
    outside = (density.abs() > 0.05 * density.abs().max()).nonzero() - density.shape[0] // 2
    return float(outside.float().norm(dim=1).max()) * voxel_size
