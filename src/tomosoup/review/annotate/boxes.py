"""The unit of annotation: a box of a tomogram in which a user has seen to every particle."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tomosoup.core.config import ZYX
from tomosoup.core.types import Array, Grid, OnGrid, Picks, PicksBySpecies

BOX: ZYX = (32, 128, 128)
"""Voxels of a box (z, y, x), if a tomogram holds a whole number of them; else boxes are smaller or larger."""


@dataclass(frozen=True, order=True)
class Box:
    """A part of the tomogram of a run."""

    run: str
    start: ZYX
    """Its first voxel."""
    stop: ZYX
    """The voxel after its last."""

    @property
    def region(self) -> tuple[slice, slice, slice]:
        """Its voxels."""
        z, y, x = map(slice, self.start, self.stop)
        return z, y, x

    @property
    def centre_vox(self) -> Array:
        """`(3,)`: its centre, in voxels (z, y, x)."""
        centre: Array = (np.array(self.start) + np.array(self.stop) - 1) / 2
        return centre

    def holds(self, zyx: ArrayLike, grid: OnGrid, *, margin: float = 0.0) -> NDArray[np.bool_]:
        """`(n,)`: which positions `(n, 3)` in Å are in it, or at most `margin` Å beside it; each is in one box."""
        places, wider = grid.to_voxel(np.asarray(zyx, dtype=float).reshape(-1, 3)), margin / grid.voxel_size
        low, high = np.array(self.start) - 0.5 - wider, np.array(self.stop) - 0.5 + wider
        inside: NDArray[np.bool_] = np.all((places >= low) & (places < high), axis=1)
        return inside

    def kept(self, picks: PicksBySpecies, grid: OnGrid, *, margin: float = 0.0) -> dict[str, Picks]:
        """The picks in it, or at most `margin` Å beside it."""
        return {name: found.where(self.holds(found.zyx, grid, margin=margin)) for name, found in picks.items()}

    def on(self, grid: OnGrid, other: OnGrid) -> tuple[slice, slice, slice]:
        """Its voxels in the same tomogram with voxels of another size: `grid` is its own, `other` the new one."""
        first, last = (
            np.round(other.to_voxel(grid.to_angstrom(np.array(at) - 0.5)) + 0.5).astype(int)
            for at in (self.start, self.stop)
        )
        z, y, x = (slice(max(0, int(a)), int(b)) for a, b in zip(first, last, strict=True))
        return z, y, x

    def __str__(self) -> str:
        """Run and first voxel, for messages."""
        return f"{self.run} at z {self.start[0]}, y {self.start[1]}, x {self.start[2]}"


def boxes_of(run: str, grid: Grid, size: ZYX = BOX) -> list[Box]:
    """Boxes side by side that fill a tomogram, about of `size` (z, y, x), or as large as a smaller tomogram."""
    assert grid.shape
    along = [list(pairwise(np.linspace(0, n, max(1, round(n / s)) + 1).round().astype(int).tolist()))
             for n, s in zip(grid.shape, size, strict=True)]  # fmt: skip
    return [Box(run, (z[0], y[0], x[0]), (z[1], y[1], x[1])) for z, y, x in product(*along)]


def beyond(picks: PicksBySpecies, boxes: Iterable[Box], grid: OnGrid) -> dict[str, Picks]:
    """The picks that are in none of the boxes."""
    boxes = list(boxes)
    return {
        name: found.where(~np.any([box.holds(found.zyx, grid) for box in boxes], axis=0)) if boxes else found
        for name, found in picks.items()
    }
