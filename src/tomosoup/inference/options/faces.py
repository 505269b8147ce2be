"""The form of a slab's faces."""

from __future__ import annotations

from typing import Literal

Faces = Literal["parallel", "planes", "curved"]
"""The faces of a slab: two parallel planes, any two planes, or two surfaces of second order."""
