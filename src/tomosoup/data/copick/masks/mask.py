"""Masks of tomograms, read from files (one, or one a run) or from copick segmentations."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import KDTree

from tomosoup.core.errors import InputError, shortened
from tomosoup.core.types import Array, Grid, OnGrid, Slices
from tomosoup.data.copick.masks.names import file_of, is_file, segmentation_of
from tomosoup.data.copick.remote import StorageErrors
from tomosoup.data.copick.roots import run_of
from tomosoup.data.project import CopickProject, Project
from tomosoup.data.volumes.files import open_volume
from tomosoup.data.volumes.omezarr import open_omezarr
from tomosoup.data.volumes.voxel_size import doubtful_size, same_voxel_size
from tomosoup.data.volumes.zarr.storage import Files

COPICKS_FIRST_VOXEL = 0.5
"""Of tomograms whose project is not given."""
ROUNDED = 0.005
"""Voxel sizes are rounded in files, so a mask may be shorter or longer than its tomogram by this fraction."""


@dataclass(frozen=True)
class Mask(OnGrid):
    """Which voxels are inside. They need not have the size of the tomogram's: the nearest one counts."""

    inside: NDArray[np.bool_]
    """`(z, y, x)`."""
    voxel_size: float
    origin: tuple[float, float, float]

    def holds(self, zyx: ArrayLike) -> NDArray[np.bool_]:
        """`(n,)`: which positions `(n, 3)` in Å are inside."""
        return at_positions(self.inside, self, zyx)

    def distances(self, zyx: ArrayLike) -> Array:
        """`(n,)`: distance (Å) of positions `(n, 3)` to the surface, below 0 outside; NaN if the mask has no surface.

        Between voxels inside and outside lie squares; the distance is that to the centre of the nearest one.
        """
        positions = np.asarray(zyx, dtype=float).reshape(-1, 3)
        if self._surface is None or not len(positions):
            return np.full(len(positions), np.nan)
        distance, _ = self._surface.query(self.to_voxel(positions))
        return np.where(self.holds(positions), distance, -distance) * self.voxel_size

    @cached_property
    def _surface(self) -> KDTree | None:
        """The centres, in voxels, of all squares between inside and outside; None where there is none."""
        centres = []
        for axis in range(3):
            between = np.argwhere(np.diff(self.inside, axis=axis)).astype(float)
            between[:, axis] += 0.5
            centres.append(between)
        points = np.concatenate(centres)
        return KDTree(points, balanced_tree=False) if len(points) else None


def at_positions(values: NDArray[np.bool_], grid: OnGrid, zyx: ArrayLike) -> NDArray[np.bool_]:
    """`(n,)`: the values `(z, y, x)` on a grid at the voxels nearest to positions `(n, 3)` in Å."""
    nearest = np.floor(grid.to_voxel(np.asarray(zyx, dtype=float).reshape(-1, 3)) + 0.5)
    found: NDArray[np.bool_] = values[tuple(nearest.clip(0, np.array(values.shape) - 1).astype(int).T)]
    return found


def on_grid(values: NDArray[np.bool_], grid: OnGrid, of: Slices) -> NDArray[np.bool_]:
    """The values `(z, y, x)` on a grid -> the same on the voxels of another volume: those of the nearest voxels."""
    z, y, x = (
        np.floor((np.arange(n) * of.voxel_size + theirs - own) / grid.voxel_size + 0.5).clip(0, m - 1).astype(int)
        for n, m, theirs, own in zip(of.shape, values.shape, of.origin, grid.origin, strict=True)
    )
    return values[np.ix_(z, y, x)]


def missing_masks(mask: str, project: Project | None, runs: Sequence[str]) -> None:
    """Raises `InputError` for runs without the mask (`checked_mask`)."""
    if is_file(mask):
        missing = [run for run in runs if not file_of(mask, run).exists()]
        where = f"there is no file {file_of(mask, missing[0])}" if missing else ""
    else:
        missing = [run for run in runs if not _segmentations(mask, project, run)]
        where = f"there is no segmentation {mask}"
    if missing:
        raise InputError(f"Run {shortened(missing)} has no mask ({where}): make it, or name another `mask`.")


def read_mask(
    mask: str, run: str, grid: Grid | None, project: Project | None, *, first_voxel: float = COPICKS_FIRST_VOXEL
) -> Mask:
    """The mask (`checked_mask`) of a run. Its first corner is that of the tomogram, whose voxels are on `grid`.

    Where the tomogram is not known (None), the centre of the mask's first voxel is at `first_voxel` voxels. Whole
    numbers other than 0 are inside, and fractions above 0.5. Raises `InputError` if there is no mask, if it does not
    cover the tomogram, or if it is empty.
    """
    missing_masks(mask, project, [run])
    if is_file(mask):
        path = file_of(mask, run)
        name = str(path)
        with StorageErrors(f"The mask {name}"):
            found, size = open_omezarr(path, name=name) if path.is_dir() else open_volume(path)
            values = np.asarray(found[:])
    else:
        name, wanted = f"{mask} of run {run}", grid.voxel_size if grid else 0.0
        nearest = min(_segmentations(mask, project, run), key=lambda s: abs(float(s.voxel_size) - wanted))
        with StorageErrors(f"The segmentation {name}"):
            found, size = open_omezarr(nearest.zarr(), name=name)
            values = np.asarray(found[:])
    fractions = values.dtype.kind == "f"
    inside = values > 0.5 if fractions else values != 0
    if not inside.any():
        raise InputError(f"The mask {name} is empty: {'no voxel is above 0.5' if fractions else 'all voxels are 0'}.")
    if grid is None:
        if not size or doubtful_size(size):
            raise InputError(f"The mask {name} does not say how large its voxels are: give `voxel_size` (Å).")
        grid = Grid(size, (first_voxel * size,) * 3, inside.shape)
    return _placed(inside, size, grid, name=name)


def mask_digests(mask: str, project: Project, run: str, *, known: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    """What tells a run's mask (`checked_mask`) from a changed one: the digests `listing` and `content`.

    They are of the names, sizes and times of its files, and of their bytes. Files whose `listing` is that of `known`,
    an earlier result, are not read again. Raises `InputError` where the storage fails.
    """
    with StorageErrors(f"The mask {mask} of run {run}"):
        stores = [file_of(mask, run)] if is_file(mask) else [s.zarr() for s in _segmentations(mask, project, run)]
        places = [Files.of(store) for store in stores]
        listing = sha256(json.dumps([place.listing() for place in places]).encode()).hexdigest()[:16]
        if known and known.get("listing") == listing:
            return known
        content = sha256(b"".join(place.digest() for place in places)).hexdigest()[:16]
    return {"listing": listing, "content": content}


def _placed(inside: NDArray[np.bool_], size: float, tomogram: Grid, *, name: str) -> Mask:
    """The mask in the frame of a tomogram. Raises `InputError` if the two do not have the same extent."""
    unknown, shape = not size or bool(doubtful_size(size)), tomogram.shape or inside.shape
    if inside.shape == shape and (unknown or same_voxel_size(size, tomogram.voxel_size)):
        size = tomogram.voxel_size
    own, theirs = np.array(inside.shape) * size, np.array(shape) * tomogram.voxel_size
    if tomogram.shape and np.any(np.abs(own - theirs) > max(size, tomogram.voxel_size) + ROUNDED * theirs):
        raise InputError(
            f"The mask {name} has {_said(inside.shape, size)} and its tomogram "
            f"{_said(shape, tomogram.voxel_size)} (z, y, x): expected a mask that covers the tomogram and "
            "nothing else. Its voxels may have another size."
        )
    first = [o + (size - tomogram.voxel_size) / 2 for o in tomogram.origin]
    return Mask(inside, size, (first[0], first[1], first[2]))


def _said(shape: Sequence[int], size: float) -> str:
    return f"{' x '.join(map(str, shape))} voxels of {size:.4g} Å" if size else f"{' x '.join(map(str, shape))} voxels"


def _segmentations(mask: str, project: Project | None, run: str) -> list[Any]:
    """The segmentations of a run that NAME:USER/SESSION names, at all voxel sizes."""
    if project is None:
        raise InputError(
            f"The segmentation {mask} is in a copick project, and none is known: give a `project`, or a file as `mask`."
        )
    if not isinstance(project, CopickProject):
        raise InputError(f"{project.path} is not a copick project and has no segmentations: give a file as `mask`.")
    name, user, session = segmentation_of(mask)
    with StorageErrors(f"The segmentations of run {run}"):
        return list(run_of(project.root, run).get_segmentations(name=name, user_id=user, session_id=session))
