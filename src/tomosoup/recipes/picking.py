"""How a volume is cut into windows, and how picks are read off its heatmap."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Gt

from tomosoup.recipes.base import Recipe

Count = Annotated[int, Ge(1)]
ZYX = tuple[Count, Count, Count]


class WindowPlan(Recipe):
    """Overlapping windows over a volume, and how they fade into each other."""

    shape: ZYX = (16, 128, 128)
    """Voxels of a window (z, y, x)."""
    stride: ZYX = (8, 48, 48)
    """Voxels from one window to the next (z, y, x); the volume is padded with zeros up to the last window."""
    weighting: Literal["linear", "none"] = "linear"
    """Weight of a window's voxels: 1 at its centre falling linearly to the edges, or the same everywhere."""


class PeakRecipe(Recipe):
    """How local maxima of a heatmap become picks."""

    separation: Annotated[float, Gt(0)] = 30.0
    """A peak is the maximum of the cube that reaches this far (Å) to every side."""
    floor: Annotated[float, Gt(0)] = 0.05
    """Peaks below this score are dropped for good; thresholds apply to the rest, now or later."""
    refine: bool = True
    """Move each peak to the top of a parabola through its neighbours, along each axis."""
