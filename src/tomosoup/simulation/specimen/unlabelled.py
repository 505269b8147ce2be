"""What else is in the ice, as potential in V above that of water: other proteins, gold, membranes."""

from __future__ import annotations

import numpy as np

from tomosoup.core.types import Array
from tomosoup.simulation.specimen.built_in import PROTEIN_VOLUME, Ellipsoid, Shape, grid, rendered, trimmed

GOLD_VOLTS = 20.0
"""Mean inner potential of gold, about 25 V (Sanchez and Ochando 1985 calculate 25 to 30), above that of water."""
HEAD_VOLTS, TAIL_VOLTS = 3.0, -1.5
"""Lipid head groups are denser than water, the tails between them less so (profiles of vesicles in vitrified water:
Wang, Bose and Sigworth 2006, PNAS 103, 18528)."""
HEAD_DISTANCE = 38.0
"""Å between the two layers of head groups of a membrane (Nagle and Tristram-Nagle 2000)."""


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
    radius = np.linalg.norm(grid(half, voxel_size), axis=-1)
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
    z, y, x = np.moveaxis(grid(half, voxel_size), -1, 0)
    distance = np.sqrt((z + lift) ** 2 + y**2 + x**2) - radius
    sigma = max(5.0, voxel_size / 2)

    def layer(at: float, volts: float, wide: float) -> Array:
        value: Array = volts * wide / sigma * np.exp(-((distance - at) ** 2) / (2 * sigma**2))
        return value

    potential = sum(layer(side * HEAD_DISTANCE / 2, HEAD_VOLTS, 5.0) for side in (-1, 1)) + layer(0, TAIL_VOLTS, 8.0)
    rim = np.clip((width - np.sqrt(y**2 + x**2)) / voxel_size, 0, 1)
    kept = np.where(np.abs(distance) < HEAD_DISTANCE, np.asarray(potential) * rim, 0.0)
    return trimmed(kept if lift == 0.0 else np.where(z + lift > 0, kept, 0.0))
