"""Particles that need no file: the contest's six.

Potentials are in V above that of water. The built-in proteins have the right mass, size, symmetry and hollowness, and
a grain like that of protein domains; they have no fold.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from tomosoup.core.errors import InputError
from tomosoup.core.types import Array

VOLTS_PER_KDA = 4220.0
"""Potential of protein above water, summed over its volume: V Å³ a kDa.

47.88 V Å² times the electron scattering factors at 0 (Peng 1996) of the average residue (C4.94 H7.76 N1.36 O1.48 S0.04,
111.1 Da: Senko 1995) make 9755; the water of 0.94 g/cm³ (4.57 V) that its 1210 Å³ a kDa displace takes 5536 away.
Ribosomal RNA, heavier but denser, has 4280.
"""
PROTEIN_VOLUME = 1210.0
"""Å³ that a kDa of protein fills (0.73 cm³/g)."""
GRAIN, GRAIN_SIZE = 0.4, 11.0
"""How uneven the inside of a built-in protein is (standard deviation as a fraction of the mean), and over which length
it and the surface change (Å, standard deviation of a Gaussian)."""

Vector = tuple[float, float, float]
PointGroup = Literal["C1", "C2", "D2", "O", "I"]


@dataclass(frozen=True)
class Ellipsoid:
    """A soft-edged solid: half axes and centre (z, y, x) in Å; `hollow` is the fraction of each axis that is empty."""

    axes: Vector
    centre: Vector = (0.0, 0.0, 0.0)
    hollow: float = 0.0

    @property
    def is_central_ball(self) -> bool:
        """Whether every rotation about the origin leaves it as it is."""
        return len(set(self.axes)) == 1 and not any(self.centre)


@dataclass(frozen=True)
class Shape:
    """A particle: its mass in kDa, the solids of one unit, and the point group that repeats it (scipy's names)."""

    mass_kda: float
    solids: tuple[Ellipsoid, ...]
    symmetry: PointGroup = "C1"
    roughness: float = 5.0
    """Standard deviation of the surface, in Å."""
    grain: float = GRAIN
    """How uneven its inside is."""


SHAPES: dict[str, Shape] = {
    # Each was fitted to a density map of its structure at 10 Å: radius of gyration, half axes of inertia, and mass by
    # distance from the centre (docs/simulation/specimen.md, `python -m runs.checks.built_in_shapes`).
    # 24 subunits of 20 kDa (8CPV): a shell of 120 Å with a cavity of 75 Å.
    "apo-ferritin": Shape(480.0, (Ellipsoid((60, 60, 60), hollow=0.62),), "O", 2.0),
    # D2 tetramer of 56 kDa subunits. The half axes of a subunit are those of the map of one chain (1FA2). How four of
    # them make a molecule about 125 Å long is our estimate: the map does not show it.
    "beta-amylase": Shape(224.0, (Ellipsoid((20, 26, 31), (16, 22, 30)),), "D2", 2.0),
    # D2 tetramer of 116 kDa subunits (6DRV).
    "beta-galactosidase": Shape(465.0, (Ellipsoid((33, 25, 63), (8, 24, 19)),), "D2", 2.0),
    # 80S of man (6QZP): the mass of the model. The whole particle has 4.3 MDa; the rest is flexible and leaves no sharp
    # density.
    "ribosome": Shape(
        3300.0, (Ellipsoid((91, 106, 109), (0, 0, -33)), Ellipsoid((146, 81, 38), (11, 18, 72))), "C1", 7.0
    ),
    # C2 dimer of 330 kDa chains with their sugars (7N4Y; the model holds 530 kDa).
    "thyroglobulin": Shape(
        660.0, (Ellipsoid((40, 26, 78), (0, 23, 46)), Ellipsoid((67, 66, 23), (0, 0, 3))), "C2", 2.0
    ),
    # PP7's capsid of 180 coats of 14 kDa (T = 3). The map of 6N4V has 240 of them (T = 4: 3360 kDa), so its radii times
    # sqrt(180 / 240) = 0.866; real particles are as large, and so is MS2, a relative (275 Å across: Kuzmanovic et al.
    # 2003). It is empty: `particles.filling` puts RNA into it.
    "virus-like-particle": Shape(2500.0, (Ellipsoid((139, 139, 139), hollow=0.82),), "I", 2.0, 0.2),
}


def built_in(name: str, *, voxel_size: float, seed: int | None = None) -> Array:
    """The potential `(n, n, n)` of a built-in species at `voxel_size` (Å), n odd, in V above water.

    Another `seed` gives another grain; without one the grain is always the same. Raises `InputError` for a name that is
    not built in.
    """
    if name not in SHAPES:
        raise InputError(
            f"{name!r} is not a built-in species ({', '.join(SHAPES)}): give it an atomic model in `structures`, "
            "or a density map in `maps`."
        )
    seed = zlib.crc32(name.encode()) if seed is None else seed
    return rendered(SHAPES[name], voxel_size=voxel_size, seed=seed)


def rendered(shape: Shape, *, voxel_size: float, seed: int) -> Array:
    """A shape as potential `(n, n, n)`; `seed` chooses its grain, the same at every voxel size."""
    copies = _point_group(shape.symmetry)
    reach = max(np.linalg.norm(np.abs(s.centre)) + max(s.axes) for s in shape.solids) + 2 * shape.roughness
    half = int(np.ceil(reach / voxel_size)) + 2
    zyx = grid(half, voxel_size)
    lumps = np.random.default_rng(seed)
    count = int(np.ceil((2 * reach / GRAIN_SIZE) ** 3 / 4 / len(copies)))
    centres, signs = lumps.uniform(-reach, reach, (count, 3)), lumps.choice([-1.0, 1.0], count)
    depth, grain = np.full(zyx.shape[:3], -np.inf), np.zeros(zyx.shape[:3])
    for i, copy in enumerate(copies):
        for part in shape.solids:
            if i == 0 or not part.is_central_ball:  # which no rotation changes
                np.maximum(depth, _depth(part, zyx @ copy), out=depth)
        _add_lumps(grain, centres @ copy.T, signs, voxel_size)
    grain = _evened(ndimage.gaussian_filter(grain, GRAIN_SIZE / voxel_size, mode="constant"))
    solid = np.clip((depth + shape.roughness * grain) / voxel_size + 0.5, 0, 1)
    density = solid * np.clip(1 + shape.grain * grain, 0, None)
    return trimmed(density * (shape.mass_kda * VOLTS_PER_KDA / voxel_size**3 / density.sum()))


def grid(half: int, voxel_size: float) -> Array:
    """Positions `(2 half + 1,) * 3 + (3,)` in Å (z, y, x) from the centre voxel."""
    axis = np.arange(-half, half + 1) * voxel_size
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)


def _add_lumps(lumps: Array, centres: Array, signs: Array, voxel_size: float) -> None:
    """Share each lump among the voxels round its centre (Å from the cube's), in place."""
    at = centres / voxel_size + lumps.shape[0] // 2
    low = np.floor(at).astype(int)
    for corner in np.ndindex(2, 2, 2):
        place = low + corner
        weight = np.prod(1 - np.abs(at - place), axis=1)
        ok = ((place >= 0) & (place < lumps.shape[0])).all(axis=1)
        np.add.at(lumps, tuple(place[ok].T), (signs * weight)[ok])


def _evened(grain: Array) -> Array:
    """The same grain with standard deviation 1 at every distance from the centre: a point group adds it up there."""
    centre = grain.shape[0] // 2
    shell = np.linalg.norm(np.indices(grain.shape).T - centre, axis=-1).astype(int).T // 2
    spread_by_shell = np.sqrt(ndimage.mean(grain**2, shell, np.arange(shell.max() + 1)))
    evened: Array = grain / np.maximum(spread_by_shell, 0.1 * spread_by_shell.max())[shell]
    return evened


def _point_group(symmetry: PointGroup) -> list[Array]:
    """Rotations `(3, 3)` of zyx column vectors, about z where there is one main axis."""
    group = Rotation.create_group(symmetry)  # type: ignore[arg-type]  # stubs know Cn, not C2
    return [m[::-1, ::-1] for m in group.as_matrix()]


def _depth(solid: Ellipsoid, zyx: Array) -> Array:
    """About how many Å each position is below the solid's surface, or its cavity's; negative outside."""
    radius, scale = np.linalg.norm((zyx - solid.centre) / solid.axes, axis=-1), np.mean(solid.axes)
    below = (1 - radius) * scale
    inside: Array = np.minimum(below, (radius - solid.hollow) * scale) if solid.hollow else below
    return inside


def trimmed(cube: Array) -> Array:
    """A cube with an odd side, without the empty layers all round it but one."""
    centre = cube.shape[0] // 2
    far = np.abs(np.argwhere(cube != 0) - centre).max(initial=0) + 1
    low, high = max(centre - far, 0), centre + far + 1
    return cube[low:high, low:high, low:high]
