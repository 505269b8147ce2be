"""Annotated tomograms -> training crops with their targets, the same ones for the same seed, epoch and index."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Generator, Tensor
from torch.utils.data import Dataset

from tomosoup.augmentation import augment
from tomosoup.errors import InputError
from tomosoup.io.project import Project
from tomosoup.io.selection import VOXEL_SIZE_TOLERANCE, read_truths, select_tomogram
from tomosoup.normalisation import standardise
from tomosoup.recipes.data import AnnotatedData, Normalisation
from tomosoup.recipes.training import TrainingRecipe
from tomosoup.targets import gaussian_targets
from tomosoup.types import PicksBySpecies, Progress, Species, Volume, quiet
from tomosoup.windows import Region, cut, window_starts


@dataclass(frozen=True)
class Example:
    """An annotated tomogram: its name, its `(z, y, x)` volume, its true picks."""

    run: str
    volume: Volume
    truth: PicksBySpecies


def read_examples(project: Project, data: AnnotatedData, *, progress: Progress = quiet) -> list[Example]:
    """The annotated tomograms of the chosen runs, in memory, as they are on disk.

    Raises `InputError` where no run or a named run has no truth, where voxel sizes differ between runs or a truth holds
    species that the project does not list.
    """
    names = {s.name for s in project.species}
    truths = read_truths(project, data)
    examples: list[Example] = []
    for i, (run, picks) in enumerate(truths.items()):
        progress("Reading tomograms", i, len(truths))
        tomogram = select_tomogram(project, run, data)
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
        examples.append(Example(run, tomogram.read(), picks))
    progress("Reading tomograms", len(truths), len(truths))
    return examples


def normalised(examples: Sequence[Example], normalisation: Normalisation) -> list[Example]:
    """The examples with their volumes standardised. Raises `InputError`, naming the run, for volumes that cannot be."""
    standard = []
    for example in examples:
        try:
            volume = standardise(example.volume, mean=normalisation.mean, deviation=normalisation.deviation)
        except InputError as error:
            raise InputError(f"Run {example.run}: {error}") from error
        standard.append(replace(example, volume=volume))
    return standard


def data_set_normalisation(examples: Sequence[Example]) -> Normalisation:
    """Mean and deviation of all voxels of all examples together."""
    moments = [(e.volume.data.mean(dtype=torch.float64), e.volume.data.double().square().mean()) for e in examples]
    sizes = torch.tensor([e.volume.data.numel() for e in examples], dtype=torch.float64)
    mean, square = ((sizes * torch.stack(m)).sum() / sizes.sum() for m in zip(*moments, strict=True))
    deviation = float((square - mean**2).clamp(min=0).sqrt())
    return Normalisation(mean=float(mean), deviation=deviation if deviation > 0 else None)


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

    Each crop is shifted at random by up to a quarter of its size, then augmented. Set `epoch` before drawing one. The
    examples' volumes are normalised already.
    """

    def __init__(self, examples: Sequence[Example], species: Sequence[Species], recipe: TrainingRecipe) -> None:
        self.species, self.recipe = species, recipe
        self.places = [(e, r) for e in examples for r in half_overlapping(e.volume.shape, recipe.windows.shape)]
        self.per_epoch = min(len(self.places), recipe.crops_per_epoch or len(self.places))
        """How many of them an epoch draws."""
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        example, region = self.places[index]
        random = generator(self.recipe.seed, self.epoch, index)
        region = shifted(region, example.volume.shape, random=random)
        target = gaussian_targets(
            example.truth,
            self.species,
            crop(example.volume, region, empty=True),
            sigma=self.recipe.sigmas(self.species),
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
