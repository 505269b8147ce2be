"""The denoising net: a small 3D U-Net at half of the tomogram's resolution.

Every 2 x 2 x 2 voxels become eight channels of one, so that the first and last convolutions, which cost most, see an
eighth of the positions (Shi et al. 2016, in 3D). There is no normalisation in the net, so that a voxel's result depends
on what is near it only: a tomogram can be denoised piece by piece.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

MULTIPLE = 8
"""Sizes of the input must be multiples of this."""


class DenoisingNet(nn.Module):
    """`(b, 1, z, y, x)` of standardised grey values -> the same without noise. Sizes are multiples of `MULTIPLE`.

    `fine`, `coarse` and `joined` are the parts of `forward`, for those who have no memory for all of it at once.
    """

    def __init__(self, widths: Sequence[int] = (24, 32, 48)) -> None:
        """`widths` are the channels at 1/2, 1/4 and 1/8 of the resolution."""
        super().__init__()
        first, second, third = self.widths = tuple(widths)
        self.down = nn.ModuleList([_block(8, first), _block(second, second), _block(third, third)])
        self.halve = nn.ModuleList([nn.Conv3d(first, second, 2, stride=2), nn.Conv3d(second, third, 2, stride=2)])
        self.lift = nn.ModuleList([nn.Linear(second, first), nn.Linear(third, second)])
        self.up = nn.ModuleList([_block(first, first), _block(second, second)])
        self.head = nn.Linear(first, 8)

    def forward(self, volume: Tensor) -> Tensor:
        """The whole net."""
        fine = self.fine(volume)
        return self.joined(fine, self.coarse(self.halved(fine)))

    def fine(self, volume: Tensor) -> Tensor:
        """`(b, 1, z, y, x)` -> maps `(b, c, z / 2, y / 2, x / 2)`."""
        channels = rearrange(volume, "b 1 (z i) (y j) (x k) -> b z y x (i j k)", i=2, j=2, k=2).movedim(-1, 1)
        maps: Tensor = self.down[0](channels)
        return maps

    def halved(self, fine: Tensor) -> Tensor:
        """Maps of `fine` -> `(b, c, z / 4, y / 4, x / 4)`."""
        maps: Tensor = self.halve[0](fine)
        return maps

    def coarse(self, halved: Tensor) -> Tensor:
        """What the larger surroundings add to the maps of `fine`, at half of their resolution."""
        maps = self.down[1](halved)
        maps = self.up[1](_added(maps, _by_position(self.lift[1], self.down[2](self.halve[1](maps)))))
        return _by_position(self.lift[0], maps)

    def joined(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """Maps of `fine`, which are used up, and of `coarse` -> the result `(b, 1, z, y, x)`."""
        maps = _by_position(self.head, self.up[0](_added(fine, coarse)))
        return rearrange(maps, "b (i j k) z y x -> b 1 (z i) (y j) (x k)", i=2, j=2, k=2)


FINE_REACH = 2
"""Positions, at half of the resolution, that `fine` sees to each side of a result; and `joined` of its inputs."""


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(inputs, outputs, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv3d(outputs, outputs, 3, padding=1),
        nn.ReLU(inplace=True),
    )


def _by_position(linear: nn.Module, maps: Tensor) -> Tensor:
    """A linear map of the channels of `(b, c, z, y, x)`, several times as fast as a convolution of size 1."""
    mapped: Tensor = linear(maps.movedim(1, -1)).movedim(-1, 1)
    return mapped


def _added(maps: Tensor, coarser: Tensor) -> Tensor:
    """Maps plus those of half the resolution; in the memory of `maps` where no gradient is asked for."""
    doubled = F.interpolate(coarser, scale_factor=2)
    return maps + doubled if torch.is_grad_enabled() else maps.add_(doubled)
