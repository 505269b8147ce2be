"""What the checks read of each run: a sample of its voxels, and sub-volumes at some of its picks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import prod

import numpy as np

from tomosoup.core.types import Array, PicksBySpecies, Species, within
from tomosoup.data.options import DataOptions
from tomosoup.data.project import Project
from tomosoup.data.tomogram import Tomogram, select_tomogram
from tomosoup.review.check.subtomogram_average import Boxes, cut_boxes

BLOCK = (32, 96, 96)
"""Voxels (z, y, x) of each of 27 blocks, spread from face to face, whose grey values are sampled."""
WHOLE = 2**27
"""Largest tomogram, in voxels, that is read at once where there are picks; larger ones are read box by box."""
ENOUGH = 240
"""Picks of a species, of all runs together, that are enough for an average."""


@dataclass(frozen=True)
class GreyValues:
    """Statistics of a sample of a tomogram's grey values."""

    mean: float
    standard_deviation: float
    skewness: float
    bad: float
    """Fraction that is NaN or infinite; the other numbers are of the rest."""
    lowest: float
    highest: float
    at_ends: float
    """Fraction that is exactly the lowest or the highest value, whichever is larger."""

    @property
    def usable(self) -> bool:
        """Whether all values are numbers and not all the same."""
        return self.bad == 0 and self.standard_deviation > 0


@dataclass(frozen=True)
class Survey:
    """A run with what was read of it."""

    run: str
    tomogram: Tomogram
    grey: GreyValues
    picks: PicksBySpecies = field(default_factory=dict)
    boxes: Mapping[str, Boxes] = field(default_factory=dict)
    """By species, at some of the picks."""

    def positions_vox(self, species: str) -> Array:
        """A species' picks `(n, 3)` as fractional voxel indices."""
        zyx_vox: Array = (self.picks[species].zyx - np.array(self.tomogram.origin)) / self.tomogram.voxel_size
        return zyx_vox


def survey(
    project: Project, run: str, data: DataOptions, picks: PicksBySpecies, species: Sequence[Species], *, most: int
) -> Survey:
    """Read what the checks need of a run, with boxes at `most` picks a species or fewer.

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
    for one in species:
        if one.name not in picks or not len(picks[one.name]):
            continue
        zyx_vox = found.positions_vox(one.name)
        inside = zyx_vox[within(zyx_vox, tomogram.shape)]
        if len(inside):
            some = random.permutation(len(inside))[:most]
            boxes = cut_boxes(
                tomogram.read,
                tomogram.shape,
                inside[some],
                radius=one.radius,
                voxel_size=tomogram.voxel_size,
                scale=(grey.mean, grey.standard_deviation),
            )
            found = Survey(run, tomogram, grey, picks, {**found.boxes, one.name: boxes})
    return found


def grey_values(tomogram: Tomogram) -> GreyValues:
    """Statistics of 27 blocks, or of the whole tomogram where it is smaller."""
    starts = [
        sorted({round(part * (n - min(n, size))) for part in (0, 0.5, 1)})
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
    mean, spread = float(good.mean(dtype=np.float64)), float(good.std(dtype=np.float64))
    lowest, highest = float(good.min()), float(good.max())
    third = float((((good - mean) / spread) ** 3).mean(dtype=np.float64)) if spread else 0.0
    at_ends = max(float((good == end).mean()) for end in (lowest, highest))
    return GreyValues(mean, spread, third, bad, lowest, highest, at_ends)
