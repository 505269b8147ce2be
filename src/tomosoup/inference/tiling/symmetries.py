"""The sixteen ways of looking at a tomogram that keep its z axis: flips and quarter turns in the plane, flips of z."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tomosoup.core.errors import InputError
from tomosoup.core.types import SlicesOf


@dataclass(frozen=True)
class View:
    """A symmetry: first y and x swapped, then axes flipped."""

    transpose: bool = False
    flips: tuple[int, ...] = ()
    """Axes counted from the last: -1 is x, -2 is y, -3 is z."""

    def apply(self, data: Tensor) -> Tensor:
        """`(..., z, y, x)` as seen in this view."""
        return torch.flip(data.transpose(-1, -2) if self.transpose else data, self.flips)

    def undo(self, data: Tensor) -> Tensor:
        """What `apply` made, back as it was."""
        data = torch.flip(data, self.flips)
        return data.transpose(-1, -2) if self.transpose else data

    @property
    def keeps_order(self) -> bool:
        """Whether its first slice is the first."""
        return -3 not in self.flips

    def slices(self, start: int, stop: int, *, of: int) -> tuple[int, int]:
        """Where the slices `start` to `stop`, of so many, are in this view; and which the view's own are."""
        return (start, stop) if self.keeps_order else (of - stop, of - start)


@dataclass(frozen=True)
class Viewed(SlicesOf):
    """`Slices` of another source, as seen in a view; their places in Å are not the source's any more."""

    view: View

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along (z, y, x)."""
        z, y, x = self.source.shape
        return (z, x, y) if self.view.transpose else (z, y, x)

    def slices(self, start: int, stop: int) -> Tensor:
        """Slices `(stop - start, y, x)`, float32."""
        return self.view.apply(self.source.slices(*self.view.slices(start, stop, of=self.shape[0])))


IN_PLANE = {
    "identity": View(),
    "flip_x": View(flips=(-1,)),
    "flip_y": View(flips=(-2,)),
    "turn_180": View(flips=(-1, -2)),
    "transpose": View(transpose=True),
    "turn_90": View(transpose=True, flips=(-1,)),
    "turn_270": View(transpose=True, flips=(-2,)),
    "antitranspose": View(transpose=True, flips=(-1, -2)),
}
VIEWS = IN_PLANE | {
    "flip_z" if name == "identity" else f"{name}+flip_z": View(view.transpose, (*view.flips, -3))
    for name, view in IN_PLANE.items()
}
"""All sixteen, by name."""


def chosen_views(names: Sequence[str]) -> list[View]:
    """The volume as it is, then the views of these names, or of "all". Raises `InputError` for an unknown one."""
    if unknown := [name for name in names if name not in VIEWS and name != "all"]:
        raise InputError(f"There is no view {', '.join(unknown)}; expected all, or some of {', '.join(VIEWS)}.")
    wanted = VIEWS if "all" in names else ("identity", *names)
    return [VIEWS[name] for name in dict.fromkeys(wanted)]
