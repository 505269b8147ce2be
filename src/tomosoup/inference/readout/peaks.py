"""From a heatmap to picks: local maxima.

NumPy uses one thread here, so the net keeps the other cores. The search goes slice by slice and copies no map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import KDTree

from tomosoup.core.types import Array, Picks, Species, Volume
from tomosoup.inference.options.picking import PeakOptions

DEFAULT_PEAKS = PeakOptions(apart=0.0)
"""The 4th place's peaks: the maximum of a 7-voxel cube, at 10 Å voxels."""
Images = Sequence[NDArray[np.float32]]
"""The slices `(y, x)` of a map, in order of z."""
Indices = NDArray[np.int64]
FACE_NEIGHBOURS = (0, 0, 1), (0, 0, -1), (0, 1, 0), (0, -1, 0), (1, 0, 0), (-1, 0, 0)
"""Steps (z, y, x) to the voxels that share a face with a voxel."""


def find_peaks(heatmap: Volume, species: Sequence[Species], *, peaks: PeakOptions = DEFAULT_PEAKS) -> dict[str, Picks]:
    """Heatmap `(c, z, y, x)`, one channel per species -> picks by species, highest score first, positions in Å.

    A voxel is a peak if its value is at least `peaks.floor` and the highest in the cube around it (`peaks.separation`
    in each direction). If peaks of one species are closer than `peaks.apart` radii, only the highest remains. With
    `peaks.refine` a parabola through a peak and its two neighbours along each axis gives the position between voxels,
    at most half a voxel away. The score is the value of the voxel.
    """
    search = PeakSearch(species, peaks)
    search.add(heatmap)
    return search.finish()


class PeakSearch:
    """`find_peaks` in a heatmap that arrives slab by slab. A slab is released once no cube of a peak can reach it."""

    def __init__(self, species: Sequence[Species], peaks: PeakOptions = DEFAULT_PEAKS) -> None:
        self.species, self.peaks = species, peaks
        self.grid: Volume | None = None
        """The grid of the map, without voxels."""
        self.images: list[list[NDArray[np.float32]]] = [[] for _ in species]
        """By species, the slices from number `released` on."""
        self.released = self.searched = 0
        """Numbers of slices."""
        self.found: list[list[tuple[Array, Array]]] = [[] for _ in species]
        """By species and slice: positions in voxels, and scores."""

    def add(self, slab: Volume) -> None:
        """The next slices, `(c, n, y, x)`."""
        if self.grid is None:
            self.grid = replace(slab, data=slab.data.new_empty(0))
        for images, channel in zip(self.images, slab.data.numpy(), strict=True):
            images.extend(channel)
        self._search(self.released + len(self.images[0]) - self._half_vox(slab))

    def finish(self) -> dict[str, Picks]:
        """The picks by species, highest score first, after the last slab."""
        if self.grid is None:
            return {s.name: Picks.of(np.empty((0, 3))) for s in self.species}
        self._search(self.released + len(self.images[0]))
        picks = {}
        for s, parts in zip(self.species, self.found, strict=True):
            zyx, score = (np.concatenate(part) for part in zip((np.empty((0, 3)), np.empty(0)), *parts, strict=True))
            order = np.argsort(-score, kind="stable")
            found = Picks(self.grid.to_angstrom(zyx[order]), score[order])
            picks[s.name] = found.where(best_within(found.zyx, distance=self.peaks.apart * s.radius))
        return picks

    def _half_vox(self, heatmap: Volume) -> int:
        return max(1, round(self.peaks.separation / heatmap.voxel_size))

    def _search(self, stop: int) -> None:
        """Find the peaks in the slices from `searched` to `stop`."""
        assert self.grid is not None
        half_vox = self._half_vox(self.grid)
        for z in range(self.searched - self.released, stop - self.released):
            for images, found in zip(self.images, self.found, strict=True):
                at = local_maxima(images, z, half_vox=half_vox, floor=self.peaks.floor)
                position = at + (parabola_offsets(images, at) if self.peaks.refine else 0.0)
                found.append((position + np.array([self.released, 0, 0]), images[z][at[:, 1], at[:, 2]].astype(float)))
        self.searched = max(self.searched, stop)
        past = max(self.searched - half_vox - self.released, 0)
        for images in self.images:
            del images[:past]
        self.released += past


def best_within(zyx: ArrayLike, *, distance: float, norm: float = 2.0) -> NDArray[np.bool_]:
    """Non-maximum suppression `(n,)`: which positions `(n, 3)`, best first, have no kept one within `distance`.

    A pair at exactly `distance` is too close. Distances are Euclidean, or of another `norm`; inf: the largest along an
    axis.
    """
    zyx = np.asarray(zyx)
    keep = np.ones(len(zyx), dtype=bool)
    if distance > 0 and len(zyx):
        pairs = KDTree(zyx).query_pairs(distance, p=norm, output_type="ndarray")
        for better, worse in pairs[np.lexsort(pairs.T[::-1])]:
            keep[worse] &= not keep[better]
    return keep


def local_maxima(images: Images, z: int, *, half_vox: int, floor: float) -> Indices:
    """Indices `(n, 3)` of the voxels of slice z that are >= floor and the maximum of their cube of 2 half_vox + 1.

    Max pooling of the whole map gives the same list with more time and memory. Here the voxels >= floor are compared
    with their six neighbours first, and only the remaining ones with their whole cube.
    """
    y, x = np.divmod(np.flatnonzero(images[z] >= floor), images[z].shape[1])
    for dz, dy, dx in FACE_NEIGHBOURS:
        top = images[z][y, x] >= _value_at(images, z + dz, y + dy, x + dx)
        y, x = y[top], x[top]
    reach = np.arange(-half_vox, half_vox + 1)
    for dz in sorted(reach.tolist(), key=abs):
        cube = _value_at(images, z + dz, y[:, None, None] + reach[:, None], x[:, None, None] + reach)
        top = images[z][y, x] >= cube.max((1, 2), initial=-np.inf)
        y, x = y[top], x[top]
    return np.stack([np.full_like(y, z), y, x], axis=1)


def _value_at(images: Images, z: int, y: Indices, x: Indices) -> NDArray[np.float32]:
    """The values of the map at (z, y, x); outside, the nearest voxel's."""
    image = images[min(max(z, 0), len(images) - 1)]
    values: NDArray[np.float32] = image[y.clip(0, image.shape[0] - 1), x.clip(0, image.shape[1] - 1)]
    return values


def parabola_offsets(images: Images, at: Indices) -> Array:
    """Offsets `(n, 3)` from the voxels `at` `(n, 3)` of one slice to the maximum along each axis, within ±0.5.

    The parabola through values a, b, c at -1, 0, 1 has its maximum at (a - c) / (2 (a - 2 b + c)).
    """
    offsets = np.zeros(at.shape)
    if not len(at):
        return offsets
    z, (y, x) = int(at[0, 0]), at.T[1:]
    here = images[z][y, x].astype(float)
    for axis, step in enumerate(np.eye(3, dtype=int)):
        dz, dy, dx = step
        before = _value_at(images, z - dz, y - dy, x - dx).astype(float)
        after = _value_at(images, z + dz, y + dy, x + dx).astype(float)
        curvature = before - 2 * here + after
        last = (len(images), *images[z].shape)[axis] - 1
        inside = (at[:, axis] > 0) & (at[:, axis] < last) & (curvature < 0)
        offsets[inside, axis] = ((before - after)[inside] / (2 * curvature[inside])).clip(-0.5, 0.5)
    return offsets
