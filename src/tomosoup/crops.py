"""Annotated tomograms -> training crops with their targets, the same ones for the same seed, epoch and index."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor
from torch.utils.data import Dataset

from tomosoup.augmentation import augment
from tomosoup.errors import InputError
from tomosoup.io.project import VOXEL_SIZE_TOLERANCE, Project, chosen_runs, read_truth, select_tomogram
from tomosoup.normalisation import standardise
from tomosoup.recipes.data import DataRecipe
from tomosoup.recipes.training import TrainingRecipe
from tomosoup.targets import gaussian_targets
from tomosoup.types import PicksBySpecies, Progress, Species, Volume, quiet
from tomosoup.windows import Region, cut, window_starts


@dataclass(frozen=True)
class Example:
    """An annotated tomogram: its name, its normalised `(z, y, x)` volume, its true picks."""

    run: str
    volume: Volume
    truth: PicksBySpecies


def read_examples(
    project: Project, data: DataRecipe, *, truth: str | None = None, progress: Progress = quiet
) -> list[Example]:
    """The annotated, normalised tomograms of the chosen runs, in memory.

    Raises `InputError` where voxel sizes differ between runs or a truth holds species that the project does not list.
    """
    names = {s.name for s in project.species}
    runs = chosen_runs(project, data)
    examples: list[Example] = []
    for i, run in enumerate(runs):
        progress("Reading tomograms", i, len(runs))
        tomogram = select_tomogram(project, run, data)
        picks = read_truth(project, run, truth)
        if strangers := sorted(set(picks) - names):
            raise InputError(
                f"Run {run}: its picks hold the species {', '.join(strangers)}, which {project.path} does not list "
                f"({', '.join(sorted(names))}): add them to the project or leave them out."
            )
        if examples and abs(tomogram.voxel_size / examples[0].volume.voxel_size - 1) > VOXEL_SIZE_TOLERANCE:
            raise InputError(
                f"Run {run} has voxels of {tomogram.voxel_size:g} Å and run {examples[0].run} of "
                f"{examples[0].volume.voxel_size:g} Å: train on one size (--voxel-spacing, --runs)."
            )
        try:
            examples.append(Example(run, standardise(tomogram.read()), picks))
        except InputError as error:
            raise InputError(f"Run {run}: {error}") from error
    progress("Reading tomograms", len(runs), len(runs))
    return examples


def half_overlapping(shape: Sequence[int], window: Sequence[int]) -> list[Region]:
    """Windows at half-window steps over a volume of `shape` (z, y, x); those past its end are moved back inside."""
    starts = [
        sorted({max(0, min(start, n - w)) for start in window_starts(n, w, max(1, w // 2))})
        for n, w in zip(shape, window, strict=True)
    ]
    return [
        (slice(z, z + window[0]), slice(y, y + window[1]), slice(x, x + window[2]))
        for z in starts[0]
        for y in starts[1]
        for x in starts[2]
    ]


class Crops(Dataset[tuple[Tensor, Tensor]]):
    """Crops `(1, z, y, x)` and targets `(c, z, y, x)`: an epoch is the half-overlapping grid of every example.

    Each crop is shifted at random by up to a quarter of its size, then augmented. Set `epoch` before drawing one.
    """

    def __init__(self, examples: Sequence[Example], species: Sequence[Species], recipe: TrainingRecipe) -> None:
        self.species, self.recipe = species, recipe
        self.places = [(e, r) for e in examples for r in half_overlapping(e.volume.shape, recipe.windows.shape)]
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        example, region = self.places[index]
        random = generator(self.recipe.seed, self.epoch, index)
        region = shifted(region, example.volume.shape, random=random)
        target = gaussian_targets(
            example.truth, self.species, crop(example.volume, region, empty=True), sigma=self.recipe.sigma
        )
        window = cut(example.volume.data, region)
        window, heatmap = augment(window, target.data, self.recipe.augmentation, random=random)
        return window[None], heatmap


def crop(volume: Volume, region: Region, *, empty: bool = False) -> Volume:
    """The part of `volume` inside `region` (zeros outside the volume), at its place; `empty` leaves the voxels out."""
    data = torch.empty([r.stop - r.start for r in region]) if empty else cut(volume.data, region)
    z, y, x = volume.to_angstrom([r.start for r in region])
    return Volume(data, volume.voxel_size, (z, y, x))


def shifted(region: Region, shape: Sequence[int], *, random: Generator) -> Region:
    """The region moved by up to a quarter of its size along each axis, but not out of a volume of `shape`."""
    moved = []
    for r, n in zip(region, shape, strict=True):
        size = r.stop - r.start
        by = int(torch.randint(-(size // 4), size // 4 + 1, (), generator=random))
        start = max(0, min(r.start + by, n - size))
        moved.append(slice(start, start + size))
    return moved[0], moved[1], moved[2]


def generator(*numbers: int) -> Generator:
    """A random generator of its own for every sequence of numbers (seed, epoch, index, ...)."""
    digest = hashlib.blake2b(np.array(numbers, dtype=np.int64).tobytes(), digest_size=7).digest()
    return Generator().manual_seed(int.from_bytes(digest, "little"))
