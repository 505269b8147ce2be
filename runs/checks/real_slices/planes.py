"""Real and simulated xy planes, on one scale of grey values, with the particles near them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from tomosoup.core.errors import InputError
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.core.types import Picks, Volume
from tomosoup.data.formats.tables.picks_csv import read_csv
from tomosoup.data.options import DataOptions
from tomosoup.data.project import Project, open_project
from tomosoup.data.tomogram import chosen_runs, select_tomogram
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
LEAST = 128, 256
"""Planes of a simulated tomogram, and voxels along their sides, that the measures need."""
PICKS = "czii_train_picks.csv"
DATA = f"the folder that holds real_slices_full, real_slices, real_slices_kinds and {PICKS}"
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

    @property
    def tomogram(self) -> str:
        """The name without the plane's number."""
        return self.name.rsplit("_z", 1)[0]

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
    rows = [np.empty((0, 4))]
    for i, name in enumerate(SPECIES):
        if name in picks:
            zyx = picks[name].zyx / voxel
            rows.append(np.column_stack([zyx[:, 2], zyx[:, 1], np.full(len(zyx), i), np.abs(zyx[:, 0] - z)]))
    table = np.concatenate(rows)
    found: Array = table[table[:, 3] < NEAR * RADII[table[:, 2].astype(int)]]
    return found


def files_in(folder: Path, pattern: str) -> list[Path]:
    """The real data's files of these names. Raises `InputError` where there are none."""
    found = sorted(folder.glob(pattern))
    if not found:
        raise InputError(f"Expected files {pattern} in {folder}, found none: give as DATA {DATA}.")
    return found


def real_planes(data: Path) -> list[Plane]:
    """The full-resolution planes of `data`, with the annotated particles of their runs.

    Raises `InputError` where planes or particles are missing.
    """
    files = files_in(data / "real_slices_full", "TS_*_z???.npy")
    if not (data / PICKS).is_file():
        raise InputError(f"Expected the true particles {data / PICKS}, found no such file: give as DATA {DATA}.")
    picks = read_csv(data / PICKS)
    return [_real_plane(file, picks) for file in files]


def _real_plane(file: Path, picks: dict[str, dict[str, Picks]]) -> Plane:
    run, z = file.stem.rsplit("_z", 1)
    if run not in picks:
        raise InputError(f"Expected true particles of {run}, the tomogram of {file}, found none in {PICKS}: add them.")
    grey, mask = np.load(file).astype(np.float32), file.with_name(f"{file.stem}_valid.npy")
    valid = np.load(mask).astype(bool) if mask.exists() else np.ones(grey.shape, bool)
    grey[~valid] = np.median(grey[valid])
    particles = near(picks[run], int(z), voxel=REAL_VOXEL)
    y, x = np.clip(np.rint(particles[:, 1::-1]).astype(int), 0, np.array(grey.shape) - 1).T
    return Plane(file.stem, standardised(grey), valid, particles[valid[y, x]])


def simulated_planes(project: Path, *, every: int) -> Iterator[Plane]:
    """Every so many planes of each of a project's tomograms."""
    for run, opened in runs_of(project):
        volume = read_type(opened, run, "denoised")
        truth = {n: Picks.of(volume.to_voxel(p.zyx)) for n, p in read_truth(opened, run).items()}
        for z in range(EDGE, len(volume.data) - EDGE, every):
            grey = standardised(volume.data[z].numpy())
            yield Plane(f"{run}_z{z:03}", grey, np.ones(grey.shape, bool), near(truth, z, voxel=1.0))


def runs_of(project: Path) -> list[tuple[str, Project]]:
    """Each run of a project. Raises `InputError` where there are none."""
    opened = open_project(project)
    return [(run, opened) for run in chosen_runs(opened, DataOptions())]


def read_type(project: Project, run: str, tomo_type: str) -> Volume:
    """A run's tomogram of a type. Raises `InputError` where the run has none, or one that is too small."""
    there = sorted({listing.tomo_type for listing in project.listings(run)})
    if tomo_type not in there:
        raise InputError(
            f"Run {run} of {project.path} has no tomogram of type {tomo_type} (it has {', '.join(there) or 'none'}): "
            f"simulate a project with `--reconstruction.tomo-types {' '.join([*there, tomo_type])}`."
        )
    volume = select_tomogram(project, run, DataOptions(tomo_type=tomo_type)).read()
    if volume.shape[0] < LEAST[0] or min(volume.shape[1:]) < LEAST[1]:
        raise InputError(
            f"Run {run} of {project.path} is {' x '.join(map(str, volume.shape))} voxels; expected at least {LEAST[0]} "
            f"planes of {LEAST[1]} x {LEAST[1]}: simulate full-size tomograms."
        )
    return volume
