"""From scores and displacements to heatmaps whose peaks are the predicted centres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F

from tomosoup.core.types import Volume

WIDTH_VOX = 2.0
"""A peak is a Gaussian of this standard deviation about the predicted centre."""


def centres_to_heatmap(maps: Volume, *, cell: Sequence[int]) -> Volume:
    """Scores and displacements `(c + 3, z, y, x)` of a net that predicts centres -> heatmaps `(c, z, y, x)`.

    All voxels of a cell of `cell` voxels have one score and point to one place. As CenterNet does (Zhou et al.,
    "Objects as Points", arXiv 1904.07850, Section 4), cells that a neighbour exceeds are dropped (the maximum of 3 x 3
    x 3 cells), and the others are moved by their offsets: the score is multiplied by a Gaussian of each voxel's
    distance to the place that it points to.
    """
    scores, displacements = maps.data[:-3], maps.data[-3:]
    heatmap = scores * torch.exp(-0.5 * displacements.square().sum(0) / WIDTH_VOX**2)
    highest = scores
    for axis, reach in enumerate(cell):
        # From each voxel of a cell it is one voxel or more into either neighbour, and none into the next.
        size, ends = [1, 1, 1], [0, 0, 0]
        size[axis], ends[axis] = 2 * reach + 1, reach
        highest = F.max_pool3d(highest, size, stride=1, padding=ends)
    return replace(maps, data=heatmap.where(scores >= highest, 0))
