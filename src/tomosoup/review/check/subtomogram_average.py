"""Sub-volumes at picks and their average: its contrast, its centre, its radius."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfftn, next_fast_len, rfftn

from tomosoup.core.types import Array, Volume

Floats = NDArray[np.float32]
Read = Callable[[tuple[slice, slice, slice]], Volume]

REACH = 2.0
"""A box reaches so many radii to every side."""
STEPS = 7
"""Samples in a radius, about: boxes of large particles in small voxels are binned."""
BALL = 1.4
"""The centre of an average is found in a ball of so many radii; what is outside is background."""
REACH_OF_OFFSETS = 4
"""Samples up to which offsets are searched."""
EDGE = 0.1
"""Fraction of an average's contrast that is left at its radius. Of simulated particles that radius is 0.7 (an elongated
one) to 1.15 times the contest's."""
RESAMPLES = 32
"""Resamples of the bootstrap that estimates an offset's error."""


@dataclass(frozen=True)
class Boxes:
    """Sub-volumes of picks of one species, sampled so that the pick is exactly the centre sample.

    `data` is `(n, m, m, m)`, 0 where a box lies outside its tomogram; `there` `(n, m, m, m)` is False there.
    """

    data: Floats
    there: NDArray[np.bool_]
    step: float
    """Å from sample to sample."""
    radius: float
    """The species' radius in Å."""

    def __len__(self) -> int:
        return len(self.data)

    def average(self, picks: Floats | None = None) -> Array:
        """The mean `(..., m, m, m)` of the boxes, weighted by `picks` `(..., n)`, without what is outside tomograms."""
        often = np.ones(len(self), np.float32) if picks is None else picks
        flat = (often @ part.reshape(len(self), -1) for part in (self.data, self.there.astype(np.float32)))
        total, count = (np.asarray(f, dtype=float).reshape(*often.shape[:-1], *self.data.shape[1:]) for f in flat)
        mean: Array = np.divide(total, count, out=np.zeros_like(total), where=count > 0)
        return mean

    @property
    def distance(self) -> Array:
        """`(m, m, m)`: Å from the centre."""
        return from_centre(self.data.shape[1], [0.0, 0.0, 0.0]) * self.step


def from_centre(m: int, point: Sequence[float]) -> Array:
    """`(m, m, m)`: the distance, in samples, from a point that is given relative to the centre sample."""
    at = np.arange(m) - m // 2
    z, y, x = np.meshgrid(*(at - shift for shift in point), indexing="ij")
    distance: Array = np.sqrt(z**2 + y**2 + x**2)
    return distance


def cut_boxes(
    read: Read, shape: Sequence[int], zyx_vox: Array, *, radius: float, voxel_size: float, scale: tuple[float, float]
) -> Boxes:
    """The boxes of picks at `zyx_vox` `(n, 3)` (fractional voxels) of a volume of `shape`.

    Values between voxels are interpolated linearly.

    Args:
        read: gives the voxels of a region (z, y, x).
        shape: of the volume.
        zyx_vox: positions of the picks.
        radius: of the species, Å.
        voxel_size: Å.
        scale: mean and standard deviation of the tomogram; values become (value - mean) / standard deviation.
    """
    size = max(1, round(radius / voxel_size / STEPS))
    half = int(np.ceil(REACH * radius / voxel_size / size))
    samples = (2 * half + 1 + 1) * size
    data, there = [], []
    for position in zyx_vox:
        from_first = position - (size - 1) / 2
        first = np.floor(from_first).astype(int) - half * size
        inside = [slice(max(a, 0), min(a + samples, n)) for a, n in zip(first, shape, strict=True)]
        box, known = np.zeros((samples,) * 3, np.float32), np.zeros((samples,) * 3, np.float32)
        if all(s.start < s.stop for s in inside):
            at = tuple(slice(s.start - a, s.stop - a) for s, a in zip(inside, first, strict=True))
            z, y, x = inside
            values = (read((z, y, x)).data.numpy() - scale[0]) / scale[1]
            known[at] = np.isfinite(values)
            box[at] = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
        part = (from_first - np.floor(from_first)) / size
        data.append(_between(_binned(box, size), part))
        there.append(_between(_binned(known, size), part) > 1 - 1e-4)
    boxes, inside_all = np.array(data, np.float32), np.array(there, bool)
    return Boxes(np.where(inside_all, boxes, 0), inside_all, size * voxel_size, radius)


def _binned(box: Floats, size: int) -> Floats:
    n = len(box) // size
    binned: Floats = box.reshape(n, size, n, size, n, size).mean(axis=(1, 3, 5))
    return binned


def _between(box: Floats, part: Array) -> Floats:
    """`(n, n, n)` -> `(n - 1, n - 1, n - 1)`: the values a fraction `part` `(3,)` of a sample further along z, y, x."""
    for axis, p in enumerate(part):
        n = box.shape[axis]
        box = (1 - p) * box.take(range(n - 1), axis) + p * box.take(range(1, n), axis)
    return box


def joined(parts: Sequence[Boxes]) -> Boxes:
    """The boxes of one species in several tomograms, cut to the smallest; the step is the first's."""
    m = min(p.data.shape[1] for p in parts)
    cuts = [slice((p.data.shape[1] - m) // 2, (p.data.shape[1] - m) // 2 + m) for p in parts]
    data = [p.data[:, c, c, c] for p, c in zip(parts, cuts, strict=True)]
    there = [p.there[:, c, c, c] for p, c in zip(parts, cuts, strict=True)]
    return Boxes(np.concatenate(data), np.concatenate(there), parts[0].step, parts[0].radius)


def contrast(boxes: Boxes) -> tuple[float, float]:
    """How much brighter picks are than what surrounds them, in the tomogram's standard deviations; standard error."""
    near, far = boxes.distance <= boxes.radius, boxes.distance > 1.4 * boxes.radius
    counts = [(boxes.there & part).sum(axis=(1, 2, 3)) for part in (near, far)]
    whole = (counts[0] > 0) & (counts[1] > 0)
    means = [
        (boxes.data * part).sum(axis=(1, 2, 3))[whole] / n[whole] for part, n in zip((near, far), counts, strict=True)
    ]
    differences = means[0] - means[1]
    if len(differences) < 2:
        return 0.0, np.inf
    return float(differences.mean()), float(differences.std(ddof=1) / np.sqrt(len(differences)))


def offset(boxes: Boxes, *, seed: int = 0) -> tuple[Array, Array]:
    """The centre of the density relative to the picks, `(3,)` Å along z, y, x, and its standard errors `(3,)`.

    Particles in many orientations average to a density that is its own point reflection through its centre. The
    convolution of the average with itself is therefore largest at twice the offset of the centre. The errors are from a
    bootstrap over the picks.
    """
    random = np.random.default_rng(seed)
    centre = np.zeros(3)
    for _ in range(4):
        centre = _centres(boxes, boxes.average()[None], centre)[0]
    drawn = random.multinomial(len(boxes), np.full(len(boxes), 1 / len(boxes)), size=RESAMPLES).astype(np.float32)
    spread = _centres(boxes, boxes.average(drawn), centre).std(axis=0, ddof=1)
    return centre * boxes.step, spread * boxes.step


def _centres(boxes: Boxes, averages: Array, around: Array) -> Array:
    """Centres `(k, 3)`, in samples, of averages `(k, m, m, m)`, found in a soft ball around a point."""
    m = averages.shape[-1]
    distance = from_centre(m, around.tolist()) * boxes.step
    ball = np.clip((BALL * boxes.radius - distance) / (0.4 * boxes.radius), 0, 1)
    level = averages[:, ball == 0].mean(axis=1)[:, None, None, None] if (ball == 0).any() else 0.0
    reach = min(m // 2, int(np.ceil(BALL * boxes.radius / boxes.step)) + REACH_OF_OFFSETS)
    part = slice(m // 2 - reach, m // 2 + reach + 1)
    seen = ((averages - level) * ball)[:, part, part, part].astype(np.float32)
    size = next_fast_len(4 * reach + 1, real=True)
    own = irfftn(rfftn(seen, s=(size,) * 3, axes=(1, 2, 3)) ** 2, s=(size,) * 3, axes=(1, 2, 3))
    window = slice(2 * reach - 2 * REACH_OF_OFFSETS, 2 * reach + 2 * REACH_OF_OFFSETS + 1)
    own = own[:, window, window, window]
    peaks = [np.array(np.unravel_index(part.argmax(), part.shape)) for part in own]
    tops = np.array([_top(part, peak) for part, peak in zip(own, peaks, strict=True)])
    return (tops - 2 * REACH_OF_OFFSETS) / 2


def _top(values: Array, peak: Array) -> Array:
    """The maxima `(3,)` of the parabolas through the largest value and its neighbours along each axis."""
    top = peak.astype(float)
    for axis, at in enumerate(peak):
        line = np.moveaxis(values, axis, 0)[(slice(None), *np.delete(peak, axis))]
        if 0 < at < len(line) - 1:
            before, here, after = line[at - 1 : at + 2]
            curve = before - 2 * here + after
            top[axis] += 0.5 * (before - after) / curve if curve < 0 else 0.0
    return top


def measured_radius(boxes: Boxes, centre: Array) -> float | None:
    """Å from the centre (in Å) to where the average has fallen to `EDGE` of its strongest shell; None if nowhere."""
    average = boxes.average()
    distance = from_centre(average.shape[0], (centre / boxes.step).tolist())
    near = ((distance >= r - 0.5) & (distance < r + 0.5) for r in range(average.shape[0] // 2 + 1))
    shells = [shell for shell in near if shell.any()]
    at, profile = (np.array([values[shell].mean() for shell in shells]) for values in (distance, average))
    profile -= profile[-2:].mean()
    top = int(np.abs(profile).argmax())
    if profile[top] == 0:
        return None
    relative = profile / profile[top]
    beyond = np.flatnonzero(relative[top:] < EDGE)
    if not len(beyond):
        return None
    i = top + int(beyond[0])
    part = (relative[i - 1] - EDGE) / (relative[i - 1] - relative[i])
    return float((at[i - 1] + part * (at[i] - at[i - 1])) * boxes.step)
