"""From probabilities to picks: connected voxels of a species, separated where particles touch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from tomosoup.core.types import Array, Picks, Species, Volume
from tomosoup.data.volumes.voxel_size import same_voxel_size
from tomosoup.inference.options.picking import SIZES_AT, SegmentationOptions
from tomosoup.inference.readout.basins import Labels, basins_by_piece, basins_of_volume

DEFAULT_SEGMENTATION = SegmentationOptions()
"""Our watershed, with the 8th place's smallest sizes as fractions of the sphere of the species."""


def probabilities(logits: Volume) -> Volume:
    """Logits `(1 + c, z, y, x)`, background first -> probabilities `(c, z, y, x)`, without the background."""
    return replace(logits, data=logits.data.softmax(dim=0)[1:])


MOST = 0.5
"""A mask that covers more than this fraction of the volume gives no picks: the net has not learnt the species yet."""
SMOOTHING = 0.5
"""Standard deviation, in radii of the species, of the Gaussian that turns probabilities into a heatmap."""


def labels_to_heatmap(probabilities: Volume, species: Sequence[Species]) -> Volume:
    """Probabilities `(c, z, y, x)`, high all over a particle -> smoothed maps, highest at its centre."""
    data = torch.empty_like(probabilities.data)
    for channel, s, smoothed in zip(probabilities.data, species, data, strict=True):
        ndimage.gaussian_filter(
            channel.numpy(),
            SMOOTHING * s.radius / probabilities.voxel_size,
            output=smoothed.numpy(),
            mode="nearest",
            truncate=3.0,
        )
    return replace(probabilities, data=data)


def watershed_picks(
    probabilities: Volume, species: Sequence[Species], *, options: SegmentationOptions = DEFAULT_SEGMENTATION
) -> dict[str, Picks]:
    """Probabilities `(c, z, y, x)`, one channel per species, no background -> picks by species, best first, in Å.

    A watershed separates the voxels above `options.mask` into particles. It starts from the maxima of the distance to
    the outside, which are at least `options.separation` radii apart. A particle with enough voxels is picked at its
    centroid, with its mean probability as score. `options.method` chooses our form (`basins_by_piece`), in which a mask
    over more than half of the volume gives no picks, or that of the 8th place (`basins_of_volume`).
    """
    found = {}
    for channel, s in zip(probabilities.data.numpy(), species, strict=True):
        apart_vox = max(1, round(options.separation * s.radius / probabilities.voxel_size))
        least = smallest_vox(s, probabilities.voxel_size, options)
        inside = channel > options.mask
        if options.method == "published-watershed":
            labels = basins_of_volume(inside, apart_vox=apart_vox)
        else:
            sensible = inside if inside.mean() <= MOST else np.zeros_like(inside)
            labels = basins_by_piece(sensible, apart_vox=apart_vox, least=least)
        centres, scores = _particles(channel, labels, least=least)
        order = np.argsort(-scores, kind="stable")
        found[s.name] = Picks(probabilities.to_angstrom(centres[order]), scores[order])
    return found


def smallest_vox(species: Species, voxel_size: float, options: SegmentationOptions) -> float:
    """The fewest voxels of a particle of a species."""
    if species.name in options.smallest_vox:
        same = same_voxel_size(voxel_size, SIZES_AT)
        return options.smallest_vox[species.name] * (1.0 if same else (SIZES_AT / voxel_size) ** 3)
    sphere = 4 / 3 * math.pi * (species.radius / voxel_size) ** 3
    return options.smallest.get(species.name, options.smallest_other) * sphere


def _particles(channel: NDArray[np.float32], labels: Labels, *, least: float) -> tuple[Array, Array]:
    """Centroids `(n, 3)` in voxels and mean values `(n,)`, in a channel `(z, y, x)`, of labels with `least` voxels."""
    # In the order of memory, which is several times faster: `basins_of_volume` gives reversed axes.
    at = np.nonzero(labels) if labels.flags.c_contiguous else np.nonzero(labels.T)[::-1]
    number = labels[at]
    sizes = np.bincount(number)
    large = np.flatnonzero(sizes >= least)
    large = large[large > 0]
    columns: list[NDArray[Any]] = [*at, channel[at]]
    means = [np.bincount(number, weights=values)[large] / sizes[large] for values in columns]
    return np.stack(means[:3], axis=1), means[3]
