"""What planes look like: profiles of particles, spectra, grey values, dark specks, and how tomogram types agree."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage, stats

from runs.checks.real_slices.planes import RADII, SPECIES, Array, Plane

REACH = 17
"""Profiles have the radii 0 to 16 voxels."""
MIDDLE = 2.5
"""A profile is of particles whose centre is within so many planes."""
BANDS = 12
SECTOR_BANDS = 0.1, 0.35
"""Cycles per voxel between which power is counted by direction."""
QUANTILES = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
SPECK, SPECK_SIZE = -3.5, 4
"""A speck is darker than this in at least so many voxels that touch, after a Gaussian of 1 voxel."""
SPECK_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def profiles(planes: Sequence[Plane], *, between: tuple[float, float] = (0.0, MIDDLE)) -> dict[str, Array]:
    """By species: `(n, 17)` mean grey at each radius of particles whose centre is between so many planes away."""
    found: dict[str, list[Array]] = {name: [] for name in SPECIES}
    y, x = np.mgrid[-REACH : REACH + 1, -REACH : REACH + 1]
    radius = np.rint(np.hypot(y, x)).astype(int)
    for plane in planes:
        grey, far = plane.grey, REACH + 1
        for at_x, at_y, species, away in plane.particles:
            cy, cx = round(at_y), round(at_x)
            inside = REACH <= cy < len(grey) - REACH and REACH <= cx < len(grey[0]) - REACH
            if inside and between[0] <= away <= between[1]:
                box = slice(cy - REACH, cy + far), slice(cx - REACH, cx + far)
                seen = np.where(plane.valid[box], radius, far)  # a label may cover some of the voxels
                found[SPECIES[int(species)]].append(ndimage.mean(grey[box], seen, np.arange(REACH)))
    return {name: np.array(rows).reshape(-1, REACH) for name, rows in found.items()}


def power(plane: Array) -> tuple[Array, Array, Array]:
    """Power, frequency (cycles per voxel) and angle from the second axis of a z-scored plane under a Hann window."""
    window = np.outer(*(np.hanning(n) for n in plane.shape))
    spectrum = np.abs(np.fft.fft2((plane - plane.mean()) / plane.std() * window)) ** 2 / (window**2).sum()
    along, across = (np.abs(np.fft.fftfreq(n)) for n in plane.shape)
    return spectrum, np.hypot(along[:, None], across), np.degrees(np.arctan2(along[:, None], across[None]))


def bands(plane: Array) -> Array:
    """Mean power `(12,)` in equal bands from 0 to 0.5 cycles per voxel."""
    spectrum, frequency, _ = power(plane)
    return np.asarray(ndimage.mean(spectrum, (frequency / 0.5 * BANDS).astype(int), np.arange(BANDS)))


def sectors(plane: Array) -> Array:
    """Mean power `(6,)` of the middle frequencies in steps of 15 degrees from the second axis."""
    spectrum, frequency, angle = power(plane)
    ring = (frequency > SECTOR_BANDS[0]) & (frequency < SECTOR_BANDS[1])
    step = np.minimum((angle / 15).astype(int), 5)
    return np.asarray(ndimage.mean(spectrum[ring], step[ring], np.arange(6)))


def greys(planes: Sequence[Plane]) -> Array:
    """Quantiles of the grey values and then their skew, the mean over planes `(10,)`."""
    rows = [
        [*np.quantile(p.grey[p.valid], QUANTILES), stats.skew(p.grey[p.valid])]
        for p in planes
    ]  # fmt: skip
    return np.mean(rows, axis=0)


@dataclass(frozen=True)
class Specks:
    """Dark specks away from every particle; quantiles are `SPECK_QUANTILES`."""

    number: float
    """In 100 x 100 voxels."""
    by_plane: Array
    """Quantiles of that number over planes."""
    sizes: Array
    """Quantiles of their size in voxels."""
    greys: Array
    """Quantiles of their darkest grey value, after the Gaussian."""


def specks(planes: Sequence[Plane]) -> Specks:
    """The dark specks of all planes."""
    found = [_specks(plane) for plane in planes]
    numbers, areas = np.array([len(f[0]) for f in found]), np.array([f[1] for f in found])
    sizes, values = np.concatenate([f[0] for f in found]).reshape(-1, 2).T
    spread = [
        np.quantile(v, SPECK_QUANTILES) if len(v) else np.full(len(SPECK_QUANTILES), np.nan)
        for v in (1e4 * numbers / areas, sizes, values)
    ]
    return Specks(1e4 * numbers.sum() / areas.sum(), *spread)


def _specks(plane: Plane) -> tuple[Array, int]:
    """Size and darkest value of each speck `(n, 2)`, and the voxels that are away from every particle."""
    free = plane.valid.copy()
    y, x = np.indices(free.shape)
    for at_x, at_y, species, _ in plane.particles:
        free &= np.hypot(y - at_y, x - at_x) > RADII[int(species)] + 3
    smooth, rows = ndimage.gaussian_filter(plane.grey, 1), []
    label, _ = ndimage.label(smooth < SPECK)
    for i, box in enumerate(ndimage.find_objects(label), start=1):
        mine = label[box] == i
        if mine.sum() >= SPECK_SIZE and free[box][mine].all():
            rows.append((mine.sum(), smooth[box][mine].min()))
    return np.array(rows).reshape(-1, 2), int(free.sum())


def type_correlations(types: dict[str, Array]) -> dict[tuple[str, str], float]:
    """Correlation of one plane in each two tomogram types."""
    names = list(types)
    table = np.corrcoef([types[name].ravel() for name in names])
    return {(a, b): float(table[i, j]) for i, a in enumerate(names) for j, b in enumerate(names) if i < j}
