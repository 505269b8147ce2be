"""Template matching on the CPU with PyTME (`pytme match`, `pytme postprocess`); nothing is trained.

The templates are the very maps that the particles were simulated with, so no user's will be as good. Tomogram and maps
are binned by two, to voxels of 20 Å, which makes a search eight times faster; rotations are ANGLE degrees apart; the
mask is a soft ball of the particle's radius; the missing wedge is 45 degrees either side; the score is PyTME's default
(fast local correlation with a spherical mask). Peaks are as far apart as a particle's radius. Beta-amylase, whose
weight in the score is nothing, is not looked for.
"""

import csv
import subprocess
import sys
from functools import partial
from pathlib import Path

import mrcfile
import numpy as np
from scipy import ndimage

from benchmarks.peers import exchange
from benchmarks.peers.exchange import Job, Pick, Picker, Set, Trained

ANGLE, BIN = 30, 2
SIZE = BIN * exchange.VOXEL
"""Å."""


def binned(volume: np.ndarray) -> np.ndarray:
    """Means of cubes of `BIN` voxels; what is left over at the end is dropped."""
    z, y, x = (n // BIN for n in volume.shape)
    cut = volume[: z * BIN, : y * BIN, : x * BIN]
    means: np.ndarray = cut.reshape(z, BIN, y, BIN, x, BIN).mean((1, 3, 5)).astype(np.float32)
    return means


def save(path: Path, volume: np.ndarray) -> None:
    """An MRC file."""
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(np.ascontiguousarray(volume, dtype=np.float32))
        file.voxel_size = SIZE


def train(job: Job) -> Trained:
    """Write the templates and their masks; nothing is trained."""
    some = job.training
    for name in some.names:
        density = np.load(job.data / "templates" / f"{name}.npy")
        side = 2 * BIN * round((2 * some.radii[name] / exchange.VOXEL + 8) / 2 / BIN)
        box = np.zeros((side, side, side), dtype=np.float32)
        here, there = [], []
        for n in density.shape:  # centre on centre, cut or padded
            first = n // 2 - side // 2
            here.append(slice(max(0, first), min(n, first + side)))
            there.append(slice(max(0, -first), max(0, -first) + here[-1].stop - here[-1].start))
        box[tuple(there)] = density[tuple(here)]
        save(job.folder / f"{name}.mrc", binned(box))
        mask = np.zeros((side // BIN,) * 3, dtype=np.float32)
        middle = (side / 2 - (BIN - 1) / 2) / BIN
        around, inside = exchange.ball(mask.shape, at=(middle,) * 3, radius=some.radii[name] / SIZE + 1)
        mask[around][inside] = 1
        save(job.folder / f"{name}-mask.mrc", ndimage.gaussian_filter(mask, 0.7))
    return {"train_s": 0.0, "updates": 0.0, "epochs": 0}


def load(job: Job) -> Picker:
    """Nothing is to load."""
    return partial(pick, job.folder)


def pytme(*words: object) -> None:
    """A command of PyTME's."""
    program = Path(sys.executable).with_name("pytme")
    subprocess.run([str(program), *map(str, words)], check=True, stdout=subprocess.DEVNULL)


def pick(folder: Path, some: Set, run: str) -> list[Pick]:
    """Match the template of each species, and call the peaks."""
    target, found = folder / "target.mrc", folder / "match.pickle"
    save(target, binned(some.tomogram(run)))
    picks = []
    for name in [name for name in some.names if some.weights[name]]:
        pytme(
            *("match", "-m", target, "-i", folder / f"{name}.mrc", "-I", folder / f"{name}-mask.mrc", "-o", found),
            *("-a", ANGLE, "--tilt-angles", "45,45", "--wedge-axes", "2,0", "-n", 1, "--invert-target-contrast"),
        )
        prefix = folder / "peaks"
        pytme(
            *("postprocess", "--input-file", found, "--output-prefix", prefix, "--output-format", "orientations"),
            *("--min-distance", round(some.radii[name] / SIZE), "--no-stats"),
        )
        with prefix.with_suffix(".tsv").open(newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        at = np.array([[float(row[axis]) for axis in "zyx"] for row in rows]).reshape(-1, 3)
        # the map's centre stands a quarter of a binned voxel before its box's, which PyTME tells
        picks += some.picks(run, name, at * BIN, np.array([float(row["score"]) for row in rows]))
    return picks


if __name__ == "__main__":
    exchange.drive(train, load)
