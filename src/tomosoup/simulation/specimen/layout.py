"""Positions and rotations of particles that do not overlap."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from tomosoup.core.errors import InputError
from tomosoup.core.types import Array, Picks
from tomosoup.simulation.options.specimen import LayoutOptions

TRIES = 2000
"""Poses that are tried for one particle before the tomogram counts as full."""
BATCH = 16
"""Poses that are drawn at once."""
CLUSTER_SPREAD = 100.0
"""Å, where the recipe does not say."""


@dataclass(frozen=True)
class OccupancyGrid:
    """What each voxel of a tomogram `(z, y, x)` holds: 0 for nothing, else a label."""

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
        """Whether all points `(n, 3)` (Å) are inside the tomogram and their voxels hold nothing."""
        at = self.voxels(points)
        inside = bool((at >= 0).all() and (at < self.shape).all())
        return inside and not self.labels[tuple(at.T)].any()

    def mark(self, points: Array, label: int) -> None:
        """Label the voxels at points `(n, 3)` (Å). Points outside are left out, gaps between rotated points closed."""
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
class Component:
    """What is to be placed: a species of particle, or something else in the ice."""

    name: str
    matter: Array
    """`(voxels, 3)` Å from its centre, as `density_maps.support` gives them."""
    count: int
    label: int = 255
    """Its label in the occupancy grid."""
    further: tuple[Array, ...] = ()
    """The matter of further varieties: the particles have the varieties one after the other."""

    def matter_of(self, particle: int) -> Array:
        """The matter of its n-th particle."""
        varieties = (self.matter, *self.further)
        return varieties[particle % len(varieties)]


Proposals = Callable[[int], Array]
"""`n` -> `n` positions `(n, 3)` in Å to try."""


def random_layout(
    components: Sequence[Component],
    grid: OccupancyGrid,
    *,
    random: np.random.Generator,
    recipe: LayoutOptions = LayoutOptions(),  # noqa: B008 - immutable
    slab: tuple[float, float] | None = None,
) -> dict[str, Picks]:
    """Particles of each component in random poses, none overlapping another; the largest are placed first.

    Positions are Å from the tomogram's corner; all of a particle is inside. Raises `InputError` where particles do not
    fit.

    Args:
        components: what to place, and how often.
        grid: the voxels that are taken already; the new particles are marked in it.
        random: draws the poses.
        recipe: clusters and depths.
        slab: lowest and highest z (Å) of the particles' centres, those of clusters and of given depths too; the whole
            depth without it.
    """
    found: dict[str, Picks] = {}
    ice = slab or (0.0, float(grid.extent[0]))
    for component in sorted(components, key=lambda c: -len(c.matter)):
        propose = _proposals(component, grid, recipe, random=random, ice=ice)
        found[component.name] = _place(component, grid, propose, random=random, ice=ice)
    return {component.name: found[component.name] for component in components}


def _proposals(
    component: Component,
    grid: OccupancyGrid,
    recipe: LayoutOptions,
    *,
    random: np.random.Generator,
    ice: tuple[float, float],
) -> list[Proposals]:
    """Where to try: in clusters (a Thomas process) if the recipe has any, and anywhere once those are full.

    Clusters and depths reach out of the ice: positions there are for the caller to leave out.
    """
    extent = grid.extent
    low_z, high_z = ice

    def anywhere(n: int) -> Array:
        positions = random.random((n, 3)) * extent
        if component.name in recipe.depth:
            mean, spread = recipe.depth[component.name]
            positions[:, 0] = extent[0] * (mean + spread * random.standard_normal(n))
        else:
            positions[:, 0] = low_z + (high_z - low_z) * random.random(n)
        return positions

    size = recipe.cluster_size.get(component.name, 1.0)
    if size <= 1.0 or not component.count:
        return [anywhere]
    centres = anywhere(max(1, random.poisson(component.count / size)))
    spread = recipe.cluster_spread.get(component.name, CLUSTER_SPREAD)

    def in_clusters(n: int) -> Array:
        around = centres[random.integers(len(centres), size=n)]
        positions: Array = around + spread * random.standard_normal((n, 3))
        return positions

    return [in_clusters, anywhere]


def _place(
    component: Component,
    grid: OccupancyGrid,
    proposals: Sequence[Proposals],
    *,
    random: np.random.Generator,
    ice: tuple[float, float],
) -> Picks:
    """The component's particles, each marked in the grid."""
    positions: list[Array] = []
    rotations: list[Array] = []
    for i in range(component.count):
        matter = component.matter_of(i)
        tried = (_free_pose(matter, grid, propose, random=random, ice=ice) for propose in proposals)
        pose = next((found for found in tried if found is not None), None)
        if pose is None:
            extent = " x ".join(f"{e:.0f}" for e in (ice[1] - ice[0], *grid.extent[1:]))
            raise InputError(
                f"Only {len(positions)} of {component.count} {component.name} particles fit into {extent} Å of ice "
                "beside the others: lower the `concentration`, or enlarge the `shape` or the ice's `thickness`."
            )
        positions.append(pose[0])
        rotations.append(pose[1])
        grid.mark(matter @ pose[1].T + pose[0], component.label)
    zyx, matrices = np.array(positions).reshape(-1, 3), np.array(rotations).reshape(-1, 3, 3)
    return Picks(zyx, np.ones(len(zyx)), matrices)


def _free_pose(
    matter: Array, grid: OccupancyGrid, propose: Proposals, *, random: np.random.Generator, ice: tuple[float, float]
) -> tuple[Array, Array] | None:
    """A position in the ice and a rotation at which matter fits; None after `TRIES`."""
    for _ in range(TRIES // BATCH):
        for position, rotation in zip(propose(BATCH), Rotation.random(BATCH, rng=random).as_matrix(), strict=True):
            centre = grid.voxels(position)
            if not ice[0] <= position[0] <= ice[1]:
                continue
            if (centre < 0).any() or (centre >= grid.shape).any() or grid.labels[tuple(centre)]:
                continue
            if grid.is_free(matter @ rotation.T + position):
                return position, rotation
    return None


def placed_at(
    given: Mapping[str, Picks],
    components: Sequence[Component],
    grid: OccupancyGrid,
    *,
    random: np.random.Generator,
) -> dict[str, Picks]:
    """Particles exactly at the `given` picks of each component, overlapping or not.

    Picks without rotations get random ones. The particles are marked in the grid.
    """
    found = {}
    for component in components:
        picks = given[component.name]
        if picks.rotations is None:
            picks = with_random_rotations(picks.zyx, random=random)
        assert picks.rotations is not None
        for i, (position, rotation) in enumerate(zip(picks.zyx, picks.rotations, strict=True)):
            grid.mark(component.matter_of(i) @ rotation.T + position, component.label)
        found[component.name] = picks
    return found


def with_random_rotations(zyx: Array, *, random: np.random.Generator) -> Picks:
    """True picks at `zyx` `(n, 3)` Å, each with a rotation drawn uniformly from all."""
    rotations = Rotation.random(len(zyx), rng=random).as_matrix() if len(zyx) else np.empty((0, 3, 3))
    return Picks(zyx, np.ones(len(zyx)), rotations)
