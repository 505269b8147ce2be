"""Where particles are and how they lie, none in another's place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from tomosoup.core.errors import InputError
from tomosoup.core.types import Array, Picks
from tomosoup.simulation.options import LayoutOptions

TRIES = 2000
"""Places and turns tried for one particle before the volume counts as full."""
BATCH = 16
"""Of these, drawn at once."""
CLUSTER_SPREAD = 100.0
"""Å, where the recipe does not say."""


@dataclass(frozen=True)
class Room:
    """The voxels of a tomogram `(z, y, x)` and what they hold: 0 for nothing, else a label."""

    shape: tuple[int, int, int]
    voxel_size: float
    labels: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", np.zeros(self.shape, dtype=np.uint8))

    @property
    def extent(self) -> Array:
        """Å (z, y, x)."""
        return np.array(self.shape) * self.voxel_size

    def voxels(self, points: Array) -> np.ndarray:
        """The voxels `(n, 3)` that hold points in Å from the tomogram's corner."""
        return np.floor(points / self.voxel_size).astype(np.int32)

    def is_free(self, points: Array) -> bool:
        """Whether all points (Å) are inside and nothing is there."""
        at = self.voxels(points)
        inside = bool((at >= 0).all() and (at < self.shape).all())
        return inside and not self.labels[tuple(at.T)].any()

    def put(self, points: Array, label: int) -> None:
        """Label the voxels at the points, those outside left out, gaps between turned points closed."""
        at = self.voxels(points)
        low, high = np.maximum(at.min(axis=0) - 1, 0), np.minimum(at.max(axis=0) + 2, self.shape)
        if (high <= low).any():
            return
        at = at[((at >= low) & (at < high)).all(axis=1)] - low
        mask = np.zeros(high - low, dtype=bool)
        mask[tuple(at.T)] = True
        part = self.labels[tuple(map(slice, low, high))]
        part[ndimage.binary_closing(mask) | mask] = label


@dataclass(frozen=True)
class Kind:
    """What is to be placed: its matter about its centre (Å, `structures.support`), how often, and as which label."""

    name: str
    matter: Array
    count: int
    label: int = 255


Proposals = Callable[[int], Array]
"""`n` places `(n, 3)` in Å to try."""


def random_layout(
    kinds: Sequence[Kind],
    room: Room,
    *,
    random: np.random.Generator,
    recipe: LayoutOptions = LayoutOptions(),  # noqa: B008 - immutable
    slab: tuple[float, float] | None = None,
) -> dict[str, Picks]:
    """Particles of each kind at random places and in random orientations, where the room has space for their shape.

    Places are Å from the tomogram's corner; all of a particle is inside. The largest are placed first. `slab` bounds
    the centres' z; clusters and depths are the recipe's. Raises `InputError` where particles do not fit.
    """
    found: dict[str, Picks] = {}
    for kind in sorted(kinds, key=lambda k: -len(k.matter)):
        propose = _proposals(kind, room, recipe, random=random, slab=slab)
        found[kind.name] = _place(kind, room, propose, random=random)
    return {kind.name: found[kind.name] for kind in kinds}


def _proposals(
    kind: Kind, room: Room, recipe: LayoutOptions, *, random: np.random.Generator, slab: tuple[float, float] | None
) -> list[Proposals]:
    """Where to try: in clusters (a Thomas process) if the kind has any, and, where those are full, anywhere."""
    extent = room.extent
    low_z, high_z = slab or (0.0, extent[0])

    def anywhere(n: int) -> Array:
        places = random.random((n, 3)) * extent
        if kind.name in recipe.depth:
            mean, deviation = recipe.depth[kind.name]
            places[:, 0] = extent[0] * (mean + deviation * random.standard_normal(n))
        else:
            places[:, 0] = low_z + (high_z - low_z) * random.random(n)
        return places

    size = recipe.cluster_size.get(kind.name, 1.0)
    if size <= 1.0 or not kind.count:
        return [anywhere]
    middles = anywhere(max(1, random.poisson(kind.count / size)))
    spread = recipe.cluster_spread.get(kind.name, CLUSTER_SPREAD)

    def in_clusters(n: int) -> Array:
        about = middles[random.integers(len(middles), size=n)]
        places: Array = about + spread * random.standard_normal((n, 3))
        return places

    return [in_clusters, anywhere]


def _place(kind: Kind, room: Room, proposals: Sequence[Proposals], *, random: np.random.Generator) -> Picks:
    """The kind's particles, each put into the room."""
    places: list[Array] = []
    turns: list[Array] = []
    for _ in range(kind.count):
        tried = (_free_pose(kind.matter, room, propose, random=random) for propose in proposals)
        pose = next((found for found in tried if found is not None), None)
        if pose is None:
            raise InputError(
                f"Only {len(places)} of {kind.count} {kind.name} particles fit into "
                f"{' x '.join(f'{e:.0f}' for e in room.extent)} Å beside the others: ask for fewer, or enlarge --shape."
            )
        places.append(pose[0])
        turns.append(pose[1])
        room.put(kind.matter @ pose[1].T + pose[0], kind.label)
    return Picks(np.array(places).reshape(-1, 3), np.ones(len(places)), np.array(turns).reshape(-1, 3, 3))


def _free_pose(
    matter: Array, room: Room, propose: Proposals, *, random: np.random.Generator
) -> tuple[Array, Array] | None:
    for _ in range(TRIES // BATCH):
        for place, turn in zip(propose(BATCH), Rotation.random(BATCH, rng=random).as_matrix(), strict=True):
            middle = room.voxels(place)
            if (middle < 0).any() or (middle >= room.shape).any() or room.labels[tuple(middle)]:
                continue
            if room.is_free(matter @ turn.T + place):
                return place, turn
    return None


def placed_at(
    given: Mapping[str, Picks], kinds: Sequence[Kind], room: Room, *, random: np.random.Generator
) -> dict[str, Picks]:
    """Particles exactly where `given` has them, overlapping or not; turned at random where it has no orientations."""
    found = {}
    for kind in kinds:
        picks = given[kind.name]
        if picks.rotations is None:
            picks = with_random_orientations(picks.zyx, random=random)
        assert picks.rotations is not None
        for place, turn in zip(picks.zyx, picks.rotations, strict=True):
            room.put(kind.matter @ turn.T + place, kind.label)
        found[kind.name] = picks
    return found


def with_random_orientations(zyx: Array, *, random: np.random.Generator) -> Picks:
    """True picks at `zyx` `(n, 3)` Å, each turned uniformly at random."""
    rotations = Rotation.random(len(zyx), rng=random).as_matrix() if len(zyx) else np.empty((0, 3, 3))
    return Picks(zyx, np.ones(len(zyx)), rotations)
