"""Holds a simulated project against real planes with known particles.

    python -m runs.checks.real_slices compare DATA PROJECT        # what they look like, one table
    python -m runs.checks.real_slices separate DATA PROJECT       # can a classifier tell their patches apart?
    python -m runs.checks.real_slices transfer DATA PROJECT OUT   # do nets taught by it find the real particles?
    python -m runs.checks.real_slices ceiling DATA OUT            # ... and nets taught by the other real planes?

DATA holds real_slices_full, real_slices, real_slices_kinds and czii_train_picks.csv. PROJECT is a copick project of
full-size tomograms of the type `denoised`. OUT keeps the trained nets; what is there is not trained again.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

from runs.checks.real_slices.measures import MIDDLE, REACH, bands, greys, profiles, sectors, specks, type_correlations
from runs.checks.real_slices.net2d import heatmaps, train
from runs.checks.real_slices.patches import separability
from runs.checks.real_slices.planes import SPECIES, Array, real_planes, simulated_planes
from runs.checks.real_slices.transfer import Found, find, found_in
from runs.checks.real_slices.volumes import AXES, real_cuts, real_types, simulated_cuts, simulated_types
from runs.shared.command import run_step

SEEDS, UPDATES, EVERY = (0, 1, 2), 700, 12


def row(name: str, values: Iterable[float]) -> None:
    """One line of a table."""
    print(f"{name:<40}" + " ".join(f"{v:7.2f}" if abs(v) < 100 else f"{v:7.0f}" for v in values))


def both(name: str, real: Array, simulated: Array, *, ratio: bool = False) -> None:
    """Real values, simulated ones, and their ratio where it says something."""
    row(f"{name} real", real)
    row(f"{name} simulated", simulated)
    if ratio:
        row(f"{name} ratio", simulated / real)


def compare(data: Path, project: Path) -> None:
    """Print profiles, spectra, grey values, specks and tomogram types of both."""
    real, simulated = real_planes(data), list(simulated_planes(project, every=EVERY))
    row("mean profiles, radius in voxels", range(REACH))
    for label, between in (("", (0.0, MIDDLE)), (" 2.5-5 off", (MIDDLE, 5.0)), (" 5-9 off", (5.0, 9.0))):
        sides = [profiles(planes, between=between) for planes in (real, simulated)]
        for name in SPECIES:
            for side, found in zip(("real", "sim."), sides, strict=True):
                if len(found[name]):
                    row(f"{name[:18]}{label} {side} {len(found[name])}", np.nanmean(found[name], axis=0))
                    if not label:
                        row("  standard deviation", np.nanstd(found[name], axis=0))
    cuts = real_cuts(data), simulated_cuts(project)
    for plane in AXES:
        both(f"{plane} bands", *(np.mean([bands(p) for p in side[plane]], axis=0) for side in cuts), ratio=True)
    both("xz sectors", *(np.mean([sectors(p) for p in side["xz"]], axis=0) for side in cuts), ratio=True)
    both("full xy bands", *(np.mean([bands(p.grey) for p in side], axis=0) for side in (real, simulated)), ratio=True)
    both("grey quantiles, skew", greys(real), greys(simulated))
    both("specks: number, size, grey", specks(real), specks(simulated))
    types = real_types(data), simulated_types(project)
    for side, found in zip(("real", "simulated"), types, strict=True):
        for name, plane in found.items():
            row(f"type {name}, bands {side}", bands(plane))
        for pair, value in type_correlations(found).items():
            row(f"{' - '.join(pair)} {side}", [value])


def separate(data: Path, project: Path) -> None:
    """Print how well a classifier tells real patches from simulated ones."""
    together, alone = separability(real_planes(data), list(simulated_planes(project, every=EVERY)))
    for name, value in together.items():
        row(f"AUC, {name}", [value])
    print("each alone: " + ", ".join(f"{name} {value:.2f}" for name, value in alone.items()))


def transfer(data: Path, project: Path, out: Path, *, seeds: tuple[int, ...] = SEEDS, updates: int = UPDATES) -> None:
    """Train nets on the project's planes, and print what they find in the real ones."""
    torch.set_num_threads(1)
    real, planes = real_planes(data), []
    if any(not (out / f"{seed}.pt").exists() for seed in seeds):
        planes = list(simulated_planes(project, every=1))
    report([find(train(planes, out / f"{seed}.pt", seed=seed, updates=updates), real) for seed in seeds])


def ceiling(data: Path, out: Path, *, seeds: tuple[int, ...] = SEEDS, updates: int = UPDATES) -> None:
    """The same with nets that learn from the other real planes, one plane left out at a time."""
    torch.set_num_threads(1)
    real = real_planes(data)
    found = []
    for seed in seeds:
        results = []
        for left in real:
            others = [plane for plane in real if plane is not left]
            net = train(others, out / f"without-{left.name}-{seed}.pt", seed=seed, updates=updates)
            results.append((heatmaps(net, left), left))
        found.append(found_in(results))
    report(found)


def report(found: Sequence[Found]) -> None:
    """Average precision and best F4 by species, over seeds, and which species true particles are taken for."""
    print(f"{'':40}" + " ".join(f"{name[:7]:>7}" for name in SPECIES) + "    mean")
    row("particles", found[0].particles)
    for label, values in (("average precision", [f.precision for f in found]), ("best F4", [f.f4 for f in found])):
        means = np.array([v[found[0].counted].mean() for v in values])
        row(label, [*np.mean(values, axis=0), means.mean()])
        row("  seeds, mean over the species", means)
    print("particles (rows) by the species of the highest heatmap, mean over seeds:")
    for name, line in zip(SPECIES, np.mean([f.named for f in found], axis=0), strict=True):
        row(f"  {name}", line)


if __name__ == "__main__":
    steps = {"compare": compare, "separate": separate, "transfer": transfer, "ceiling": ceiling}
    run_step(steps, description=__doc__)
