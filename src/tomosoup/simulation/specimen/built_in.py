"""Particles that need no file: the contest's six, and what else is in the ice.

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
GOLD_VOLTS = 20.0
"""Mean inner potential of gold, about 25 V (Sanchez and Ochando 1985 calculate 25 to 30), above that of water."""
HEAD_VOLTS, TAIL_VOLTS = 3.0, -1.5
"""Lipid head groups are denser than water, the tails between them less so (profiles of vesicles in vitrified water:
Wang, Bose and Sigworth 2006, PNAS 103, 18528)."""
HEAD_DISTANCE = 38.0
"""Å between the two layers of head groups of a membrane (Nagle and Tristram-Nagle 2000)."""
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


@dataclass(frozen=True)
class Shape:
    """A particle: its mass in kDa, the solids of one unit, and the point group that repeats it (scipy's names)."""

    mass_kda: float
    solids: tuple[Ellipsoid, ...]
    symmetry: PointGroup = "C1"
    roughness: float = 5.0
    """Standard deviation of the surface, in Å."""


SHAPES: dict[str, Shape] = {
    # 24 subunits of 18.5 kDa; a shell of 120 Å with a cavity of 80 Å (4V1W).
    "apo-ferritin": Shape(440.0, (Ellipsoid((60, 60, 60), hollow=0.66),), "O", 2.0),
    # D2 tetramer of 56 kDa subunits, about 120 Å long (1FA2).
    "beta-amylase": Shape(224.0, (Ellipsoid((24, 24, 30), (16, 22, 30)),), "D2"),
    # D2 tetramer of 116 kDa subunits, about 180 x 130 x 90 Å (6X1Q).
    "beta-galactosidase": Shape(465.0, (Ellipsoid((28, 34, 44), (18, 30, 46)),), "D2"),
    # 80S: a large subunit of 2.8 MDa and a flatter small one of 1.5 MDa, 250 to 300 Å across (6EK0).
    "ribosome": Shape(
        4300.0, (Ellipsoid((110, 105, 85), (0, 0, -45)), Ellipsoid((95, 60, 50), (12, 20, 90))), "C1", 9.0
    ),
    # C2 dimer of 330 kDa chains, about 250 x 160 x 110 Å (6SCJ).
    "thyroglobulin": Shape(660.0, (Ellipsoid((40, 48, 65), (0, 22, 60)), Ellipsoid((45, 45, 30))), "C2"),
    # PP7-like capsid of 180 coats of 14 kDa (6N4V): a shell, darkest 10 to 11 voxels of 10 Å from its centre. Real ones
    # are darkest at 12 to 13 (runs/checks/real_slices).
    "virus-like-particle": Shape(2500.0, (Ellipsoid((125, 125, 125), hollow=0.72),), "I", 3.0),
}


def built_in(name: str, *, voxel_size: float) -> Array:
    """The potential `(n, n, n)` of a built-in species at `voxel_size` (Å), n odd, in V above water.

    Raises `InputError` for a name that is not built in.
    """
    if name not in SHAPES:
        raise InputError(
            f"{name!r} is not a built-in species ({', '.join(SHAPES)}): give it an atomic model in `structures`, "
            "or a density map in `maps`."
        )
    return rendered(SHAPES[name], voxel_size=voxel_size, seed=zlib.crc32(name.encode()))


def rendered(shape: Shape, *, voxel_size: float, seed: int) -> Array:
    """A shape as potential `(n, n, n)`; `seed` chooses its grain, the same at every voxel size."""
    copies = _point_group(shape.symmetry)
    reach = max(np.linalg.norm(np.abs(s.centre)) + max(s.axes) for s in shape.solids) + 2 * shape.roughness
    half = int(np.ceil(reach / voxel_size)) + 2
    zyx = _grid(half, voxel_size)
    lumps = np.random.default_rng(seed)
    count = int(np.ceil((2 * reach / GRAIN_SIZE) ** 3 / 4 / len(copies)))
    centres, signs = lumps.uniform(-reach, reach, (count, 3)), lumps.choice([-1.0, 1.0], count)
    depth, grain = np.full(zyx.shape[:3], -np.inf), np.zeros(zyx.shape[:3])
    for copy in copies:
        for part in shape.solids:
            np.maximum(depth, _depth(part, zyx @ copy), out=depth)
        _add_lumps(grain, centres @ copy.T, signs, voxel_size)
    grain = _evened(grain)
    solid = np.clip((depth + shape.roughness * grain) / voxel_size + 0.5, 0, 1)
    density = solid * np.clip(1 + GRAIN * grain, 0, None)
    return trimmed(density * (shape.mass_kda * VOLTS_PER_KDA / voxel_size**3 / density.sum()))


def _grid(half: int, voxel_size: float) -> Array:
    """Positions `(2 half + 1,) * 3 + (3,)` in Å (z, y, x) from the centre voxel."""
    axis = np.arange(-half, half + 1) * voxel_size
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)


def _add_lumps(grain: Array, centres: Array, signs: Array, voxel_size: float) -> None:
    """Add a Gaussian of `GRAIN_SIZE` at each of the centres (Å from the centre), in place."""
    spread = np.zeros_like(grain)
    centre = grain.shape[0] // 2
    at = centres / voxel_size + centre
    low = np.floor(at).astype(int)
    for corner in np.ndindex(2, 2, 2):
        place = low + corner
        weight = np.prod(1 - np.abs(at - place), axis=1)
        ok = ((place >= 0) & (place < grain.shape[0])).all(axis=1)
        np.add.at(spread, tuple(place[ok].T), (signs * weight)[ok])
    grain += ndimage.gaussian_filter(spread, GRAIN_SIZE / voxel_size, mode="constant")


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


def globule(mass_kda: float, *, voxel_size: float, random: np.random.Generator) -> Array:
    """A background protein: one to four overlapping ellipsoids of the right volume, with grain."""
    radius = (mass_kda * PROTEIN_VOLUME * 3 / (4 * np.pi)) ** (1 / 3)
    parts = random.integers(1, 5)
    solids = tuple(
        Ellipsoid(
            tuple(radius * parts**-0.25 * random.uniform(0.7, 1.3, 3)),
            tuple(random.uniform(-0.8, 0.8, 3) * radius * (parts > 1)),
        )
        for _ in range(parts)
    )
    return rendered(Shape(mass_kda, solids), voxel_size=voxel_size, seed=int(random.integers(2**31)))


def bead(diameter: float, *, voxel_size: float) -> Array:
    """A gold bead of `diameter` Å."""
    half = int(np.ceil(diameter / 2 / voxel_size)) + 2
    radius = np.linalg.norm(_grid(half, voxel_size), axis=-1)
    solid = np.clip((diameter / 2 - radius) / voxel_size + 0.5, 0, 1)
    return trimmed(solid * (GOLD_VOLTS * np.pi / 6 * diameter**3 / voxel_size**3 / solid.sum()))


def membrane(radius: float, *, largest: float, voxel_size: float) -> Array:
    """A bilayer bent to `radius` Å about the z axis: a whole vesicle if it is no wider than `largest` Å, else a cap
    that is."""
    outer = radius + HEAD_DISTANCE
    cap = 1.0 if 2 * outer <= largest else float(np.sin(np.arccos(np.clip(largest / (2 * outer), 0, 1))))
    width = outer if 2 * outer <= largest else largest / 2
    half = int(np.ceil(width / voxel_size)) + 2
    lift = 0.0 if 2 * outer <= largest else radius * (1 + cap) / 2
    z, y, x = np.moveaxis(_grid(half, voxel_size), -1, 0)
    distance = np.sqrt((z + lift) ** 2 + y**2 + x**2) - radius
    sigma = max(5.0, voxel_size / 2)

    def layer(at: float, volts: float, wide: float) -> Array:
        value: Array = volts * wide / sigma * np.exp(-((distance - at) ** 2) / (2 * sigma**2))
        return value

    potential = sum(layer(side * HEAD_DISTANCE / 2, HEAD_VOLTS, 5.0) for side in (-1, 1)) + layer(0, TAIL_VOLTS, 8.0)
    rim = np.clip((width - np.sqrt(y**2 + x**2)) / voxel_size, 0, 1)
    kept = np.where(np.abs(distance) < HEAD_DISTANCE, np.asarray(potential) * rim, 0.0)
    return trimmed(kept if lift == 0.0 else np.where(z + lift > 0, kept, 0.0))
