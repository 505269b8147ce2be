"""From a heatmap to picks: local maxima.

In NumPy, so that a thread that looks for peaks leaves the other cores to the net; and slice by slice, so that no map is
ever copied.
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
"""The slices `(y, x)` of a map, one after the other."""
Places = NDArray[np.int64]
"""Along one axis."""
SIX = (0, 0, 1), (0, 0, -1), (0, 1, 0), (0, -1, 0), (1, 0, 0), (-1, 0, 0)
"""From a voxel to those that it shares a face with (z, y, x)."""


def find_peaks(heatmap: Volume, species: Sequence[Species], *, peaks: PeakOptions = DEFAULT_PEAKS) -> dict[str, Picks]:
    """Heatmap `(c, z, y, x)`, a channel a species -> the picks of each species, best first, positions in Å.

    A voxel is a peak where it is at least `peaks.floor` and no voxel of the cube about it (`peaks.separation` to every
    side) is higher. Of peaks of one species nearer than `peaks.apart` of its radii the best stays. With `peaks.refine`
    its position is moved to the top of the parabola through it and its two neighbours along each axis, by half a voxel
    at most; the score stays the voxel's own.
    """
    search = PeakSearch(species, peaks)
    search.add(heatmap)
    return search.finish()


class PeakSearch:
    """`find_peaks` in a heatmap that comes slab by slab: slabs are kept only while a peak's cube may reach them."""

    def __init__(self, species: Sequence[Species], peaks: PeakOptions = DEFAULT_PEAKS) -> None:
        self.species, self.peaks = species, peaks
        self.grid: Volume | None = None
        """Where the map is, and no voxels."""
        self.images: list[list[NDArray[np.float32]]] = [[] for _ in species]
        """The slices, by species; those before `gone` are let go."""
        self.gone = self.searched = 0
        """So many slices."""
        self.found: list[list[tuple[Array, Array]]] = [[] for _ in species]
        """Places (voxels) and scores, by species and slice."""

    def add(self, slab: Volume) -> None:
        """The next slices, `(c, n, y, x)`."""
        if self.grid is None:
            self.grid = replace(slab, data=slab.data.new_empty(0))
        for images, channel in zip(self.images, slab.data.numpy(), strict=True):
            images.extend(channel)
        self._search(self.gone + len(self.images[0]) - self._half_vox(slab))

    def finish(self) -> dict[str, Picks]:
        """The picks by species, best first; there are no further slices."""
        if self.grid is None:
            return {kind.name: Picks.of(np.empty((0, 3))) for kind in self.species}
        self._search(self.gone + len(self.images[0]))
        picks = {}
        for kind, parts in zip(self.species, self.found, strict=True):
            zyx, score = (np.concatenate(part) for part in zip((np.empty((0, 3)), np.empty(0)), *parts, strict=True))
            order = np.argsort(-score, kind="stable")
            found = Picks(self.grid.to_angstrom(zyx[order]), score[order])
            picks[kind.name] = found.where(stay_apart(found.zyx, apart=self.peaks.apart * kind.radius))
        return picks

    def _half_vox(self, heatmap: Volume) -> int:
        return max(1, round(self.peaks.separation / heatmap.voxel_size))

    def _search(self, stop: int) -> None:
        """Find the peaks in the slices from the first that is not searched to `stop`."""
        assert self.grid is not None
        half_vox = self._half_vox(self.grid)
        for z in range(self.searched - self.gone, stop - self.gone):
            for images, found in zip(self.images, self.found, strict=True):
                at = local_maxima(images, z, half_vox=half_vox, floor=self.peaks.floor)
                place = at + (parabola_offsets(images, at) if self.peaks.refine else 0.0)
                found.append((place + np.array([self.gone, 0, 0]), images[z][at[:, 1], at[:, 2]].astype(float)))
        self.searched = max(self.searched, stop)
        past = max(self.searched - half_vox - self.gone, 0)
        for images in self.images:
            del images[:past]
        self.gone += past


def stay_apart(zyx: ArrayLike, *, apart: float, norm: float = 2.0) -> NDArray[np.bool_]:
    """`(n,)`: which of the places `(n, 3)`, best first, stay where each takes its surroundings from those after it.

    Those within `apart` (inclusive) go. Distances are Euclidean, or of another `norm`; inf: the largest along an axis.
    """
    zyx = np.asarray(zyx)
    stays = np.ones(len(zyx), dtype=bool)
    if apart > 0 and len(zyx):
        pairs = KDTree(zyx).query_pairs(apart, p=norm, output_type="ndarray")
        for better, worse in pairs[np.lexsort(pairs.T[::-1])]:
            stays[worse] &= not stays[better]
    return stays


def local_maxima(images: Images, z: int, *, half_vox: int, floor: float) -> Places:
    """Indices `(n, 3)` of the voxels of slice z that are >= floor and the maximum of their cube of 2 half_vox + 1.

    The same list as by max pooling the whole map, for far less work and memory: the voxels >= floor are compared with
    their six neighbours, and the cube is looked at only around what is left.
    """
    y, x = np.divmod(np.flatnonzero(images[z] >= floor), images[z].shape[1])
    for dz, dy, dx in SIX:
        top = images[z][y, x] >= _beside(images, z + dz, y + dy, x + dx)
        y, x = y[top], x[top]
    reach = np.arange(-half_vox, half_vox + 1)
    for dz in sorted(reach.tolist(), key=abs):
        cube = _beside(images, z + dz, y[:, None, None] + reach[:, None], x[:, None, None] + reach)
        top = images[z][y, x] >= cube.max((1, 2), initial=-np.inf)
        y, x = y[top], x[top]
    return np.stack([np.full_like(y, z), y, x], axis=1)


def _beside(images: Images, z: int, y: Places, x: Places) -> NDArray[np.float32]:
    """The map's values; beyond the border the border's."""
    image = images[min(max(z, 0), len(images) - 1)]
    values: NDArray[np.float32] = image[y.clip(0, image.shape[0] - 1), x.clip(0, image.shape[1] - 1)]
    return values


def parabola_offsets(images: Images, at: Places) -> Array:
    """How far from the voxels `at` `(n, 3)`, all of one slice, the top of the map lies along each axis: within ±0.5.

    Through values a, b, c at -1, 0, 1 runs one parabola, with its top at (a - c) / (2 (a - 2 b + c)).
    """
    offsets = np.zeros(at.shape)
    if not len(at):
        return offsets
    z, (y, x) = int(at[0, 0]), at.T[1:]
    here = images[z][y, x].astype(float)
    for axis, step in enumerate(np.eye(3, dtype=int)):
        dz, dy, dx = step
        before = _beside(images, z - dz, y - dy, x - dx).astype(float)
        after = _beside(images, z + dz, y + dy, x + dx).astype(float)
        bend = before - 2 * here + after
        last = (len(images), *images[z].shape)[axis] - 1
        inside = (at[:, axis] > 0) & (at[:, axis] < last) & (bend < 0)
        offsets[inside, axis] = ((before - after)[inside] / (2 * bend[inside])).clip(-0.5, 0.5)
    return offsets
