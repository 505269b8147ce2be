"""How large a file says its voxels are."""

from __future__ import annotations

import math
from collections.abc import Iterable

from tomosoup.core.errors import InputError


def cube(sizes: Iterable[float], *, name: str) -> float:
    """The one size (Å) of voxels that a file says to measure `sizes` along z, y, x; 0 for sizes that none can have.

    Raises `InputError` where they differ.
    """
    z, y, x = (float(size) for size in sizes)
    if not all(0 < size < math.inf for size in (z, y, x)):
        return 0.0
    if max(z, y, x) - min(z, y, x) > 0.01 * max(z, y, x):
        raise InputError(
            f"The voxels of {name} measure {z:g}, {y:g}, {x:g} Å along z, y, x; expected cubes: resample the file, or, "
            "if its header is wrong, give `voxel_size` (Å)."
        )
    return (z + y + x) / 3


UNSET = 1.0
"""Å: what many programs write where they do not know the voxel size."""


def doubtful_size(size: float) -> str:
    """A sentence for users on a voxel size (Å, as a file says it) that is probably none, or nothing."""
    if not same_voxel_size(size, UNSET, tolerance=1e-4):
        return ""
    return (
        f"The files say that the voxels are {size:.3f} Å, which many programs write when they do not know the size: "
        "check it, and give the true `voxel_size` (Å)."
    )


TOLERANCE = 0.02
"""Two voxel sizes closer than this (relative) are one: 10.000 and 10.012 are."""


def same_voxel_size(a: float, b: float, *, tolerance: float = TOLERANCE) -> bool:
    """Whether two voxel sizes (Å) are one, as files and folders round them."""
    return abs(a - b) <= tolerance * max(a, b)
