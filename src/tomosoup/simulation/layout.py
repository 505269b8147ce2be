"""Where particles are and how they lie."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from tomosoup.errors import InputError
from tomosoup.types import Array, Picks

TRIES = 2000
"""Random places tried for one particle before the volume counts as full."""


def random_layout(
    counts: Mapping[str, int], *, radii: Mapping[str, float], extent: ArrayLike, random: np.random.Generator
) -> dict[str, Picks]:
    """`counts` particles of each species at random places and in random orientations, none touching another.

    Positions are in Å within a box of `extent` (z, y, x) that starts at 0; each particle keeps its radius from the
    box's sides and from others' balls. Raises `InputError` where they do not all fit.
    """
    extent = np.asarray(extent, dtype=float)
    places, sizes = np.empty((0, 3)), np.empty(0)
    found: dict[str, Array] = {}
    for name in sorted(counts, key=lambda n: -radii[n]):
        mine: list[Array] = []
        for _ in range(counts[name]):
            place = _free_place(places, sizes, radius=radii[name], extent=extent, random=random)
            if place is None:
                raise InputError(
                    f"Only {len(mine)} of {counts[name]} {name} particles of radius {radii[name]:.0f} Å fit into "
                    f"{' x '.join(f'{e:.0f}' for e in extent)} Å: lower --concentration or enlarge --shape."
                )
            places, sizes = np.vstack([places, place]), np.append(sizes, radii[name])
            mine.append(place)
        found[name] = np.array(mine).reshape(-1, 3)
    return {name: with_random_orientations(found[name], random=random) for name in counts}


def _free_place(
    places: Array, sizes: Array, *, radius: float, extent: Array, random: np.random.Generator
) -> Array | None:
    """A place at least `radius` from the sides and clear of the balls at `places`; None where none was found."""
    room = extent - 2 * radius
    if (room < 0).any():
        return None
    for place in radius + random.random((TRIES, 3)) * room:
        if (np.linalg.norm(places - place, axis=1) > sizes + radius).all():
            free: Array = place
            return free
    return None


def with_random_orientations(zyx: Array, *, random: np.random.Generator) -> Picks:
    """True picks at `zyx` `(n, 3)` Å, each turned uniformly at random."""
    rotations = Rotation.random(len(zyx), rng=random).as_matrix() if len(zyx) else np.empty((0, 3, 3))
    return Picks(zyx, np.ones(len(zyx)), rotations)
