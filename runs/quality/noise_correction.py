"""Measures how far scores should follow the noise of a tomogram (`PickingPlan.noise_correction`): F4 by the power.

    python -m runs.quality.noise_correction simulate OUT DATA      # DATA holds maps_10A/
    python -m runs.quality.noise_correction measure OUT MODEL      # MODEL: default, default-soup or a checkpoint
    python -m runs.quality.noise_correction parts OUT MODEL PROJECT

Sixteen tomograms of 96 x 320 x 320 voxels differ in their noise: 8 to 160 electrons per Å², 1000 to 2600 Å of ice,
tilts to 36 to 64 degrees, up to 10 % of the ice filled by other proteins, up to four membranes, half or twice the
particles. They chose the default power. `measure` prints F4 of all sixteen together with the model's thresholds, with
all species and without some. A species is taken away with its true particles and the picks that hit them.

`parts` cuts the tomograms of a project into columns, as if each were a tomogram, and prints F4 of all columns
together and the number of picks: without correction, with one that does not know the volumes, and with that of
tomosoup.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np

import tomosoup
from runs.quality.detection_limits.levels import Level, recipe
from runs.shared.candidates import DENOISED, candidates, with_noise_correction
from runs.shared.command import run_step
from tomosoup.core.runtime import keep_freed_memory
from tomosoup.core.thresholds import apply_thresholds
from tomosoup.core.types import Array, Picks, PicksBySpecies, Species
from tomosoup.data.project import open_project
from tomosoup.data.tomogram import Tomogram, select_tomogram
from tomosoup.data.truth import read_truth
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.inference.readout.noise_scaling import noise_corrected
from tomosoup.inference.readout.template_check import has_neighbour
from tomosoup.models.checkpoint import load
from tomosoup.scoring.matching import MATCH_RADII
from tomosoup.scoring.score import score
from tomosoup.scoring.signal_levels import SignalLevels
from tomosoup.scoring.thresholds import best_thresholds
from tomosoup.simulation.options.recipe import CONCENTRATION

RUNS, SEED = 16, 4711
POWERS = (0.0, 1.5, 2.0, 2.5, 3.0)
GONE = (0, 1, 2, 3, 4)
"""How many of the five species that count are taken away."""
COLUMNS = (1, 2, 3, 4, 6, 8)
"""Into how many a tomogram is cut along y and along x."""


def simulate(out: Path, data: Path) -> None:
    """Simulate the project."""
    usual = recipe(Level("dose", 80, 45), data)
    microscope = {"dose": (8.0, 160.0), "tilt_limit": (36.0, 64.0), "defocus": (2.0, 4.0)}
    sample = {
        "thickness": (1000.0, 2600.0), "crowding": (0.0, 0.1), "membranes": (0.0, 4.0), "gold": (0.0, 3.0),
        "background_proteins": (20_000.0, 60_000.0),
    }  # fmt: skip
    mixed = usual.model_copy(
        update={
            "microscope": usual.microscope.model_copy(update=microscope),
            "sample": usual.sample.model_copy(update=sample),
            "layout": usual.layout.model_copy(update={"variation": dict.fromkeys(CONCENTRATION, 0.5)}),
            "reconstruction": usual.reconstruction.model_copy(
                update={"tomo_types": ("denoised",), "stretch": (0.95, 1.1)}
            ),
        }
    )
    tomosoup.simulate(out / "noise", mixed, runs=RUNS, seed=SEED)


def without(
    gone: tuple[str, ...], picks: PicksBySpecies, truth: PicksBySpecies, species: tuple[Species, ...]
) -> tuple[PicksBySpecies, PicksBySpecies]:
    """Picks and truth without some species."""
    left, true = dict(picks), dict(truth)
    for kind in species:
        if kind.name in gone:
            hits = has_neighbour(picks[kind.name], truth[kind.name], within=MATCH_RADII * kind.radius)
            left[kind.name], true[kind.name] = picks[kind.name].where(~hits), Picks.of([])
    return left, true


def measure(out: Path, model: str) -> None:
    """Print the table."""
    checkpoint, project = load(model), open_project(out / "noise")
    picks = candidates(out / "picks" / Path(model).stem, project, checkpoint)
    truth = {run: read_truth(project, run) for run in picks}
    best = best_thresholds([(picks[run], truth[run]) for run in picks], project.species)[1].weighted
    print(f"| species taken away | {' | '.join(f'power {power:g}' for power in POWERS)} |")
    print("| ---: |" + " ---: |" * len(POWERS))
    counting = [kind.name for kind in project.species if kind.weight]
    for number in GONE:
        random = np.random.default_rng(number)
        pairs = {
            run: without(tuple(random.permutation(counting)[:number]), picks[run], truth[run], project.species)
            for run in picks
        }
        row = []
        for power in POWERS:
            left = with_noise_correction(
                {run: found for run, (found, _) in pairs.items()}, project, checkpoint, power=power
            )
            kept = {run: apply_thresholds(found, checkpoint.thresholds) for run, found in left.items()}
            row.append(score(kept, {run: true for run, (_, true) in pairs.items()}, project.species).weighted)
        print(f"| {number} | {' | '.join(f'{value:.3f}' for value in row)} |")
    print(f"\n{best:.3f} with the best thresholds that all sixteen can share, without noise correction")


def columns(tomogram: Tomogram, side: int) -> Iterator[tuple[Array, Array]]:
    """The boxes of `side` x `side` columns of a tomogram: from where, and below where (z, y, x in Å)."""
    size = np.array(tomogram.shape) * tomogram.voxel_size / (1, side, side)
    for y, x in product(range(side), repeat=2):
        yield size * (0, y, x), size * (1, y + 1, x + 1)


def inside(picks: PicksBySpecies, low: Array, high: Array) -> dict[str, Picks]:
    """The picks in a box."""
    return {name: some.where(((some.zyx >= low) & (some.zyx < high)).all(axis=1)) for name, some in picks.items()}


def parts(out: Path, model: str, path: Path) -> None:
    """Print a row for each number of columns."""
    checkpoint, project, power = load(model), open_project(path), PickingPlan().noise_correction
    picks = candidates(out / "picks" / Path(model).stem / path.name, project, checkpoint)
    truth = {run: read_truth(project, run) for run in picks}
    ways = {
        "without correction": SignalLevels(),
        "volumes not known": replace(checkpoint.signal_levels, volume=None),
        "volumes known": checkpoint.signal_levels,
    }
    print(f"| part of the volume | {' | '.join(ways)} |")
    print("| ---: |" + " ---: |" * len(ways))
    for side in COLUMNS:
        boxes = [(run, box) for run in picks for box in columns(select_tomogram(project, run, DENOISED), side)]
        true = {str(name): inside(truth[run], *box) for name, (run, box) in enumerate(boxes)}
        row = []
        for reference in ways.values():
            kept = {}
            for name, (run, box) in enumerate(boxes):
                volume = np.prod(box[1] - box[0]) * 1e-12
                found = noise_corrected(inside(picks[run], *box), reference, volume=volume, power=power)
                kept[str(name)] = apply_thresholds(found, checkpoint.thresholds)
            number = sum(len(some) for found in kept.values() for some in found.values())
            row.append(f"{score(kept, true, project.species).weighted:.3f} ({number})")
        print(f"| {1 / side**2:.3g} | {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    keep_freed_memory()
    run_step({"simulate": simulate, "measure": measure, "parts": parts}, description=__doc__)
