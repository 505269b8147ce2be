"""The part of a tomogram in which particles are searched."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from tomosoup.core.errors import InputError
from tomosoup.core.types import Picks, PicksBySpecies, Slices
from tomosoup.data.copick.masks import Mask, at_positions, on_grid, read_mask
from tomosoup.data.project import Project
from tomosoup.data.tomogram import Tomogram
from tomosoup.inference.options.region import RegionOptions


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

    def on(self, source: Slices) -> torch.Tensor:
        """`(z, y, x)`, bool: which voxels of the tomogram, at any voxel size, are in the region."""
        return torch.from_numpy(on_grid(self.allowed, self.mask, source))

    def kept(self, picks: PicksBySpecies) -> dict[str, Picks]:
        """The picks in the region."""
        return {name: p.where(at_positions(self.allowed, self.mask, p.zyx)) for name, p in picks.items()}

    def with_distances(self, picks: PicksBySpecies) -> dict[str, Picks]:
        """The picks with their distances to the mask's surface (`Picks.mask_distance`)."""
        return {name: replace(p, mask_distance=self.mask.distances(p.zyx)) for name, p in picks.items()}


def region_of(project: Project, tomogram: Tomogram, options: RegionOptions) -> Region | None:
    """The region of a tomogram; None without a mask. Raises `InputError` like `read_mask` and `Region.of`."""
    if options.mask is None:
        return None
    return Region.of(read_mask(options.mask, project, tomogram), options)
