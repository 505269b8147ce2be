"""The simulated runs that all peers train on, set their thresholds by, and are tested on.

OUT/data/train        TRAINING runs to train on, and a last one that is held out: it sets the thresholds
OUT/data/contest      two runs like the contest's denoised tomograms
OUT/data/hard         two runs with half the electrons in thicker ice, crowded, and with membranes

All are copick projects of 96 x 320 x 320 voxels of 10 Å with some 130 particles of the contest's six species each, and
beside each project lie the same tomograms and true picks in plain form (`exchange`), for peers that read no copick.
"""

import json
from pathlib import Path

import numpy as np

import tomosoup
from benchmarks.peers import exchange
from runs.shared.command import print_progress
from runs.shared.density_maps import MAP_SCALE, density_maps
from tomosoup.data.options import DataOptions
from tomosoup.data.project import Project, open_project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.data.truth import read_truth
from tomosoup.simulation.options.recipe import CONCENTRATION, SimulationRecipe
from tomosoup.simulation.specimen.particles import structure_maps

TRAINING, TEST = 5, 2
"""Runs to train on, and to test on in either set."""


def recipes(maps: Path, *, side: int) -> dict[str, SimulationRecipe]:
    """By set, what its runs are made of, `side` voxels wide; `maps` is a folder of 10 Å density maps."""
    contest = SimulationRecipe.read("contest").model_copy(
        update={
            "maps": density_maps(maps),
            "map_scale": MAP_SCALE,
            "shape": (96, side, side),
            "concentration": {name: 0.6 * n for name, n in CONCENTRATION.items()},
        }
    )
    hard = {
        "sample": contest.sample.model_copy(
            update={
                "thickness": (2000, 2600),
                "background_proteins": (40_000, 60_000),
                "crowding": (0.05, 0.1),
                "membranes": (2, 4),
            }
        ),
        "microscope": contest.microscope.model_copy(update={"dose": (35, 55)}),
    }
    return {"train": contest, "contest": contest, "hard": contest.model_copy(update=hard)}


def simulate(out: Path, maps: Path, *, quick: bool) -> None:
    """Make the three projects, their plain copies and the templates, or resume.

    `quick` ones only try the programs: two small runs to train on, and one to test on.
    """
    made = recipes(maps, side=160 if quick else 320)
    training, test = (2, 1) if quick else (TRAINING, TEST)
    for seed, (name, recipe) in enumerate(made.items(), start=700):
        folder = out / "data" / name
        if not folder.exists():
            runs = training + 1 if name == "train" else test
            tomosoup.simulate(folder, recipe, runs=runs, seed=seed, progress=print_progress)
        copy(open_project(folder), folder / "plain")
    (out / "data" / "templates").mkdir(exist_ok=True)
    for name, density in structure_maps([*made["contest"].concentrations], made["contest"]).items():
        np.save(out / "data" / "templates" / f"{name}.npy", density.numpy())


def copy(project: Project, folder: Path) -> None:
    """The project's tomograms and picks in plain form."""
    folder.mkdir(exist_ok=True)
    truth = []
    for run in project.runs:
        volume = select_tomogram(project, run, DataOptions()).read()
        np.save(folder / f"{run}.npy", volume.data.numpy())
        for name, picks in read_truth(project, run).items():
            truth += [exchange.Pick(run, name, *(float(v) for v in zyx[::-1]), 1.0) for zyx in picks.zyx]
    exchange.write_picks(folder / "truth.csv", truth)
    species = {s.name: {"radius": s.radius, "weight": s.weight} for s in project.species}
    (folder / "species.json").write_text(json.dumps(species, indent=1))
