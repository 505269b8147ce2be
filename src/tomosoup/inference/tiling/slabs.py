"""Maps slab by slab along z, and the mean of several."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tomosoup.core.types import Slices, Volume


def slab(data: Tensor, start: int, *, of: Slices) -> Volume:
    """The slices `(c, n, y, x)` of a map from slice `start` on, where they lie on the grid `of` a volume."""
    z, y, x = of.origin
    return Volume(data, of.voxel_size, (z + start * of.voxel_size, y, x))


def first_slice(part: Volume, *, of: Slices) -> int:
    """The number, on the grid `of` a volume, of a slab's first slice."""
    return round((part.origin[0] - of.origin[0]) / of.voxel_size)


def whole(slabs: Iterable[Volume], like: Slices) -> Volume:
    """Slabs `(c, n, y, x)` in order -> the volume `(c, z, y, x)` that they are of, on the grid of `like`."""
    data = torch.empty(0)
    first = 0
    for part in slabs:
        if part.shape == like.shape:
            return part  # it need not be in memory twice
        if first == 0:
            data = torch.empty(part.data.shape[0], *like.shape)
        data[:, first : first + part.shape[0]] = part.data
        first += part.shape[0]
    return Volume(data, like.voxel_size, like.origin)


@dataclass(frozen=True)
class Member:
    """One of the maps that a mean is taken of."""

    slabs: Iterator[Volume]
    """`(c, n, y, x)`; made as they are asked for."""
    channels: Sequence[tuple[int, int, float]]
    """Own channel, the mean's channel that it is added to, its weight there; the weights of a channel add up to 1."""
    in_order: bool = True
    """Whether the slabs come from the first slice on."""

    def add(self, part: Volume, total: Tensor, *, of: Slices) -> None:
        """Add a slab to its slices of the `total` `(c, z, y, x)`."""
        first = first_slice(part, of=of)
        for own, to, weight in self.channels:
            total[to, first : first + part.shape[0]] += part.data[own] * weight


def mean_slabs(members: Sequence[Member], source: Slices, *, channels: int) -> Iterator[Volume]:
    """The weighted mean of maps of the source, `(channels, n, y, x)`, slab by slab.

    All maps but the last are added up in memory, one after the other. The last one is added slab by slab as it comes:
    a single map is never in memory as a whole.
    """
    total = torch.zeros(()).expand(channels, *source.shape)  # takes no memory until something is added
    *others, last = members
    for member in others if last.in_order else members:
        total = total.contiguous()
        for part in member.slabs:
            member.add(part, total, of=source)
    if not last.in_order:
        yield slab(total, 0, of=source)
        return
    for part in last.slabs:
        first = first_slice(part, of=source)
        mean = slab(total[:, first : first + part.shape[0]].contiguous(), first, of=source)
        last.add(part, mean.data, of=mean)
        yield mean
