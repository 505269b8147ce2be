"""How a volume is cut into windows: a checkpoint holds one such plan."""

from __future__ import annotations

from math import prod
from typing import Literal, Self

from pydantic import model_validator

from tomosoup.core.config import ZYX, Options

Weighting = Literal["linear", "pyramid", "gaussian", "none"]
Border = Literal["zeros", "inside"]
"""Where the last of some crops or windows may end."""
WindowBorder = Literal["zeros", "centred", "inside"]


class WindowPlan(Options):
    """Overlapping windows over a volume, and how they fade into each other."""

    shape: ZYX = (16, 128, 128)
    """Voxels of a window (z, y, x)."""
    stride: ZYX = (8, 48, 48)
    """Voxels from one window to the next (z, y, x); the volume is padded with zeros up to the last window."""
    weighting: Weighting = "linear"
    """Weight of a window's voxels. linear: 1 at its centre, falling to 0 at its faces along each axis; pyramid: the
    smaller of the weights along y and x in place of their product (the 4th place's); gaussian: of an eighth of the
    window's size (the 8th place's); none: 1 everywhere."""
    border: WindowBorder = "zeros"
    """The last windows reach past the volume's end, into zeros, or are moved back inside it (a volume smaller than a
    window is then mirrored). centred: into zeros, along z as far at either end."""
    neighbours: bool = False
    """Show a window's first and last slices their neighbours in the tomogram. Nets that look at several slices at once
    otherwise see zeros there, as in training and in the published program."""

    @model_validator(mode="after")
    def _fits_memory(self) -> Self:
        if prod(self.shape) > 2**31:
            raise ValueError(f"a window of {self.shape} voxels (z y x) is more than 2^31: make it smaller")
        return self

    @model_validator(mode="after")
    def _no_gaps(self) -> Self:
        if any(s > w for s, w in zip(self.stride, self.shape, strict=True)):
            raise ValueError(
                f"a stride of {self.stride} leaves gaps between windows of {self.shape} (z y x): make it smaller"
            )
        return self
