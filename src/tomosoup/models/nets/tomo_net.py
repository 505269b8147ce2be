"""What every net is: windows of a tomogram in, maps of the same size out."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from tomosoup.core.config import ZYX
from tomosoup.core.errors import InputError


class TomoNet(nn.Module):
    """Windows `(b, 1, z, y, x)` -> maps `(b, c, z, y, x)`: logits or heatmaps, without activation.

    Sizes are multiples of `multiple`. Where a net looks at neighbouring slices, zeros stand for those past a window's
    ends. With `net(windows, halo=net.halo)` the windows `(b, 1, z + 2 halo, y, x)` bring these slices with them.
    """

    multiple: ZYX = (1, 1, 1)
    """What a window's sizes (z, y, x) are multiples of."""
    halo: int = 0
    """So many slices past each end of a window the net looks at."""
    cell: ZYX = (1, 1, 1)
    """Voxels (z, y, x) that share one prediction, where the net predicts centres."""

    def check(self, shape: Sequence[int], *, halo: int = 0) -> None:
        """Raises `InputError` unless the net takes windows of this `shape`: `(b, 1, z + 2 halo, y, x)`."""
        sizes = (shape[-3] - 2 * halo, *shape[-2:]) if len(shape) == 5 else (0, 0, 0)
        if shape[1] != 1 or any(n < m or n % m for n, m in zip(sizes, self.multiple, strict=True)):
            raise InputError(
                f"The net takes windows (batch, 1, z, y, x) with z, y, x multiples of {self.multiple}, got "
                f"{tuple(shape)}: choose another window shape."
            )


class HaloNet(TomoNet):
    """A net for windows that bring a halo of neighbouring slices: `(b, 1, z + 2 halo, y, x)` -> `(b, c, z, y, x)`.

    It shares the weights of the net that it is made of; a halo of 0 changes nothing. `multiple` leaves out the halo.
    """

    def __init__(self, net: TomoNet, halo: int) -> None:
        super().__init__()
        self.net, self.halo, self.multiple = net, halo, net.multiple

    def check(self, shape: Sequence[int], *, halo: int = 0) -> None:
        """Raises `InputError` unless the net takes windows of this `shape`, which includes the halo."""
        self.net.check(shape, halo=self.halo + halo)

    def forward(self, windows: Tensor) -> Tensor:
        maps: Tensor = self.net(windows, halo=self.halo)
        return maps
