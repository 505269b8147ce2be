"""Where particles are, in annotated runs and in simulated ones: numbers, neighbours, depths."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from runs.checks.real_slices.planes import PICKS, SPECIES, Array
from tomosoup.data.formats.tables.picks_csv import read_csv
from tomosoup.data.project import open_project
from tomosoup.data.truth import read_truth

VOLUME = 6300.0 * 6300.0 * 1840.0
"""Å³ of a contest tomogram."""


def print_positions(data: Path, project: Path) -> None:
    """A line for the real runs and one for the simulated ones, by species."""
    annotated, opened = read_csv(data / PICKS), open_project(project)
    truths = [read_truth(opened, run) for run in opened.runs]
    print(f"{'':<27}number        nearest min/5%/median  Clark-Evans  z 5/50/95 %")
    for name in SPECIES:
        print(f"{name:<20} real  " + described([run[name].zyx for run in annotated.values()]))
        print(f"{name:<20} sim.  " + described([run[name].zyx for run in truths]))


def described(positions: Sequence[Array]) -> str:
    """Numbers, nearest neighbours of the species and depths, over runs; Clark-Evans is 1 for random positions."""
    near = [cKDTree(p).query(p, 2)[0][:, 1] for p in positions if len(p) > 1]
    expected = [0.55396 * (VOLUME / len(n)) ** (1 / 3) for n in near]
    index = np.mean([n.mean() / e for n, e in zip(near, expected, strict=True)])
    n, d, z = [len(p) for p in positions], np.concatenate(near), np.concatenate([p[:, 0] for p in positions])
    return (
        f"{np.mean(n):5.1f} ({min(n):2d}-{max(n):3d})  {d.min():4.0f} {np.percentile(d, 5):4.0f} {np.median(d):4.0f}  "
        f"{index:.2f}  " + " ".join(f"{v:4.0f}" for v in np.percentile(z, [5, 50, 95]))
    )
