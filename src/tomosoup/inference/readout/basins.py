"""From a mask to numbered particles: a watershed of the distance to the outside, by piece or over the whole volume."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tomosoup.inference.readout.peaks import best_within, local_maxima

Mask = NDArray[np.bool_]
Labels = NDArray[np.int32]
"""The number of each voxel's particle, from 1; 0 outside."""
SIX = ndimage.generate_binary_structure(3, 1)
"""Voxels touch by faces."""


def basins_by_piece(inside: Mask, *, apart_vox: int, least: float) -> Labels:
    """Number the particles of a mask `(z, y, x)`, each connected piece by itself; the volume's faces are outside, too.

    Seeds are the maxima of the distance to the outside, at least `apart_vox` from each other. Pieces of fewer than
    `least` voxels are left out.
    """
    from skimage.feature import peak_local_max  # here, as most that picks needs neither
    from skimage.segmentation import watershed

    pieces, _ = ndimage.label(inside, SIX)
    labels, last = np.zeros(inside.shape, dtype=np.int32), 0
    for number, box in enumerate(ndimage.find_objects(pieces), start=1):
        piece = np.pad(pieces[box] == number, 1)
        if piece.sum() < least:
            continue
        depth = ndimage.distance_transform_edt(piece)
        seeds = peak_local_max(depth, min_distance=apart_vox, exclude_border=False, labels=piece.astype(np.int32))
        found = watershed(-depth, _markers(seeds, piece.shape), mask=piece)[1:-1, 1:-1, 1:-1]
        np.copyto(labels[box], found + last, where=found > 0)
        last += len(seeds)
    return labels


def basins_of_volume(inside: Mask, *, apart_vox: int) -> Labels:
    """Number the particles of a mask `(z, y, x)` as the 8th place's program does, over the whole volume.

    It is scikit-image's `peak_local_max(depth, min_distance=apart_vox, labels=inside)` and `watershed`: the volume's
    faces are not outside, no seed lies within `apart_vox` of them, and a seed keeps others away in other pieces, too.
    Axes are reversed meanwhile, as in that program: their order settles ties.
    """
    from skimage.segmentation import watershed

    inside = np.ascontiguousarray(inside.T)
    depth = depth_inside(inside)
    markers = _markers(deepest(depth, apart_vox=apart_vox), inside.shape)
    labels: Labels = watershed(np.negative(depth, out=depth), markers, mask=inside).T
    return labels


def depth_inside(inside: Mask) -> NDArray[np.float32]:
    """How far each voxel of a mask is from the nearest voxel outside it, in voxels; the volume's faces are no outside.

    `ndimage.distance_transform_edt`, piece by piece: the nearest voxel outside a piece touches it, so it lies in the
    piece's box or beside it. A voxel that has such a neighbour itself is 1 voxel deep.
    """
    core = inside.copy()
    for axis in range(inside.ndim):
        low, high = (np.moveaxis(array, axis, 0) for array in (core, inside))
        low[1:] &= high[:-1]
        low[:-1] &= high[1:]
    pieces, _ = ndimage.label(inside, SIX)
    boxes, depth = ndimage.find_objects(pieces), inside.astype(np.float32)
    for number in np.unique(pieces[core]):
        around = tuple(slice(max(s.start - 1, 0), s.stop + 1) for s in boxes[number - 1])
        piece = pieces[around] == number
        np.copyto(depth[around], ndimage.distance_transform_edt(piece), where=piece, casting="same_kind")
    return depth


def deepest(depth: NDArray[np.float32], *, apart_vox: int) -> NDArray[np.int64]:
    """Indices `(n, 3)` of the maxima of a depth, deepest first, `apart_vox` or more from each other and the faces.

    A maximum is the highest of its cube of 2 `apart_vox` + 1 voxels, as far as that is not within `apart_vox` of a
    face; distances are the largest along an axis.
    """
    within = depth[(slice(apart_vox, -apart_vox),) * 3]
    at = [local_maxima(list(within), z, half_vox=apart_vox, floor=1.0) for z in range(len(within))]
    seeds = np.concatenate([np.empty((0, 3), dtype=np.int64), *at])
    seeds = seeds[np.argsort(-within[tuple(seeds.T)], kind="stable")]
    return seeds[best_within(seeds, distance=apart_vox - 1, norm=np.inf)] + apart_vox


def _markers(seeds: NDArray[np.int64], shape: tuple[int, ...]) -> Labels:
    """Zeros, and the seeds' numbers from 1 at the seeds `(n, 3)`."""
    markers = np.zeros(shape, dtype=np.int32)
    markers[tuple(seeds.T)] = np.arange(1, len(seeds) + 1)
    return markers
