"""Where windows start, how they fade, how they blend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from itertools import product

import torch
from torch import Tensor

from tomosoup.recipes.picking import WindowPlan

Region = tuple[slice, slice, slice]


def window_starts(length: int, window: int, stride: int) -> list[int]:
    """First voxels, along one axis, of the windows that cover `length` voxels: 0, stride, 2 stride, ..."""
    steps = max(0, -(-(length - window) // stride))
    return [i * stride for i in range(steps + 1)]


def window_regions(shape: Sequence[int], plan: WindowPlan) -> list[Region]:
    """The windows of `plan` over a volume of `shape` (z, y, x); the last ones may reach past its end."""
    starts = [window_starts(n, w, s) for n, w, s in zip(shape, plan.shape, plan.stride, strict=True)]
    return [_region(start, plan.shape) for start in product(*starts)]


def _region(start: Sequence[int], window: Sequence[int]) -> Region:
    z, y, x = (slice(a, a + w) for a, w in zip(start, window, strict=True))
    return z, y, x


def cut(data: Tensor, region: Region) -> Tensor:
    """`(..., z, y, x)` -> its part inside `region`, in the region's full shape, zeros where it reaches outside."""
    inside = [slice(max(r.start, 0), min(r.stop, n)) for r, n in zip(region, data.shape[-3:], strict=True)]
    out = data.new_zeros((*data.shape[:-3], *(r.stop - r.start for r in region)))
    there = [slice(i.start - r.start, i.stop - r.start) for i, r in zip(inside, region, strict=True)]
    out[..., there[0], there[1], there[2]] = data[..., inside[0], inside[1], inside[2]]
    return out


def window_ramps(plan: WindowPlan) -> list[Tensor]:
    """The weight of a window's voxels along z, y and x: three tensors whose product is the weight of a voxel.

    `linear` falls from 1 at the centre to 0 at the window's outer faces, which lie half a voxel outside its last
    voxels: no weight is 0, so a voxel that one window alone covers keeps its value.
    """
    if plan.weighting == "none":
        return [torch.ones(n) for n in plan.shape]
    return [1 - (2 * (torch.arange(n) + 0.5) / n - 1).abs() for n in plan.shape]


class Blend:
    """The weighted mean of overlapping windows, gathered one window at a time.

    The weights are products of ramps and the windows stand on a grid, so the sum of the weights is a product too: it
    costs three vectors where a second volume would stand.
    """

    def __init__(self, channels: int, shape: Sequence[int], plan: WindowPlan) -> None:
        """For a `(channels, *shape)` result covered by the windows of `plan`."""
        self.total = torch.zeros(channels, *shape)
        self.ramps = window_ramps(plan)
        self.weight = reduce(torch.Tensor.__mul__, (_along(ramp, axis) for axis, ramp in enumerate(self.ramps)))
        self.sums = []
        for n, w, s, ramp in zip(shape, plan.shape, plan.stride, self.ramps, strict=True):
            along = torch.zeros(max(n, w) + w)
            for start in window_starts(n, w, s):
                along[start : start + w] += ramp
            self.sums.append(along[:n])

    def add(self, values: Tensor, region: Region) -> None:
        """Add a window's `(channels, *window)` output; what reaches past the volume's end is dropped."""
        there = tuple(slice(r.start, min(r.stop, n)) for r, n in zip(region, self.total.shape[1:], strict=True))
        here = tuple(slice(t.stop - t.start) for t in there)
        self.total[(slice(None), *there)] += (values * self.weight)[(slice(None), *here)]

    def mean(self) -> Tensor:
        """The blended `(channels, z, y, x)`. Ends the gathering: the sum is divided in place."""
        for axis, along in enumerate(self.sums):
            self.total /= _along(along, axis)
        return self.total


def _along(ramp: Tensor, axis: int) -> Tensor:
    """A vector, shaped to broadcast along one axis of (z, y, x)."""
    shape = [1, 1, 1]
    shape[axis] = -1
    return ramp.reshape(shape)


def batches(regions: Sequence[Region], size: int) -> Iterator[Sequence[Region]]:
    """The regions in groups of at most `size`."""
    for first in range(0, len(regions), size):
        yield regions[first : first + size]
