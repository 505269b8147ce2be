"""Real and simulated xy planes, on one scale of grey values, with the particles near them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.core.types import Picks
from tomosoup.data.formats.csv_tables import read_csv
from tomosoup.data.options import DataOptions
from tomosoup.data.project import open_project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.data.truth import read_truth

SPECIES = tuple(species.name for species in CONTEST_SPECIES)
RADII = np.array([species.radius for species in CONTEST_SPECIES]) / 10
"""Voxels of 10 Å."""
REAL_VOXEL = 10.012
"""Å a voxel of the contest's tomograms."""
SLOW = 40.0
"""Standard deviation (voxels) of the Gaussian whose slow changes are taken away."""
NEAR = 1.2
"""A particle is near a plane within so many radii of it."""
EDGE = 4
"""Planes this close to a tomogram's faces are left out."""
Array = np.ndarray


@dataclass(frozen=True)
class Plane:
    """One xy plane."""

    name: str
    grey: Array
    """`(y, x)`, standardised."""
    valid: Array
    """`(y, x)`, False where a label covered the voxels."""
    particles: Array
    """`(n, 4)`: x and y in voxels, index of the species, distance from the plane in voxels."""

    def of(self, species: int, *, within: float, beyond: float = 0.0) -> Array:
        """`(n, 2)` x and y of a species' particles whose distance from the plane is between so many radii."""
        away = self.particles[:, 3] / RADII[species]
        mine = (self.particles[:, 2] == species) & (away >= beyond) & (away < within)
        return self.particles[mine, :2]


def standardised(plane: Array) -> Array:
    """A plane without its slow changes, in robust standard deviations: (value - median) / (1.4826 MAD)."""
    plane = np.asarray(plane, np.float32)
    plane = plane - ndimage.gaussian_filter(plane, SLOW)
    plane = plane - np.median(plane)
    scaled: Array = plane / (1.4826 * np.median(np.abs(plane)))
    return scaled


def near(picks: dict[str, Picks], z: float, *, voxel: float) -> Array:
    """The particles `(n, 4)` near plane z; positions are Å over `voxel`."""
    rows = []
    for i, name in enumerate(SPECIES):
        zyx = picks[name].zyx / voxel
        rows.append(np.column_stack([zyx[:, 2], zyx[:, 1], np.full(len(zyx), i), np.abs(zyx[:, 0] - z)]))
    table = np.concatenate(rows)
    found: Array = table[table[:, 3] < NEAR * RADII[table[:, 2].astype(int)]]
    return found


def real_planes(data: Path) -> list[Plane]:
    """The full-resolution planes of `data`, with the annotated particles of their runs."""
    picks = read_csv(data / "czii_train_picks.csv")
    return [_real_plane(file, picks) for file in sorted((data / "real_slices_full").glob("TS_*_z???.npy"))]


def _real_plane(file: Path, picks: dict[str, dict[str, Picks]]) -> Plane:
    named = re.match(r"(TS_\d+_\d+)_z(\d+)", file.stem)
    assert named is not None, file
    grey, mask = np.load(file).astype(np.float32), file.with_name(f"{file.stem}_valid.npy")
    valid = np.load(mask).astype(bool) if mask.exists() else np.ones(grey.shape, bool)
    grey[~valid] = np.median(grey[valid])
    particles = near(picks[named[1]], int(named[2]), voxel=REAL_VOXEL)
    y, x = np.clip(np.rint(particles[:, 1::-1]).astype(int), 0, np.array(grey.shape) - 1).T
    return Plane(file.stem, standardised(grey), valid, particles[valid[y, x]])


def simulated_planes(project: Path, *, every: int, tomo_type: str = "denoised") -> Iterator[Plane]:
    """Every so many planes of each of a project's tomograms."""
    opened = open_project(project)
    for run in opened.runs:
        volume = select_tomogram(opened, run, DataOptions(tomo_type=tomo_type)).read()
        truth = {n: Picks.of(volume.to_voxel(p.zyx)) for n, p in read_truth(opened, run).items()}
        for z in range(EDGE, len(volume.data) - EDGE, every):
            grey = standardised(volume.data[z].numpy())
            yield Plane(f"{run}_z{z:03}", grey, np.ones(grey.shape, bool), near(truth, z, voxel=1.0))
