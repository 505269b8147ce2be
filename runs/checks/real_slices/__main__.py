"""Holds a simulated project against real planes with known particles.

    python -m runs.checks.real_slices compare DATA PROJECT        # what they look like, one table
    python -m runs.checks.real_slices picture DATA PROJECT PNG    # both side by side
    python -m runs.checks.real_slices positions DATA PROJECT      # where their particles are
    python -m runs.checks.real_slices separate DATA PROJECT       # can a classifier tell their patches apart?
    python -m runs.checks.real_slices transfer DATA PROJECT OUT   # do nets taught by it find the real particles?
    python -m runs.checks.real_slices ceiling DATA OUT            # ... and nets taught by another real tomogram?
    python -m runs.checks.real_slices models DATA MODEL ...       # ... and finished models, such as the bundled one?

DATA holds real_slices_full, real_slices, real_slices_kinds and czii_train_picks.csv. PROJECT is a copick project of
full-size tomograms of the type `denoised`. OUT keeps the trained nets: one that is there is not trained again, and is
refused if it was trained in another way. PNG holds real voxels: do not publish it.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from runs.checks.real_slices.compare import compare_all
from runs.checks.real_slices.net2d import fingerprint, heatmaps, train
from runs.checks.real_slices.patches import separability
from runs.checks.real_slices.picture import draw_picture
from runs.checks.real_slices.planes import SPECIES, real_planes, simulated_planes
from runs.checks.real_slices.positions import print_positions
from runs.checks.real_slices.table import AREAS, CAPSIDS, NAMED, PRECISION, row, verdict
from runs.checks.real_slices.transfer import Found, find, found_by, found_in
from runs.shared.command import Words, run_step
from tomosoup.models.checkpoint import load

SEEDS, UPDATES, EVERY = (0, 1, 2), 700, 12


def compare(data: Path, project: Path) -> None:
    """Print profiles, spectra, grey values, specks and tomogram types of both, and which goals are met."""
    compare_all(data, project, every=EVERY)


def picture(data: Path, project: Path, png: Path, *, mixed: bool = False, seed: int = 0) -> None:
    """Draw real and simulated planes side by side; mixed, one cannot read which is which, and the key is printed."""
    draw_picture(data, project, png, every=EVERY, mixed=mixed, seed=seed)


def positions(data: Path, project: Path) -> None:
    """Print numbers, neighbours and depths of the particles of both."""
    print_positions(data, project)


def separate(data: Path, project: Path) -> None:
    """Print how well a classifier tells real patches from simulated ones."""
    together, alone = separability(real_planes(data), list(simulated_planes(project, every=EVERY)))
    for name, value in together.items():
        goal = AREAS.get(name)
        row(f"AUC, {name}", [value], verdict(value <= goal, f"at most {goal:.2f}") if goal else "")
    print("each alone: " + ", ".join(f"{name} {value:.2f}" for name, value in alone.items()))


def transfer(data: Path, project: Path, out: Path, *, seeds: tuple[int, ...] = SEEDS, updates: int = UPDATES) -> None:
    """Train nets on the project's planes, and print what they find in the real ones."""
    torch.set_num_threads(1)
    real, planes = real_planes(data), []
    learnt = fingerprint(simulated_planes(project, every=EVERY))
    if any(not (out / f"{seed}.pt").exists() for seed in seeds):
        planes = list(simulated_planes(project, every=1))
    trainings = [{"planes": learnt, "seed": seed, "updates": updates} for seed in seeds]
    found = [find(train(planes, out / f"{t['seed']}.pt", training=t), real) for t in trainings]
    report(found)
    precision, capsids = np.mean([f.mean_precision for f in found]), SPECIES.index(CAPSIDS)
    named, least = np.mean([f.named[capsids, capsids] for f in found]), NAMED * found[0].particles[capsids]
    row("mean average precision", [precision], verdict(bool(precision >= PRECISION), f"at least {PRECISION:.2f}"))
    row(f"{CAPSIDS} named rightly", [named], verdict(bool(named >= least), f"at least {least:g}"))


def ceiling(data: Path, out: Path, *, seeds: tuple[int, ...] = SEEDS, updates: int = UPDATES) -> None:
    """The same with nets that learn from the real planes of all other tomograms.

    Planes of one tomogram may show the same particles, so a whole tomogram is left out at a time.
    """
    torch.set_num_threads(1)
    real, found = real_planes(data), []
    for seed in seeds:
        results = []
        for left in sorted({plane.tomogram for plane in real}):
            others = [plane for plane in real if plane.tomogram != left]
            training = {"planes": fingerprint(others), "seed": seed, "updates": updates}
            net = train(others, out / f"without-{left}-{seed}.pt", training=training)
            results += [(heatmaps(net, plane), plane) for plane in real if plane.tomogram == left]
        found.append(found_in(results))
    report(found)


def models(data: Path, *files: Words) -> None:
    """Print what finished models find in the real planes, each repeated along z as their windows are deep.

    No real tomogram is equal in all its slices, and the models never saw one.
    """
    for file in files or ("default",):
        found = found_by(load(file), data)
        print(file)
        report([found])


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
    steps = (compare, picture, positions, separate, transfer, ceiling, models)
    run_step({step.__name__: step for step in steps}, description=__doc__)
