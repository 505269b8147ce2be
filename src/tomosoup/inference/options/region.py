"""Where in the tomograms particles are searched."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from annotated_types import Gt
from pydantic import AfterValidator, model_validator

from tomosoup.core.config import Options, Typed
from tomosoup.data.copick.mask_names import checked_mask

Faces = Literal["parallel", "planes", "curved"]
"""The faces of a slab: two parallel planes, any two planes, or two surfaces of second order."""


class RegionOptions(Options):
    """Which part of each tomogram is searched."""

    mask: Annotated[
        Annotated[str, AfterValidator(checked_mask)] | None, Typed("Input", value="FILE|NAME:USER/SESSION")
    ] = None
    """Search only in this mask: an MRC or OME-Zarr file, or a copick segmentation. {run} in the name of the file stands
    for the run. Without it, one file is the mask of all runs. The voxels may have another size than the tomogram's.
    Grey values and scores are then normalised by what is in the mask alone."""
    mask_side: Annotated[Literal["inside", "outside", "both"], Typed()] = "inside"
    """Side of the mask's surface on which picks may be. both needs a distance."""
    mask_distance: Annotated[Annotated[float, Gt(0)] | None, Typed(value="Å")] = None
    """Keep only picks that are at most so far from the mask's surface."""

    @model_validator(mode="after")
    def _a_region(self) -> Self:
        if self.mask is None and (self.mask_side != "inside" or self.mask_distance):
            raise ValueError("`mask_side` and `mask_distance` need a `mask`")
        if self.mask_side == "both" and not self.mask_distance:
            raise ValueError("`mask_side=both` needs `mask_distance`, or the whole tomogram would be searched")
        return self
