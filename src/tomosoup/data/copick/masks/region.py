"""The part of a tomogram that counts: a side of its mask, perhaps no farther from the surface than some distance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import distance_transform_edt

from tomosoup.core.errors import InputError
from tomosoup.core.types import Grid, Picks, PicksBySpecies, Slices
from tomosoup.data.copick.masks.mask import COPICKS_FIRST_VOXEL, Mask, at_positions, missing_masks, on_grid, read_mask
from tomosoup.data.options import RegionOptions
from tomosoup.data.project import Project

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Region:
    """A side of a mask's surface, perhaps no farther away than some distance."""

    mask: Mask
    allowed: NDArray[np.bool_]
    """`(z, y, x)`, on the voxels of the mask: where picks may be."""

    @classmethod
    def of(cls, mask: Mask, options: RegionOptions) -> Region:
        """The region that options mean. Raises `InputError` if it is empty."""
        sides = {"inside": [mask.inside], "outside": [~mask.inside], "both": [mask.inside, ~mask.inside]}
        parts = sides[options.mask_side]
        if options.mask_distance:
            if mask.inside.all():
                raise InputError("The mask covers the whole tomogram and has no surface: leave out `mask_distance`.")
            reach_vox = options.mask_distance / mask.voxel_size + 0.5  # from the surface to the voxel beside it
            parts = [part & (distance_transform_edt(part) <= reach_vox) for part in parts]
        allowed = np.logical_or.reduce(parts)
        if not allowed.any():
            raise InputError("The mask covers the whole tomogram, so nothing is outside of it: change `mask_side`.")
        return cls(mask, allowed)

    def on(self, source: Slices) -> Tensor:
        """`(z, y, x)`, bool: which voxels of the tomogram, at any voxel size, are in the region."""
        import torch  # takes seconds, and commands about picks do without

        return torch.from_numpy(on_grid(self.allowed, self.mask, source))

    def holds(self, zyx: ArrayLike) -> NDArray[np.bool_]:
        """`(n,)`: which positions `(n, 3)` in Å are in the region."""
        return at_positions(self.allowed, self.mask, zyx)

    def kept(self, picks: PicksBySpecies) -> dict[str, Picks]:
        """The picks in the region."""
        return {name: p.where(self.holds(p.zyx)) for name, p in picks.items()}

    def with_distances(self, picks: PicksBySpecies) -> dict[str, Picks]:
        """The picks with their distances to the mask's surface (`Picks.mask_distance`)."""
        return {name: replace(p, mask_distance=self.mask.distances(p.zyx)) for name, p in picks.items()}


def region_of(options: RegionOptions, run: str, grid: Grid, project: Project | None) -> Region | None:
    """The region of a run; None without a mask. Raises `InputError` like `read_mask` and `Region.of`."""
    if options.mask is None:
        return None
    return Region.of(read_mask(options.mask, run, grid, project), options)


def regions_of(
    options: RegionOptions,
    runs: Sequence[str],
    grids: Mapping[str, Grid],
    project: Project | None,
    *,
    first_voxel: float | None = None,
) -> Iterator[tuple[str, Region]]:
    """The region of each run, one after the other; none without a mask.

    `grids` has the voxels of tomograms that are known. Where it lacks a run, the mask's own voxels count, and the
    centre of the first is at `first_voxel` voxels, by default the project's or copick's. Raises `InputError` before the
    first, if a run has no mask, and later like `read_mask` and `Region.of`.
    """
    if options.mask is None:
        return
    missing_masks(options.mask, project, runs)
    usual = COPICKS_FIRST_VOXEL if project is None else project.first_voxel
    first = usual if first_voxel is None else first_voxel
    for run in runs:
        mask = read_mask(options.mask, run, grids.get(run), project, first_voxel=first)
        try:
            yield run, Region.of(mask, options)
        except InputError as error:
            raise InputError(f"Run {run}: {error}") from error
