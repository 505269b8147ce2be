"""Where windows start, how they fade, how they blend."""

from __future__ import annotations

from collections.abc import Sequence
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


def window_weight(plan: WindowPlan) -> tuple[Tensor, Tensor]:
    """The weight of a window's voxels, along z `(z,)` and in the plane `(y, x)`: their product is a voxel's weight.

    A ramp falls from 1 at the centre to 0 at the window's outer faces, which lie half a voxel outside its last voxels:
    no weight is 0, so a voxel that one window alone covers keeps its value. In the plane `linear` is the product of the
    ramps along y and x, `pyramid` the smaller of them (the 4th place's).
    """
    if plan.weighting == "none":
        return torch.ones(plan.shape[0]), torch.ones(plan.shape[1:])
    z, y, x = (1 - (2 * (torch.arange(n) + 0.5) / n - 1).abs() for n in plan.shape)
    return z, torch.minimum(y[:, None], x) if plan.weighting == "pyramid" else y[:, None] * x


class Blend:
    """The weighted mean of overlapping windows, gathered one window at a time.

    A weight is a product of one along z and one in the plane, and the windows stand on a grid, so the sum of the
    weights is such a product too: it costs a vector and a slice where a second volume would stand.
    """

    def __init__(self, channels: int, shape: Sequence[int], plan: WindowPlan) -> None:
        """For a `(channels, *shape)` result covered by the windows of `plan`."""
        self.total = torch.zeros(channels, *shape)
        depth, plane = window_weight(plan)
        self.weight = depth[:, None, None] * plane
        starts = [window_starts(n, w, s) for n, w, s in zip(shape, plan.shape, plan.stride, strict=True)]
        ends = [max(n, s[-1] + w) for n, s, w in zip(shape, starts, plan.shape, strict=True)]
        self.depth_sum, self.plane_sum = torch.zeros(ends[0]), torch.zeros(ends[1:])
        for z in starts[0]:
            self.depth_sum[z : z + plan.shape[0]] += depth
        for y, x in product(*starts[1:]):
            self.plane_sum[y : y + plan.shape[1], x : x + plan.shape[2]] += plane

    def add(self, values: Tensor, region: Region) -> None:
        """Add a window's `(channels, *window)` output; what reaches past the volume's end is dropped."""
        there = tuple(slice(r.start, min(r.stop, n)) for r, n in zip(region, self.total.shape[1:], strict=True))
        here = tuple(slice(t.stop - t.start) for t in there)
        self.total[(slice(None), *there)] += (values * self.weight)[(slice(None), *here)]

    def mean(self) -> Tensor:
        """The blended `(channels, z, y, x)`. Ends the gathering: the sum is divided in place."""
        z, y, x = self.total.shape[1:]
        self.total /= self.depth_sum[:z, None, None]
        self.total /= self.plane_sum[:y, :x]
        return self.total
