"""From a heatmap to picks: local maxima."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import torch
from torch import Tensor

from tomosoup.recipes.picking import PeakRecipe
from tomosoup.types import Picks, Species, Volume

DEFAULT_PEAKS = PeakRecipe()
"""The 4th place's peaks: the maximum of a 7-voxel cube, at 10 Å voxels."""


def find_peaks(heatmap: Volume, species: Sequence[Species], *, peaks: PeakRecipe = DEFAULT_PEAKS) -> dict[str, Picks]:
    """Heatmap `(c, z, y, x)`, a channel a species -> the picks of each species, best first, positions in Å.

    A voxel is a peak where it is at least `peaks.floor` and no voxel of the cube about it (`peaks.separation` to every
    side) is higher. With `peaks.refine` its position is moved to the top of the parabola through it and its two
    neighbours along each axis, by half a voxel at most; the score stays the voxel's own.
    """
    half_vox = max(1, round(peaks.separation / heatmap.voxel_size))
    found = {}
    for channel, kind in zip(heatmap.data, species, strict=True):
        at = local_maxima(channel, half_vox=half_vox, floor=peaks.floor)
        score = channel[tuple(at.T)].double().numpy()
        place = at.double().numpy() + (parabola_offsets(channel, at).numpy() if peaks.refine else 0.0)
        order = np.argsort(-score, kind="stable")
        found[kind.name] = Picks(heatmap.to_angstrom(place[order]), score[order])
    return found


def local_maxima(channel: Tensor, *, half_vox: int, floor: float) -> Tensor:
    """`(z, y, x)` -> `(n, 3)` indices of the voxels >= floor that are the maximum of their cube of 2 half_vox + 1.

    The same list as by max pooling the whole map, for far less work and memory: the few voxels above the floor are
    thinned by their six neighbours first, and the cube is looked at only around what is left.
    """
    at = (channel >= floor).nonzero()
    for z, y, x in ((1, 0, 0), (0, 1, 0), (0, 0, 1)):
        for offset in ((z, y, x), (-z, -y, -x)):
            at = at[channel[tuple(at.T)] >= _neighbour(channel, at, offset)]
    reach = range(-half_vox, half_vox + 1)
    for dz, dy in product(reach, reach):
        row = torch.stack([_neighbour(channel, at, (dz, dy, dx)) for dx in reach])
        at = at[channel[tuple(at.T)] >= row.amax(0)]
    return at


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
