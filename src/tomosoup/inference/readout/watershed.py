"""From probabilities to picks: connected voxels of a species, cut apart where particles touch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from tomosoup.core.types import Array, Picks, Species, Volume
from tomosoup.inference.options.picking import SegmentationOptions

DEFAULT_SEGMENTATION = SegmentationOptions()
"""The 8th place's sizes, as fractions of a particle's ball."""
SIX = ndimage.generate_binary_structure(3, 1)
"""Voxels touch by faces."""


def probabilities(logits: Volume) -> Volume:
    """Logits `(1 + c, z, y, x)`, background first -> probabilities `(c, z, y, x)`, the background left out."""
    return replace(logits, data=logits.data.softmax(dim=0)[1:])


MOST = 0.5
"""A mask of one species over more of the volume than this says nothing: so it is before a net has learnt."""
SMOOTHING = 0.5
"""Probabilities become a heatmap by a Gaussian of so many radii of the species."""


def labels_to_heatmap(probabilities: Volume, species: Sequence[Species]) -> Volume:
    """Probabilities `(c, z, y, x)`, high all over a particle -> the same smoothed, highest at its centre."""
    data = torch.empty_like(probabilities.data)
    for channel, kind, into in zip(probabilities.data, species, data, strict=True):
        ndimage.gaussian_filter(
            channel.numpy(),
            SMOOTHING * kind.radius / probabilities.voxel_size,
            output=into.numpy(),
            mode="nearest",
            truncate=3.0,
        )
    return replace(probabilities, data=data)


def watershed_picks(
    probabilities: Volume, species: Sequence[Species], *, options: SegmentationOptions = DEFAULT_SEGMENTATION
) -> dict[str, Picks]:
    """Probabilities `(c, z, y, x)`, a channel a species without background -> the picks of each, best first, in Å.

    Voxels over `options.mask` are cut into particles by a watershed from the maxima of their distance to the outside,
    no two of them nearer than `options.separation` radii; those with enough voxels are picked at their centroid, with
    their mean probability as score (the 8th place's way). Each connected piece is worked on by itself. A mask over
    more than half of the volume gives no picks.
    """
    found = {}
    for channel, kind in zip(probabilities.data.numpy(), species, strict=True):
        radius_vox = kind.radius / probabilities.voxel_size
        least = options.smallest.get(kind.name, options.smallest_other) * 4 / 3 * math.pi * radius_vox**3
        centres, scores = _particles(
            channel, mask=options.mask, apart_vox=max(1, round(options.separation * radius_vox)), least=least
        )
        order = np.argsort(-scores, kind="stable")
        found[kind.name] = Picks(probabilities.to_angstrom(centres[order]), scores[order])
    return found


def _particles(channel: NDArray[np.float32], *, mask: float, apart_vox: int, least: float) -> tuple[Array, Array]:
    """Centres `(n, 3)` in voxels and mean values `(n,)` of the particles of one channel `(z, y, x)`."""
    inside = channel > mask
    if inside.mean() > MOST:
        inside = np.zeros_like(inside)
    pieces, _ = ndimage.label(inside, SIX)
    centres, scores = [np.empty((0, 3))], [np.empty(0)]
    for number, box in enumerate(ndimage.find_objects(pieces), start=1):
        piece = np.pad(pieces[box] == number, 1)
        if piece.sum() < least:
            continue
        labels = _cut_apart(piece, apart_vox=apart_vox)[1:-1, 1:-1, 1:-1]
        numbers = np.arange(1, labels.max() + 1)
        large = numbers[np.bincount(labels.ravel(), minlength=len(numbers) + 1)[1:] >= least]
        if len(large):
            corner = [s.start for s in box]
            centre = np.array(ndimage.center_of_mass(labels > 0, labels, large)).reshape(-1, 3)
            centres.append(centre + corner)
            scores.append(np.asarray(ndimage.mean(channel[box], labels, large)))
    return np.concatenate(centres), np.concatenate(scores)


def _cut_apart(piece: NDArray[np.bool_], *, apart_vox: int) -> NDArray[np.int32]:
    """A connected piece `(z, y, x)` with a border of False -> its voxels numbered by particle, from 1."""
    from skimage.feature import peak_local_max  # here, as most that picks needs neither
    from skimage.segmentation import watershed

    depth = ndimage.distance_transform_edt(piece)
    seeds = peak_local_max(depth, min_distance=apart_vox, exclude_border=False, labels=piece.astype(np.int32))
    markers = np.zeros(piece.shape, dtype=np.int32)
    markers[tuple(seeds.T)] = np.arange(1, len(seeds) + 1)
    labels: NDArray[np.int32] = watershed(-depth, markers, mask=piece)
    return labels
