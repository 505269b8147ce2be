"""From a heatmap to picks: local maxima."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import torch
from torch import Tensor

from tomosoup.recipes.picking import PeakRecipe
from tomosoup.types import Array, Picks, Species, Volume

DEFAULT_PEAKS = PeakRecipe()
"""The 4th place's peaks: the maximum of a 7-voxel cube, at 10 Å voxels."""


def find_peaks(heatmap: Volume, species: Sequence[Species], *, peaks: PeakRecipe = DEFAULT_PEAKS) -> dict[str, Picks]:
    """Heatmap `(c, z, y, x)`, a channel a species -> the picks of each species, best first, positions in Å.

    A voxel is a peak where it is at least `peaks.floor` and no voxel of the cube about it (`peaks.separation` to every
    side) is higher. With `peaks.refine` its position is moved to the top of the parabola through it and its two
    neighbours along each axis, by half a voxel at most; the score stays the voxel's own.
    """
    search = PeakSearch(species, peaks)
    search.add(heatmap)
    return search.finish()


class PeakSearch:
    """`find_peaks` in a heatmap that comes slab by slab: slices are kept only while a peak's cube may reach them."""

    def __init__(self, species: Sequence[Species], peaks: PeakRecipe = DEFAULT_PEAKS) -> None:
        self.species, self.peaks = species, peaks
        self.held: Volume | None = None
        """The slices that are kept."""
        self.searched = 0
        """So many of them have been searched."""
        self.found: list[list[tuple[Array, Array]]] = [[] for _ in species]
        """Places (Å) and scores, by species and slab."""

    def add(self, slab: Volume) -> None:
        """The next slices, `(c, n, y, x)`."""
        if self.held is None:
            self.held = slab
        else:
            self.held = replace(self.held, data=torch.cat([self.held.data, slab.data], dim=1))
        half_vox = self._half_vox(self.held)
        self._search(self.held.shape[0] - half_vox)
        if (gone := self.searched - half_vox) > 0:
            z, y, x = self.held.origin
            at = z + gone * slab.voxel_size, y, x
            self.held = Volume(self.held.data[:, gone:].clone(), slab.voxel_size, at)
            self.searched = half_vox

    def finish(self) -> dict[str, Picks]:
        """The picks by species, best first; there are no further slices."""
        if self.held is not None:
            self._search(self.held.shape[0])
        picks = {}
        for kind, parts in zip(self.species, self.found, strict=True):
            zyx, score = (np.concatenate(part) for part in zip((np.empty((0, 3)), np.empty(0)), *parts, strict=True))
            order = np.argsort(-score, kind="stable")
            picks[kind.name] = Picks(zyx[order], score[order])
        return picks

    def _half_vox(self, heatmap: Volume) -> int:
        return max(1, round(self.peaks.separation / heatmap.voxel_size))

    def _search(self, stop: int) -> None:
        """Find the peaks in the slices kept, from the first that is not searched to `stop`."""
        if self.held is None or stop <= self.searched:
            return
        within = slice(self.searched, stop)
        for channel, found in zip(self.held.data, self.found, strict=True):
            at = local_maxima(channel, half_vox=self._half_vox(self.held), floor=self.peaks.floor, within=within)
            place = at.double().numpy() + (parabola_offsets(channel, at).numpy() if self.peaks.refine else 0.0)
            found.append((self.held.to_angstrom(place), channel[tuple(at.T)].double().numpy()))
        self.searched = stop


def local_maxima(channel: Tensor, *, half_vox: int, floor: float, within: slice = slice(None)) -> Tensor:
    """`(z, y, x)` -> `(n, 3)` indices of the voxels >= floor that are the maximum of their cube of 2 half_vox + 1.

    Only those in the slices `within`. The same list as by max pooling the whole map, for far less work and memory:
    voxels are compared with their six neighbours slice by slice, and the cube is looked at only around what is left.
    In NumPy, so that a thread that looks for peaks leaves the other cores to the net.
    """
    values: Array = np.ascontiguousarray(channel.numpy())
    at = _above_neighbours(values, floor, within)
    (_, height, width), reach = values.shape, range(-half_vox, half_vox + 1)
    flat, here = values.reshape(-1), values[tuple(at.T)]
    for dz, dy in sorted(product(reach, reach), key=lambda offset: abs(offset[0]) + abs(offset[1])):
        z, y, x = at.T
        row = (z + dz).clip(0, len(values) - 1) * height + (y + dy).clip(0, height - 1)
        columns = (x[:, None] + np.array(reach)).clip(0, width - 1)
        top = here >= flat[row[:, None] * width + columns].max(1)
        at, here = at[top], here[top]
    return torch.from_numpy(at)


def _above_neighbours(values: Array, floor: float, within: slice) -> Array:
    """`(n, 3)` indices, in the slices `within`, of values >= floor that none of their six neighbours is above."""
    found = [np.empty((0, 3), dtype=np.int64)]
    for z in range(*within.indices(len(values))):
        image = values[z]
        high = image >= floor
        if not high.any():
            continue
        for here, there in ((slice(1, None), slice(None, -1)), (slice(None, -1), slice(1, None))):
            high[here] &= image[here] >= image[there]
            high[:, here] &= image[:, here] >= image[:, there]
        for beside in values[max(z - 1, 0) : z + 2]:  # itself among them
            high &= image >= beside
        y, x = high.nonzero()
        found.append(np.stack([np.full_like(y, z), y, x], axis=1))
    return np.concatenate(found)


def _neighbour(channel: Tensor, at: Tensor, offset: tuple[int, int, int]) -> Tensor:
    """Values `(n,)` of the voxels `offset` away from `at` `(n, 3)`; beyond the border the border's."""
    z, y, x = ((at[:, i] + offset[i]).clamp(0, channel.shape[i] - 1) for i in range(3))
    return channel[z, y, x]


def parabola_offsets(channel: Tensor, at: Tensor) -> Tensor:
    """How far from voxel `at` `(n, 3)` the top of the map lies along each axis, in voxels: `(n, 3)` within ±0.5.

    Through values a, b, c at -1, 0, 1 runs one parabola, with its top at (a - c) / (2 (a - 2 b + c)).
    """
    offsets = torch.zeros(len(at), 3, dtype=torch.float64)
    here = channel[tuple(at.T)].double()
    for axis in range(3):
        step = [0, 0, 0]
        step[axis] = 1
        after = _neighbour(channel, at, (step[0], step[1], step[2])).double()
        before = _neighbour(channel, at, (-step[0], -step[1], -step[2])).double()
        bend = before - 2 * here + after
        inside = (at[:, axis] > 0) & (at[:, axis] < channel.shape[axis] - 1) & (bend < 0)
        offsets[inside, axis] = ((before - after) / (2 * bend))[inside].clamp(-0.5, 0.5)
    return offsets
