"""What the script and the peers' programs hand each other: plain files, read and written with NumPy alone.

A set is a copick project whose folder `plain` holds its tomograms again, `RUN.npy` `(z, y, x)`, float32, of 10 Å a
voxel, and `truth.csv` and `species.json`. Picks are a CSV of run, species, x, y, z in Å and a score. Positions are
copick's: voxel i spans 10 i to 10 (i + 1) Å.

A driver is a program with the commands `train` and `pick` (`drive`), run by the peer's own Python.
"""

import argparse
import csv
import json
import random
import resource
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

VOXEL = 10.0
"""Å."""
SETS = ("contest", "hard")
"""The sets to test on."""
MOST = 1000
"""Candidates that are kept of a species in a run; some ten to thirty are true."""


class Pick(NamedTuple):
    """A particle: position in Å."""

    run: str
    species: str
    x: float
    y: float
    z: float
    score: float


def write_picks(path: Path, picks: Iterable[Pick]) -> None:
    """One line a pick."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(Pick._fields)
        writer.writerows(picks)


def read_picks(path: Path) -> list[Pick]:
    """What `write_picks` wrote."""
    with path.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    return [Pick(run, species, *(float(n) for n in numbers)) for run, species, *numbers in rows]


class Set:
    """Some runs, their tomograms and truth."""

    def __init__(self, folder: Path) -> None:
        self.config, self.folder = folder / "copick_config.json", folder / "plain"
        species: dict[str, dict[str, float]] = json.loads((self.folder / "species.json").read_text())
        self.radii = {name: facts["radius"] for name, facts in species.items()}
        self.weights = {name: facts["weight"] for name, facts in species.items()}
        self.names = list(species)
        self.runs = sorted(path.stem for path in self.folder.glob("*.npy"))
        self.truth = read_picks(self.folder / "truth.csv")

    def tomogram(self, run: str) -> np.ndarray:
        """`(z, y, x)`, float32."""
        return np.load(self.folder / f"{run}.npy")

    def of(self, run: str) -> list[Pick]:
        """The true particles of a run."""
        return [pick for pick in self.truth if pick.run == run]

    def balls(self, run: str, share: float) -> np.ndarray:
        """`(z, y, x)`, uint8: each particle a ball of `share` of its radius, labelled by its species, from 1."""
        labels = np.zeros(self.tomogram(run).shape, dtype=np.uint8)
        for pick in self.of(run):
            box, inside = ball(labels.shape, at=index_of(pick), radius=share * self.radii[pick.species] / VOXEL)
            labels[box][inside] = 1 + self.names.index(pick.species)
        return labels

    def picks(self, run: str, species: str, zyx_vox: np.ndarray, score: np.ndarray) -> list[Pick]:
        """Picks at voxel indices `(n, 3)`."""
        xyz = (np.reshape(zyx_vox, (-1, 3))[:, ::-1] + 0.5) * VOXEL
        return [Pick(run, species, *at, s) for at, s in zip(xyz.tolist(), np.asarray(score).tolist(), strict=True)]


def cpu() -> float:
    """CPU seconds of this process so far, and of those that it has waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def best(picks: list[Pick], most: int) -> list[Pick]:
    """The picks of one run, at most so many of each species: lower ones are never worth their false ones."""
    kept: list[Pick] = []
    for species in {pick.species for pick in picks}:
        kept += sorted((p for p in picks if p.species == species), key=lambda p: -p.score)[:most]
    return kept


def own_config(some: Set, overlay: Path, **facts: dict[str, object]) -> Path:
    """A copick configuration of a set whose new files go to `overlay`; `facts` are more about each species."""
    config = json.loads(some.config.read_text())
    config["overlay_root"] = f"local://{overlay.resolve()}"
    for species in config["pickable_objects"]:
        species["metadata"] = {**species.get("metadata", {}), **facts.get(species["name"], {})}
    overlay.mkdir(parents=True, exist_ok=True)
    path = overlay / "copick_config.json"
    path.write_text(json.dumps(config, indent=1))
    return path


def index_of(pick: Pick) -> tuple[float, float, float]:
    """Where a pick is, in voxel indices (z, y, x)."""
    return pick.z / VOXEL - 0.5, pick.y / VOXEL - 0.5, pick.x / VOXEL - 0.5


def ball(shape: Sequence[int], *, at: Sequence[float], radius: float) -> tuple[tuple[slice, ...], np.ndarray]:
    """The box about a ball, cut to a volume's shape, and which of its voxels are inside; in voxel indices (z, y, x)."""
    box = tuple(slice(max(0, int(c - radius)), min(n, int(c + radius) + 2)) for c, n in zip(at, shape, strict=True))
    z, y, x = ((np.arange(s.start, s.stop) - c) ** 2 for s, c in zip(box, at, strict=True))
    return box, z[:, None, None] + y[:, None] + x <= radius**2


def mean_within(values: np.ndarray, zyx_vox: np.ndarray, *, radius: float) -> np.ndarray:
    """`(n,)`: the mean of a volume in balls of `radius` voxels about `(n, 3)` voxel indices.

    The score of a pick by a program that labels voxels and scores no picks: the mean probability of its species.
    """
    means = []
    for at in np.reshape(zyx_vox, (-1, 3)):
        box, inside = ball(values.shape, at=at, radius=radius)
        means.append(float(values[box][inside].mean()))
    return np.array(means)


@dataclass(frozen=True)
class Job:
    """What a driver is asked to do."""

    data: Path
    """The folder of all sets."""
    folder: Path
    """Where weights and picks go."""
    seconds: float
    """CPU time to train for."""
    seed: int
    variant: str
    """What differs from the recipe: a word that only this driver knows; empty is nothing."""

    @property
    def training(self) -> Set:
        """The runs to train on, and last the held-out one."""
        return Set(self.data / "train")


Trained = dict[str, float]
"""What a training tells: `train_s` of CPU time, `updates`, and what else there is."""
Picker = Callable[[Set, str], list[Pick]]
"""Candidates in one run of a set, with scores."""


def drive(train: Callable[[Job], Trained], load: Callable[[Job], Picker]) -> None:
    """The program of a driver: `DRIVER train|pick DATA FOLDER SECONDS SEED [VARIANT]`.

    `train` writes `trained.json`; `pick` the picks of the held-out run and of all test runs, and `picked.json`.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("step", choices=["train", "pick"])
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("seconds", type=float)
    parser.add_argument("seed", type=int)
    parser.add_argument("variant", nargs="?", default="")
    asked = vars(parser.parse_args())
    step, job = asked.pop("step"), Job(**asked)
    random.seed(job.seed)
    np.random.seed(job.seed)  # noqa: NPY002 - the peers draw from it
    job.folder.mkdir(parents=True, exist_ok=True)
    told = train(job) if step == "train" else _pick_all(job, load(job))
    (job.folder / f"{step}.json").write_text(json.dumps(told, indent=1))


def _pick_all(job: Job, picker: Picker) -> dict[str, list[float]]:
    held_out = job.training.runs[-1:]
    seconds = []
    for name, some, runs in (
        ("held-out", job.training, held_out),
        *((name, Set(job.data / name), None) for name in SETS),
    ):
        picks = []
        for run in runs or some.runs:
            start = cpu()
            found = picker(some, run)
            seconds.append(cpu() - start)
            picks += best(found, MOST)
            print(name, run, len(picks), f"{seconds[-1]:.1f} s", flush=True)
        write_picks(job.folder / f"{name}.csv", picks)
    return {"pick_s": seconds}
