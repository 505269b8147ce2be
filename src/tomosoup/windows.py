"""Where windows start, how they fade, how they blend."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import product

import torch
from torch import Tensor

from tomosoup.recipes.picking import WindowPlan

Region = tuple[slice, slice, slice]


def window_starts(length: int, window: int, stride: int, *, inside: bool = False) -> list[int]:
    """First voxels, along one axis, of the windows that cover `length` voxels: 0, stride, 2 stride, ...

    With `inside` the last window is moved back to end where the volume ends.
    """
    steps = max(0, -(-(length - window) // stride))
    last = max(0, length - window) if inside else steps * stride
    return [min(i * stride, last) for i in range(steps + 1)]


def starts_of(shape: Sequence[int], plan: WindowPlan) -> list[list[int]]:
    """First voxels of the plan's windows along each axis of a volume of `shape` (z, y, x)."""
    return [
        window_starts(n, w, s, inside=plan.border == "inside")
        for n, w, s in zip(shape, plan.shape, plan.stride, strict=True)
    ]


def window_regions(shape: Sequence[int], plan: WindowPlan) -> list[Region]:
    """The windows of `plan` over a volume of `shape` (z, y, x); the last ones may reach past its end."""
    return [_region(start, plan.shape) for start in product(*starts_of(shape, plan))]


def fitted(plan: WindowPlan, shape: Sequence[int], *, multiple: Sequence[int]) -> WindowPlan:
    """The plan for a volume of `shape` that is smaller than its windows along some axis.

    Where windows stay inside the volume they are cut down to its size, rounded up to the `multiple` that the net needs:
    nothing but mirror images would lie in the rest.
    """
    if plan.border != "inside":
        return plan
    window = [min(w, -(-n // m) * m) for w, n, m in zip(plan.shape, shape, multiple, strict=True)]
    stride = [min(s, w) for s, w in zip(plan.stride, window, strict=True)]
    return WindowPlan.of(plan.model_dump() | {"shape": window, "stride": stride}, source="The windows")


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


def cut_mirrored(data: Tensor, region: Region) -> Tensor:
    """As `cut`, but mirrored at the volume's faces in place of zeros; the outermost voxels are not repeated."""
    for axis, r in zip((-3, -2, -1), region, strict=True):
        n = data.shape[axis]
        at = torch.arange(r.start, r.stop) % max(1, 2 * (n - 1))
        data = data.index_select(axis, torch.where(at < n, at, 2 * (n - 1) - at))
    return data


def window_weight(plan: WindowPlan) -> tuple[Tensor, ...]:
    """The weight of a window's voxels as factors that broadcast to `(z, y, x)`: their product is a voxel's weight.

    A ramp falls from 1 at the centre to 0 at the window's outer faces, which lie half a voxel outside its last voxels:
    no weight is 0, so a voxel that one window alone covers keeps its value. In the plane `linear` is the product of the
    ramps along y and x, `pyramid` the smaller of them (the 4th place's). `gaussian` has an eighth of the window as its
    deviation and 1e-3 as its least value (MONAI's, and so the 8th place's); it does not fall into factors.
    """
    if plan.weighting == "none":
        return torch.ones(plan.shape[0], 1, 1), torch.ones(1, *plan.shape[1:])
    if plan.weighting == "gaussian":
        z, y, x = (((torch.arange(n) - (n - 1) / 2) / (n / 8)) ** 2 for n in plan.shape)
        return (torch.exp(-0.5 * (z[:, None, None] + y[:, None] + x)).clamp(min=1e-3),)
    z, y, x = (1 - (2 * (torch.arange(n) + 0.5) / n - 1).abs() for n in plan.shape)
    plane = torch.minimum(y[:, None], x) if plan.weighting == "pyramid" else y[:, None] * x
    return z[:, None, None], plane[None]


class Blend:
    """The weighted mean of overlapping windows, gathered one window at a time.

    The windows stand on a grid, so where a weight is a product of one along z and one in the plane, the sum of the
    weights is such a product too: it costs a vector and a slice where a second volume would stand.
    """

    def __init__(self, channels: int, shape: Sequence[int], plan: WindowPlan) -> None:
        """For a `(channels, *shape)` result covered by the windows of `plan`."""
        self.total = torch.zeros(channels, *shape)
        factors = window_weight(plan)
        self.weight = reduce(torch.mul, factors)
        starts = starts_of(shape, plan)
        self.sums = [_summed(factor, shape, starts) for factor in factors]

    def add(self, values: Tensor, region: Region) -> None:
        """Add a window's `(channels, *window)` output; what reaches past the volume's end is dropped."""
        there = tuple(slice(r.start, min(r.stop, n)) for r, n in zip(region, self.total.shape[1:], strict=True))
        here = tuple(slice(t.stop - t.start) for t in there)
        self.total[(slice(None), *there)] += (values * self.weight)[(slice(None), *here)]

    def mean(self) -> Tensor:
        """The blended `(channels, z, y, x)`. Ends the gathering: the sum is divided in place."""
        for along in self.sums:
            self.total /= along
        return self.total


def _summed(factor: Tensor, shape: Sequence[int], starts: Sequence[Sequence[int]]) -> Tensor:
    """The sum of a weight over windows at `starts`, cut to `shape`; along axes of length 1 it does not change."""
    grid = [s if n > 1 else [0] for s, n in zip(starts, factor.shape, strict=True)]
    ends = [max(n, s[-1] + w) if w > 1 else 1 for n, s, w in zip(shape, grid, factor.shape, strict=True)]
    total = torch.zeros(ends)
    for start in product(*grid):
        total[_region(start, factor.shape)] += factor
    return total[tuple(slice(n) if w > 1 else slice(1) for n, w in zip(shape, factor.shape, strict=True))]
