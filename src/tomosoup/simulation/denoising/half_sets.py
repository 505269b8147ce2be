"""Pairs of half-set tomograms, and crops of them to train on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tomosoup.core.errors import InputError
from tomosoup.data.options import DataOptions
from tomosoup.data.project import Project, open_project
from tomosoup.data.tomogram import Tomogram, chosen_runs, select_tomogram
from tomosoup.data.volumes.normalisation import standardised
from tomosoup.data.volumes.voxel_size import same_voxel_size

Pair = tuple[Tomogram, Tomogram]
"""Two tomograms `(z, y, x)` of a run, each from half of its images or electrons."""
REGION, REGIONS = 160, 8
"""Side in voxels of the regions that crops are cut from, and how many of them are in memory."""
UPDATES_A_REGION = 16
"""After so many updates the oldest region is replaced."""
GLIMPSE = 16
"""Voxels along each axis by which `glimpse` tells tomograms apart."""
HELD_OUT = 8
"""Crops that are not trained on."""


def half_sets(
    project: Project | str | Path,
    types: tuple[str, str],
    data: DataOptions = DataOptions(),  # noqa: B008 - immutable
) -> list[Pair]:
    """The runs' tomograms of these two types, unread.

    Raises `InputError` where a run lacks one, and where they differ in shape or voxel size.
    """
    project = open_project(project)
    pairs = []
    for run in chosen_runs(project, data):
        one, other = (select_tomogram(project, run, data.model_copy(update={"tomo_type": name})) for name in types)
        if one.shape != other.shape:
            raise InputError(
                f"Run {run}: the half-set tomograms have {one.shape} and {other.shape} voxels; expected the same."
            )
        pairs.append((one, other))
    for tomogram in (t for pair in pairs for t in pair):
        if not same_voxel_size(tomogram.voxel_size, pairs[0][0].voxel_size):
            raise InputError(
                f"Run {tomogram.run}: {tomogram.tomo_type} has voxels of {tomogram.voxel_size:g} Å, and that of run "
                f"{pairs[0][0].run} {pairs[0][0].voxel_size:g} Å; expected one size: choose runs with `runs`."
            )
    return pairs


def glimpse(tomogram: Tomogram) -> float:
    """The mean of the middle of a tomogram, which tells it from others of its name and size."""
    z, y, x = (slice(n // 2, n // 2 + GLIMPSE) for n in tomogram.shape)
    return float(tomogram.read((z, y, x)).data.double().mean())


@dataclass(frozen=True)
class HalfSetCrops:
    """Crops of half-set tomograms, standardised: each half of a tomogram by its own mean and standard deviation.

    With `targets`, the second tomogram of each pair is what the net is to make of the first. It is scaled once more, by
    their correlation, as the first is it and noise.

    The last crop along y of every tomogram is held out: training crops stop before it. What an update gets depends on
    its number and the seed only.
    """

    pairs: Sequence[Pair]
    crop: int
    """Voxels along each axis."""
    seed: int = 0
    targets: bool = False
    _regions: dict[int, Tensor] = field(default_factory=dict, repr=False)
    _scales: dict[tuple[int, int], tuple[float, float]] = field(default_factory=dict, repr=False)
    _correlations: dict[int, float] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for one, _ in self.pairs:
            z, y, x = one.shape
            if min(z, y // 2, x) < self.crop:
                raise InputError(
                    f"Run {one.run} has {one.shape} voxels (z, y, x); crops of {self.crop} voxels need {self.crop} "
                    f"along z and x and {2 * self.crop} along y: choose a smaller `crop`."
                )

    def batch(self, update: int, size: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets `(size, 1, n, n, n)`: either half may be the input, unless there are `targets`.

        Crops are flipped along each axis at random. That leaves the missing wedge of a tilt axis along y in place;
        quarter turns would not.
        """
        random = np.random.default_rng([self.seed, 0, update])
        turn = update // UPDATES_A_REGION
        for old in self._regions.keys() - set(range(turn, turn + REGIONS)):
            del self._regions[old]
        crops = []
        for number in random.integers(turn, turn + REGIONS, size=size).tolist():
            if number not in self._regions:
                self._regions[number] = self._region(number)
            crops.append(self._crop(self._regions[number], random))
        both = torch.stack(crops, dim=1).unsqueeze(2)
        return both[0], both[1]

    @cached_property
    def held_out(self) -> Tensor:
        """Both halves of crops that are not trained on: `(2, HELD_OUT, 1, n, n, n)`."""
        random, crops = np.random.default_rng([self.seed, 2]), []
        for number in range(HELD_OUT):
            pair = number % len(self.pairs)
            z, y, x = self.pairs[pair][0].shape
            up, across = random.integers((z - self.crop + 1, x - self.crop + 1)).tolist()
            crops.append(self._read(pair, (up, y - self.crop, across), (self.crop,) * 3))
        return torch.stack(crops, dim=1).unsqueeze(2)

    def _region(self, number: int) -> Tensor:
        """Both halves of a region `(2, z, y, x)` of any tomogram."""
        random = np.random.default_rng([self.seed, 1, number])
        pair = int(random.integers(len(self.pairs)))
        z, y, x = self.pairs[pair][0].shape
        room = z, y - self.crop, x
        size = [min(max(REGION, self.crop), n) for n in room]
        return self._read(pair, random.integers(np.subtract(room, size) + 1).tolist(), size)

    def _crop(self, region: Tensor, random: np.random.Generator) -> Tensor:
        """Both tomograms of a crop `(2, n, n, n)` of a region, flipped at random; halves are swapped, too."""
        z, y, x = (int(random.integers(n - self.crop + 1)) for n in region.shape[1:])
        part = region[:, z : z + self.crop, y : y + self.crop, x : x + self.crop]
        return part.flip([axis for axis in range(4) if random.random() < 0.5 and not (axis == 0 and self.targets)])

    def _read(self, pair: int, start: Sequence[int], size: Sequence[int]) -> Tensor:
        both = self._standardised(pair, start, size)
        if self.targets:
            both[1] *= self._correlation(pair)
        return both

    def _standardised(self, pair: int, start: Sequence[int], size: Sequence[int]) -> Tensor:
        """A box of both tomograms, in the scale of the whole ones."""
        z, y, x = (slice(a, a + n) for a, n in zip(start, size, strict=True))
        halves = []
        for half, tomogram in enumerate(self.pairs[pair]):
            if (pair, half) not in self._scales:
                # A copy, as a tomogram keeps the slices that it was last asked for.
                ready = standardised(replace(tomogram, _rows={}))
                self._scales[pair, half] = ready.mean, ready.deviation
            mean, deviation = self._scales[pair, half]
            halves.append((tomogram.read((z, y, x)).data - mean) / deviation)
        return torch.stack(halves)

    def _correlation(self, pair: int) -> float:
        """That of the two tomograms of a pair, in the middle of them."""
        if pair not in self._correlations:
            shape = self.pairs[pair][0].shape
            size = [min(REGION, n) for n in shape]
            both = self._standardised(pair, [(n - m) // 2 for n, m in zip(shape, size, strict=True)], size)
            self._correlations[pair] = float(torch.corrcoef(both.flatten(1))[0, 1])
        return self._correlations[pair]
