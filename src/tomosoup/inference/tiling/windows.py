"""Where windows start, how they fade, how they blend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from tomosoup.core.config import ZYX
from tomosoup.core.types import Slices
from tomosoup.models.window_plan import WindowPlan

Region = tuple[slice, slice, slice]


def window_starts(length: int, window: int, stride: int, *, inside: bool = False) -> list[int]:
    """First voxels, along one axis, of the windows that cover `length` voxels: 0, stride, 2 stride, ...

    With `inside` the last window is moved back to end where the volume ends.
    """
    steps = max(0, -(-(length - window) // stride))
    last = max(0, length - window) if inside else steps * stride
    return [min(i * stride, last) for i in range(steps + 1)]


def window_regions(shape: Sequence[int], plan: WindowPlan) -> list[Region]:
    """The windows of `plan` over a volume of `shape` (z, y, x), by z, y, x; the last ones may reach past its end.

    Where the border is centred, the first ones reach as far past its first slice as the last ones past its last.
    """
    starts = [
        window_starts(n, w, s, inside=plan.border == "inside")
        for n, w, s in zip(shape, plan.shape, plan.stride, strict=True)
    ]
    if plan.border == "centred":
        past = starts[0][-1] + plan.shape[0] - shape[0]
        starts[0] = [start - past // 2 for start in starts[0]]
    return [_region(start, plan.shape) for start in product(*starts)]


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


def with_halo(window: ZYX, halo: int) -> ZYX:
    """The shape of a window with so many slices more at either end."""
    z, y, x = window
    return z + 2 * halo, y, x


def layer(source: Slices, start: int, *, depth: int, halo: int = 0) -> Tensor:
    """The slices `(n, y, x)` that windows which begin at slice `start` are cut from: `depth`, or as many as are left.

    With a `halo`, so many more at either end. Zeros stand for those before the volume's first slice and, with a halo,
    past its last.
    """
    first, last = max(start - halo, 0), min(start + depth + halo, source.shape[0])
    before, after = first - start + halo, (start + depth + halo - last) if halo else 0
    slices = source.slices(first, last)
    return F.pad(slices, (0, 0, 0, 0, before, after)) if before or after else slices


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
        first, last = max(r.start, 0), min(r.stop, n)
        inside = data.narrow(axis, first, last - first)
        outside = [torch.arange(r.start, first), torch.arange(last, r.stop)]
        turns = [at % max(1, 2 * (n - 1)) for at in outside]
        before, after = (data.index_select(axis, torch.where(at < n, at, 2 * (n - 1) - at)) for at in turns)
        data = torch.cat([before, inside, after], axis) if any(map(len, outside)) else inside
    return data


def window_weight(plan: WindowPlan) -> Tensor:
    """The weight of a window's voxels, `(z, y, x)`.

    A ramp falls from 1 at the centre to 0 at the window's outer faces, which lie half a voxel outside its last voxels:
    no weight is 0, so a voxel that one window alone covers keeps its value. In the plane `linear` is the product of the
    ramps along y and x, `pyramid` the smaller of them (the 4th place's). `gaussian` has an eighth of the window as its
    deviation and 1e-3 as its least value (MONAI's, and so the 8th place's).
    """
    if plan.weighting == "none":
        return torch.ones(plan.shape)
    if plan.weighting == "gaussian":
        z, y, x = (((torch.arange(n) - (n - 1) / 2) / (n / 8)) ** 2 for n in plan.shape)
        return torch.exp(-0.5 * (z[:, None, None] + y[:, None] + x)).clamp(min=1e-3)
    z, y, x = (1 - (2 * (torch.arange(n) + 0.5) / n - 1).abs() for n in plan.shape)
    plane = torch.minimum(y[:, None], x) if plan.weighting == "pyramid" else y[:, None] * x
    return z[:, None, None] * plane


class Ring:
    """The weighted mean of overlapping windows, gathered along z: it holds as many slices as a window is deep.

    Windows are added in order of their first slice; what no later window reaches is taken out. So the memory does not
    depend on the volume's depth. Slice z of the volume is slice z modulo the depth of the ring.
    """

    def __init__(self, channels: int, shape: Sequence[int], plan: WindowPlan) -> None:
        """For a `(channels, *shape)` result covered by the windows of `plan`."""
        self.depth = shape[0]
        self.first = 0
        """The volume's first slice that is not taken."""
        self.weight = window_weight(plan)
        self.total = torch.zeros(channels, plan.shape[0], *shape[1:])
        self.weights = torch.zeros(plan.shape[0], *shape[1:])

    def add(self, values: Tensor, region: Region) -> None:
        """Add a window's `(channels, *window)` output; what reaches past the volume's ends is dropped."""
        plane = [slice(r.start, min(r.stop, n)) for r, n in zip(region[1:], self.total.shape[2:], strict=True)]
        y, x = (slice(r.stop - r.start) for r in plane)
        outside = max(0, -region[0].start)
        values, weights = values[:, outside:], self.weight[outside:]
        for z, of_window in self._turns(region[0].start + outside, min(region[0].stop, self.depth)):
            weight = weights[of_window, y, x]
            self.total[:, z, plane[0], plane[1]].addcmul_(values[:, of_window, y, x], weight)
            self.weights[z, plane[0], plane[1]] += weight

    def take(self, stop: int) -> Tensor:
        """The blended slices `(channels, stop - first, y, x)` before slice `stop`, which leave the ring."""
        stop = min(stop, self.depth)
        taken = self.total.new_empty(len(self.total), stop - self.first, *self.total.shape[2:])
        for z, of_taken in self._turns(self.first, stop):
            torch.div(self.total[:, z], self.weights[z], out=taken[:, of_taken])
            self.total[:, z] = 0
            self.weights[z] = 0
        self.first = stop
        return taken

    def _turns(self, start: int, stop: int) -> Iterator[tuple[slice, slice]]:
        """The slices from `start` to `stop` in pieces that lie together: where in the ring, and where among them."""
        at = start
        while at < stop:
            z = at % len(self.weights)
            n = min(stop - at, len(self.weights) - z)
            yield slice(z, z + n), slice(at - start, at - start + n)
            at += n
