"""Annotated tomograms -> training crops with their targets, the same ones for the same seed, epoch and index."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Generator, Tensor
from torch.utils.data import Dataset

from tomosoup.core.errors import InputError
from tomosoup.core.progress import Progress, no_progress
from tomosoup.core.types import PicksBySpecies, Species, Volume
from tomosoup.data.options import AnnotatedData, Normalisation
from tomosoup.data.project import Project, where_species_are_listed
from tomosoup.data.tomogram import select_tomogram
from tomosoup.data.truth import read_truths
from tomosoup.data.volumes.normalisation import standardise
from tomosoup.data.volumes.resampling import resampled
from tomosoup.data.volumes.voxel_size import same_voxel_size
from tomosoup.inference.tiling.windows import Region, cut, window_regions
from tomosoup.models.window_plan import Border, WindowPlan
from tomosoup.training.options import TrainingRecipe
from tomosoup.training.supervision.augmentation import augment
from tomosoup.training.supervision.targets import gaussian_targets, label_targets


@dataclass(frozen=True)
class Example:
    """An annotated tomogram: its name, its `(z, y, x)` volume, its true picks."""

    run: str
    volume: Volume
    truth: PicksBySpecies


def read_examples(
    project: Project, data: AnnotatedData, *, voxel_size: float | None = None, progress: Progress = no_progress
) -> list[Example]:
    """The annotated tomograms of the chosen runs, in memory, as they are on disk.

    With a `voxel_size` (Å), tomograms with other voxel sizes are resampled to it. Raises `InputError` where no run or a
    named run has no truth, where voxel sizes differ between runs, and where a truth holds species that the project does
    not list.
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
                f"({', '.join(sorted(names))}): add them to {where_species_are_listed(project)}, or leave them out."
            )
        if voxel_size and not same_voxel_size(tomogram.voxel_size, voxel_size):
            volume = resampled(tomogram, voxel_size)
        else:
            volume = tomogram.read()
        if examples and not same_voxel_size(volume.voxel_size, examples[0].volume.voxel_size):
            raise InputError(
                f"Run {run} has voxels of {tomogram.voxel_size:g} Å and run {examples[0].run} of "
                f"{examples[0].volume.voxel_size:g} Å: train on one size (`resample_to`, `voxel_spacing`, `runs`)."
            )
        examples.append(Example(run, volume, picks))
    progress("Reading tomograms", len(truths), len(truths))
    return examples


def normalised(examples: list[Example], normalisation: Normalisation) -> list[Example]:
    """The examples with their volumes standardised. They leave `examples`, so that no volume is in memory twice.

    Raises `InputError`, naming the run, for volumes that cannot be standardised.
    """
    standard = []
    while examples:
        example = examples.pop(0)
        try:
            volume = standardise(example.volume, mean=normalisation.mean, deviation=normalisation.deviation)
        except InputError as error:
            raise InputError(f"Run {example.run}: {error}") from error
        standard.append(replace(example, volume=volume))
    return standard


def data_set_normalisation(examples: Sequence[Example]) -> Normalisation:
    """Mean and standard deviation of all voxels of all examples together."""
    moments = [(e.volume.data.mean(dtype=torch.float64), e.volume.data.double().square().mean()) for e in examples]
    sizes = torch.tensor([e.volume.data.numel() for e in examples], dtype=torch.float64)
    mean, square = ((sizes * torch.stack(m)).sum() / sizes.sum() for m in zip(*moments, strict=True))
    deviation = float((square - mean**2).clamp(min=0).sqrt())
    return Normalisation(mean=float(mean), deviation=deviation if deviation > 0 else None)


def half_overlapping(
    shape: Sequence[int], window: Sequence[int], *, overlap: bool = True, border: Border = "inside"
) -> list[Region]:
    """Windows at half-window steps over a volume of `shape` (z, y, x); without `overlap` the steps are whole windows.

    Those past the volume's end are moved back inside it or, where the `border` is zeros, stay there.
    """
    stride = [max(1, n // 2) if overlap else n for n in window]
    plan = {"shape": tuple(window), "stride": tuple(stride), "border": border}
    return window_regions(shape, WindowPlan.of(plan, source="The crops"))


class Crops(Dataset[tuple[Tensor, Tensor]]):
    """Crops `(1, z, y, x)` and their `target_of`: an epoch is the half-overlapping grid of every example.

    Each crop of the grid is shifted at random by up to a quarter of its size. With `crops_per_tomogram` an epoch is so
    many crops `around` voxels of each class in turn. Crops are augmented. Set `epoch` before drawing one. The examples'
    volumes are normalised already.
    """

    def __init__(self, examples: Sequence[Example], species: Sequence[Species], recipe: TrainingRecipe) -> None:
        self.examples, self.species, self.recipe = examples, species, recipe
        grids = (half_overlapping(e.volume.shape, recipe.crop, border=recipe.crop_border) for e in examples)
        self.grid = [
            (e, region, [r.stop for r in grid[-1]]) for e, grid in zip(examples, grids, strict=True) for region in grid
        ]
        """Example, crop, and where the example's last crop ends."""
        self.balanced = recipe.crops_per_tomogram or 0
        """Crops of each tomogram, where they are balanced."""
        self.per_epoch = len(self) if self.balanced else recipe.crops_per_epoch or len(self)
        """How many of them an epoch draws."""
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.examples) * self.balanced or max(len(self.grid), self.recipe.crops_per_epoch or 0)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        random = generator(self.recipe.seed, self.epoch, index)
        if self.balanced:
            example = self.examples[index // self.balanced]
            number = self.epoch * self.balanced + index % self.balanced
            region = around(example, self.species, self.recipe, number=number, random=random)
        else:
            example, region, end = self.grid[index % len(self.grid)]
            region = shifted(region, end, random=random)
        target = target_of(example, region, self.species, self.recipe)
        window, target = augment(cut(example.volume.data, region), target, self.recipe.augmentation, random=random)
        return window[None], target

    def order(self) -> list[int]:
        """The indices of an epoch's crops in random order; balanced crops of a tomogram stay together."""
        random, size = generator(self.recipe.seed, self.epoch), self.balanced or 1
        first = torch.randperm(len(self) // size, generator=random)
        return (first[:, None] * size + torch.arange(size)).flatten().tolist()


def large_crops(
    examples: Sequence[Example], species: Sequence[Species], recipe: TrainingRecipe, *, multiple: Sequence[int]
) -> Crops:
    """Training crops as large as the windows that the net will pick with, cut down to what all examples hold.

    Their sizes are those of `recipe.windows` or multiples of what the net's strides need.
    """
    held = [min(sizes) for sizes in zip(*(e.volume.shape for e in examples), strict=True)]
    shape = [min(w, max(m, n // m * m)) for w, n, m in zip(recipe.windows.shape, held, multiple, strict=True)]
    return Crops(examples, species, recipe.model_copy(update={"crop_shape": tuple(shape), "crops_per_tomogram": None}))


def target_of(example: Example, region: Region, species: Sequence[Species], recipe: TrainingRecipe) -> Tensor:
    """The target of the recipe's net in a region: heatmaps `(c, z, y, x)`, or labels `(1, z, y, x)`."""
    like = crop(example.volume, region, empty=True)
    if recipe.segments_voxels:
        return label_targets(example.truth, species, like, ball=recipe.ball).data
    return gaussian_targets(example.truth, species, like, sigma=recipe.sigmas(species)).data


TRIES = 100
"""How many random voxels to try for one outside all particles; then any voxel will do."""


def around(
    example: Example, species: Sequence[Species], recipe: TrainingRecipe, *, number: int, random: Generator
) -> Region:
    """The `number`-th crop around a random voxel of a class. Classes take turns: background, then each species present.

    The voxel is the crop's centre, or nearer to an edge where the crop would leave the volume. The 8th place balances
    classes so. Voxels are drawn from the balls around the picks, without a label volume in memory.
    """
    shape = torch.tensor(example.volume.shape)
    balls = {
        s: (example.volume.to_voxel(example.truth[s.name].zyx), recipe.ball * s.radius / example.volume.voxel_size)
        for s in species
        if len(example.truth.get(s.name, ()))
    }
    classes = [None, *balls]
    if chosen := classes[number % len(classes)]:
        centres, radius_vox = balls[chosen]
        centre = torch.from_numpy(centres[int(torch.randint(len(centres), (), generator=random))])
        voxel = centre + radius_vox * in_unit_ball(random)
    else:
        for _ in range(TRIES):
            voxel = torch.rand(3, generator=random, dtype=torch.float64) * shape
            if all(np.min(np.linalg.norm(c - voxel.numpy(), axis=1)) > r for c, r in balls.values()):
                break
    start = [
        max(0, min(round(float(v)) - w // 2, n - w)) for v, w, n in zip(voxel, recipe.crop, shape.tolist(), strict=True)
    ]
    z, y, x = (slice(a, a + w) for a, w in zip(start, recipe.crop, strict=True))
    return z, y, x


def in_unit_ball(random: Generator) -> Tensor:
    """A random point `(3,)` of the unit ball, uniform over its volume."""
    direction = torch.randn(3, generator=random, dtype=torch.float64)
    point: Tensor = direction / direction.norm() * torch.rand((), generator=random, dtype=torch.float64) ** (1 / 3)
    return point


def crop(volume: Volume, region: Region, *, empty: bool = False) -> Volume:
    """The part of `volume` inside `region`, with its origin; zeros outside. With `empty` its voxels have no values."""
    data = torch.empty([r.stop - r.start for r in region]) if empty else cut(volume.data, region)
    z, y, x = volume.to_angstrom([r.start for r in region])
    return Volume(data, volume.voxel_size, (z, y, x))


def shifted(region: Region, shape: Sequence[int], *, random: Generator) -> Region:
    """The region moved by up to a quarter of its size along each axis, but not out of a volume of `shape`.

    A quarter forwards is excluded, as in the 4th place's program: 128 voxels move by -32 to 31.
    """
    moved = []
    for r, n in zip(region, shape, strict=True):
        size = r.stop - r.start
        by = int(torch.randint(-(size // 4), max(1, size // 4), (), generator=random))
        start = max(0, min(r.start + by, n - size))
        moved.append(slice(start, start + size))
    return moved[0], moved[1], moved[2]


def generator(*numbers: int) -> Generator:
    """A random generator for a sequence of numbers (seed, epoch, index, ...): another one for each sequence."""
    digest = hashlib.blake2b(np.array(numbers, dtype=np.int64).tobytes(), digest_size=7).digest()
    return Generator().manual_seed(int.from_bytes(digest, "little"))
