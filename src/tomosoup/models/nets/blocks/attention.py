"""Attention to channels and to places."""

from __future__ import annotations

import torch
from torch import Tensor, nn

REDUCTION = 16
"""A channel gate has so many times fewer hidden channels than its map has channels."""


class Attention(nn.Module):
    """Concurrent spatial and channel squeeze and excitation, scSE (Roy et al., IEEE TMI 2018): the same shape.

    The map times a gate a channel (from its mean over space), and the map times a gate a voxel. They are joined by
    their sum, or, with `form` max, by the larger value (the paper's "max-out").
    """

    def __init__(self, channels: int, *, form: str = "sum", least: int = 8) -> None:
        """`least`: hidden channels of the channel gate at least. Of one or two all may be dead from the start."""
        super().__init__()
        hidden = max(least, channels // REDUCTION)
        self.form = form
        self.channel = nn.Sequential(
            nn.AdaptiveAvgPool3d(1),
            nn.Conv3d(channels, hidden, kernel_size=1),
            nn.ReLU(inplace=True),
            nn.Conv3d(hidden, channels, kernel_size=1),
            nn.Sigmoid(),
        )
        self.spatial = nn.Sequential(nn.Conv3d(channels, 1, kernel_size=1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        by_channel, by_place = x * self.channel(x), x * self.spatial(x)
        return torch.maximum(by_channel, by_place) if self.form == "max" else by_channel + by_place
