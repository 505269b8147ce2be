"""The two faces of a lamella or an ice slab, found in its tomogram or from picks.

Where there is matter, grey values vary more than in empty ice or vacuum. IMOD's findsection (D. Mastronarde) and
Slabify (CellArchLab, doi:10.5281/zenodo.13941082) find surfaces by this local variance, too. Here the faces are two
surfaces that divide the local standard deviation into inside and outside with the largest sum of squares between the
two. This is the two-phase model of Chan and Vese, "Active contours without edges" (IEEE Transactions on Image
Processing 10, 2001), with planes or polynomials of second order as contours.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.ndimage import median_filter, uniform_filter1d
from scipy.optimize import minimize

from tomosoup.core.errors import InputError
from tomosoup.core.types import Array, OnGrid, Slices
from tomosoup.inference.options.faces import Faces

FINE = 40.0
"""Å. Finer detail is averaged, because noise hides it."""
BOX = 480.0
"""Å: side of the squares in which grey values are compared. They overlap by half."""
AT_ONCE = 16
"""Slices that are read together."""
SLOPES = np.tan(np.radians(np.arange(-20, 21, 4)))
"""Tilts along y and x that the search begins with."""
CONTRAST = 0.07
"""Least difference in the standard deviation between the two sides of a face, as a fraction of its mean."""
BESIDE = 150.0
"""Å on each side of a face that are compared."""
LEAST_PICKS = 20
"""Picks that are enough for two faces."""
QUANTILE = 0.01
"""Fraction of the picks that may lie outside of each face."""


@dataclass(frozen=True)
class Slab(OnGrid):
    """Two faces, in a volume of `shape` (z, y, x)."""

    shape: tuple[int, int, int]
    voxel_size: float
    origin: tuple[float, float, float]
    terms: Array
    """`(2, n)`: the polynomials of the lower and the upper face; see `z_vox`."""
    at_boundary: tuple[bool, bool] = (False, False)
    """Whether the lower and the upper face lie at the volume's boundary, so that the true face is perhaps outside."""

    def z_vox(self, y: Array, x: Array) -> Array:
        """`(2, n)`: z of both faces, in voxels, at voxels (y, x). A face may be between slices."""
        return self.terms @ _monomials(y, x, self.shape, self.terms.shape[1]) - 0.5

    def mask(self) -> torch.Tensor:
        """`(z, y, x)`, int8: 1 between the faces, 0 outside."""
        depth, *plane = self.shape
        y, x = np.indices(plane).reshape(2, -1).astype(float)
        low, high = torch.from_numpy(self.z_vox(y, x).reshape(2, *plane)).float()
        z = torch.arange(depth)[:, None, None]
        inside: torch.Tensor = ((z > low) & (z < high)).to(torch.int8)
        return inside

    @property
    def centre(self) -> tuple[float, float]:
        """z (Å) of the lower and the upper face at the centre of the plane."""
        low, high = (self.terms[:, 0] - 0.5) * self.voxel_size + self.origin[0]
        return float(low), float(high)

    @property
    def thickness(self) -> float:
        """Å between the faces at the centre of the plane, along their mean normal."""
        low, high = self.terms[:, 0]
        return float((high - low) * self.voxel_size * np.cos(np.radians(self.tilt)))

    @property
    def tilt(self) -> float:
        """Degrees between the mean normal of the faces, at the centre of the plane, and z."""
        _, y, x = self.shape
        slope = self.terms[:, 1:3].mean(axis=0) * 2 / np.array([y, x])
        return float(np.degrees(np.arctan(np.hypot(*slope))))


def find_slab(source: Slices, *, faces: Faces = "parallel") -> Slab:
    """The faces of the slab in a raw tomogram `(z, y, x)`: two parallel planes, any two planes, or of second order.

    The tomogram is read once, slice by slice. Raises `InputError` if no face is found: neither side of the volume has a
    lower deviation that begins within `BESIDE`.
    """
    profiles, y, x = local_deviation(source)
    depth, number = len(profiles), 6 if faces == "curved" else 3
    monomials = _monomials(y, x, source.shape, number)
    sums = np.vstack([np.zeros(len(y)), np.cumsum(profiles, axis=0)])
    terms = np.zeros((2, number))
    terms[:, :3] = _best_parallel(sums, monomials[:3], source.shape)
    terms = _refined(sums, monomials, terms, parallel=faces == "parallel")
    heights = np.clip(terms @ monomials, 0, depth)
    near = max(1.0, FINE / source.voxel_size)
    at_boundary = bool(np.median(heights[0]) < near), bool(np.median(heights[1]) > depth - near)
    steps = _steps(sums, heights, BESIDE / source.voxel_size)
    if not all(edge or step >= CONTRAST for edge, step in zip(at_boundary, steps, strict=True)) or all(at_boundary):
        raise InputError(
            "No two faces of a slab were found: grey values do not vary less towards the first and "
            "last slices. Give picks that fill the slab as `picks`, or a mask of your own."
        )
    for face, (edge, z) in enumerate(zip(at_boundary, (0, depth), strict=True)):
        if edge:
            terms[face] = [z, *np.zeros(number - 1)]
    return Slab(source.shape, source.voxel_size, source.origin, terms, at_boundary)


def slab_of_picks(zyx: Array, source: Slices, *, margin: float) -> Slab:
    """Two parallel planes that hold all but `QUANTILE` of the picks at each face, and `margin` Å of matter around them.

    `zyx` is `(n, 3)` in Å. The tilt is that of the plane with the least absolute distances along z. Raises `InputError`
    for fewer than `LEAST_PICKS`.
    """
    if len(zyx) < LEAST_PICKS:
        raise InputError(f"Expected {LEAST_PICKS} or more picks to find two faces, got {len(zyx)}: give another set.")
    z, y, x = ((np.asarray(zyx) - source.origin) / source.voxel_size).T
    monomials = _monomials(y, x, source.shape, 3)
    plane = _least_absolute(monomials, z + 0.5)
    low, high = np.quantile(z + 0.5 - plane @ monomials, [QUANTILE, 1 - QUANTILE])
    terms = np.tile(plane, (2, 1))
    terms[:, 0] += np.array([low, high]) + np.array([-1, 1]) * margin / source.voxel_size
    boundary = bool(terms[0, 0] <= 0), bool(terms[1, 0] >= source.shape[0])
    return Slab(source.shape, source.voxel_size, source.origin, terms, boundary)


def local_deviation(source: Slices) -> tuple[Array, Array, Array]:
    """Tomogram `(z, y, x)` -> its local standard deviation `(z, n)` in n squares; y and x (voxels) of their centres.

    The tomogram is averaged over `FINE` along each axis first, in steps of one slice along z. The values are medians of
    each square and its eight neighbours, which gold beads do not change; their mean is 1.
    """
    fine = max(1, min(round(FINE / source.voxel_size), *source.shape))
    depth = source.shape[0]
    parts = (source.slices(z, min(z + AT_ONCE, depth)).float() for z in range(0, depth, AT_ONCE))
    planes = torch.cat([F.avg_pool2d(part[:, None], fine)[:, 0] for part in parts]).numpy()
    full = slice(fine // 2, depth - (fine - 1) // 2)  # slices with as many neighbours as the average takes
    smooth = torch.from_numpy(uniform_filter1d(planes - planes.mean(), fine, axis=0)[full]).double()[:, None]
    box = max(1, min(round(BOX / source.voxel_size / fine), *smooth.shape[-2:]))
    step = max(1, box // 2)
    mean, square = (F.avg_pool2d(values, box, step)[:, 0] for values in (smooth, smooth**2))
    deviation = median_filter((square - mean**2).clamp(min=0).sqrt().numpy(), (1, 3, 3), mode="nearest")
    deviation = np.pad(deviation, [(full.start, depth - full.stop), (0, 0), (0, 0)], mode="edge")
    y, x = np.meshgrid(*((np.arange(n) * step + box / 2) * fine - 0.5 for n in deviation.shape[1:]), indexing="ij")
    return (deviation / (deviation.mean() or 1.0)).reshape(depth, -1), y.ravel(), x.ravel()


def _monomials(y: Array, x: Array, shape: tuple[int, int, int], number: int) -> Array:
    """`(number, n)`: 1, v, u, v², u², uv, where v and u run from -1 to 1 over the volume's y and x."""
    v, u = ((2 * np.asarray(at) + 1) / n - 1 for at, n in zip((y, x), shape[1:], strict=True))
    return np.stack([np.ones_like(v), v, u, v * v, u * u, u * v][:number])


def _between(sums: Array, faces: Array) -> float:
    """Sum of squares between inside and outside, per sample, of profiles with these cumulated `sums` `(z + 1, n)`."""
    depth, columns = len(sums) - 1, sums.shape[1]
    faces = np.clip(faces, 0, depth)
    inside = float((_at(sums, faces[1]) - _at(sums, faces[0])).sum())
    share = float((faces[1] - faces[0]).sum()) / (depth * columns)
    if not 0 < share < 1:
        return 0.0
    mean = float(sums[-1].sum()) / (depth * columns)
    difference = inside / (share * depth * columns) - mean
    return float(difference * abs(difference) * share / (1 - share))


def _at(sums: Array, z: Array) -> Array:
    """`sums` `(z + 1, n)` at depths `(..., n)` of its columns, interpolated."""
    below = np.clip(np.floor(z).astype(int), 0, len(sums) - 2)
    columns = np.arange(sums.shape[1])
    first, second = sums[below, columns], sums[below + 1, columns]
    found: Array = first + (z - below) * (second - first)
    return found


def _best_parallel(sums: Array, monomials: Array, shape: tuple[int, int, int]) -> Array:
    """`(2, 3)`: the best two parallel planes, of all tilts in `SLOPES` and all whole heights at the centre."""
    depth, y, x = shape
    heights = np.unique(np.linspace(0, depth, min(depth, 64) + 1).round())
    best = -np.inf, np.array([[0.0, 0, 0], [depth, 0, 0]])
    for slopes in product(SLOPES, SLOPES):
        tilt = np.array(slopes) * np.array([y, x]) / 2
        moved = np.clip(heights[:, None] + tilt @ monomials[1:], 0, depth)
        total, length = _at(sums, moved).sum(axis=1), moved.sum(axis=1)
        inside, share = total - total[:, None], (length - length[:, None]) / (depth * sums.shape[1])
        with np.errstate(divide="ignore", invalid="ignore"):
            difference = inside / (share * depth * sums.shape[1]) - sums[-1].mean() / depth
            value = np.where((share > 0) & (share < 1) & (difference > 0), difference**2 * share / (1 - share), 0.0)
        low, high = np.unravel_index(int(value.argmax()), value.shape)
        if value[low, high] > best[0]:
            best = value[low, high], np.array([[heights[low], *tilt], [heights[high], *tilt]])
    return best[1]


def _refined(sums: Array, monomials: Array, terms: Array, *, parallel: bool) -> Array:
    """The terms that are best near these; with `parallel` the faces differ in the first one alone."""

    def both(flat: Array) -> Array:
        return np.stack([np.r_[flat[0], flat[2:]], flat[1:]]) if parallel else flat.reshape(terms.shape)

    def loss(flat: Array) -> float:
        return -_between(sums, both(flat) @ monomials)

    first = np.r_[terms[:, 0], terms[0, 1:]] if parallel else terms.ravel()
    return both(minimize(loss, first, method="Powell").x)


def _steps(sums: Array, faces: Array, beside: float) -> tuple[float, float]:
    """How much the mean profile is higher inside of the lower and of the upper face, over `beside` voxels each."""

    def mean(low: Array, high: Array) -> float:
        low, high = (np.clip(at, 0, len(sums) - 1) for at in (low, high))
        return float((_at(sums, high) - _at(sums, low)).sum() / max((high - low).sum(), 1e-9))

    low, high = faces
    inner = np.minimum(beside, (high - low) / 2)
    return (
        mean(low, low + inner) - mean(low - beside, low),
        mean(high - inner, high) - mean(high, high + beside),
    )


def _least_absolute(monomials: Array, values: Array) -> Array:
    """Coefficients with the least sum of absolute residuals (iteratively reweighted least squares)."""
    weights: NDArray[Any] = np.ones_like(values)
    terms: NDArray[Any] = np.zeros(len(monomials))
    for _ in range(30):
        terms = np.linalg.lstsq((monomials * weights).T, values * weights, rcond=None)[0]
        weights = 1.0 / np.sqrt(np.maximum(np.abs(values - terms @ monomials), 0.1))
    return terms
