"""What the checks look at: one tomogram after the other, a sample of its voxels, the boxes about some of its picks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import prod

import numpy as np
from numpy.typing import NDArray

from tomosoup.core.types import Array, PicksBySpecies, Species
from tomosoup.data.options import DataOptions
from tomosoup.data.project import Project
from tomosoup.data.tomogram import Tomogram, select_tomogram
from tomosoup.review.check.subtomogram_average import Boxes, cut_boxes

BLOCK = (32, 96, 96)
"""Voxels (z, y, x) of each of the 27 blocks, spread from face to face, that stand for a tomogram's grey values."""
WHOLE = 2**27
"""Voxels of a tomogram that is read at once where there are picks: larger ones are read box by box."""
ENOUGH = 240
"""Picks of a species, of all runs together, that an average is made of."""


@dataclass(frozen=True)
class GreyValues:
    """A sample of a tomogram's grey values in numbers."""

    mean: float
    deviation: float
    skewness: float
    bad: float
    """Share that is NaN or infinite; the other numbers are of the rest."""
    lowest: float
    highest: float
    at_ends: float
    """Share that is exactly the lowest or the highest value, whichever is more."""

    @property
    def usable(self) -> bool:
        """Whether there is anything to see."""
        return self.bad == 0 and self.deviation > 0


@dataclass(frozen=True)
class Survey:
    """A run with what was read of it."""

    run: str
    tomogram: Tomogram
    grey: GreyValues
    picks: PicksBySpecies = field(default_factory=dict)
    boxes: Mapping[str, Boxes] = field(default_factory=dict)
    """By species, about some of the picks."""

    def places(self, species: str) -> Array:
        """A species' picks `(n, 3)` as fractional voxel indices."""
        places: Array = (self.picks[species].zyx - np.array(self.tomogram.origin)) / self.tomogram.voxel_size
        return places


def survey(
    project: Project, run: str, data: DataOptions, picks: PicksBySpecies, species: Sequence[Species], *, most: int
) -> Survey:
    """Read what the checks need of a run: boxes about at most `most` picks a species.

    Raises `InputError` where there is no such tomogram or it cannot be read.
    """
    tomogram = select_tomogram(project, run, data)
    if picks and prod(tomogram.shape) <= WHOLE:
        tomogram = tomogram.in_memory()
    grey = grey_values(tomogram)
    found = Survey(run, tomogram, grey, picks)
    if not grey.usable:
        return found
    random = np.random.default_rng(0)
    for kind in species:
        if kind.name not in picks or not len(picks[kind.name]):
            continue
        places = found.places(kind.name)
        inside = places[within(places, tomogram.shape)]
        if len(inside):
            some = random.permutation(len(inside))[:most]
            boxes = cut_boxes(
                tomogram.read,
                tomogram.shape,
                inside[some],
                radius=kind.radius,
                voxel_size=tomogram.voxel_size,
                scale=(grey.mean, grey.deviation),
            )
            found = Survey(run, tomogram, grey, picks, {**found.boxes, kind.name: boxes})
    return found


def within(places: Array, shape: Sequence[int]) -> NDArray[np.bool_]:
    """Which of the places `(n, 3)`, in voxels, lie inside a volume of `shape`, its outermost voxels whole."""
    inside: NDArray[np.bool_] = np.all((places >= -0.5) & (places <= np.array(shape) - 0.5), axis=1)
    return inside


def grey_values(tomogram: Tomogram) -> GreyValues:
    """The numbers of 27 blocks (of the whole, where it is smaller)."""
    starts = [
        sorted({round(share * (n - min(n, size))) for share in (0, 0.5, 1)})
        for n, size in zip(tomogram.shape, BLOCK, strict=True)
    ]
    blocks = []
    for z, y, x in product(*starts):
        region = slice(z, z + BLOCK[0]), slice(y, y + BLOCK[1]), slice(x, x + BLOCK[2])
        blocks.append(tomogram.read(region).data.flatten().numpy())
    values = np.concatenate(blocks)
    good = values[np.isfinite(values)]
    bad = 1 - len(good) / len(values)
    if not len(good):
        return GreyValues(0.0, 0.0, 0.0, bad, 0.0, 0.0, 0.0)
    mean, deviation = float(good.mean(dtype=np.float64)), float(good.std(dtype=np.float64))
    lowest, highest = float(good.min()), float(good.max())
    third = float((((good - mean) / deviation) ** 3).mean(dtype=np.float64)) if deviation else 0.0
    at_ends = max(float((good == end).mean()) for end in (lowest, highest))
    return GreyValues(mean, deviation, third, bad, lowest, highest, at_ends)
