"""Draws what is in the ice of simulated tomograms, and one tomogram in several voxel sizes.

    python -m runs.figures.specimens ice docs/simulation/specimen.jpg
    python -m runs.figures.specimens volumes docs/data/volumes.jpg

Everything is simulated here; nothing is read.
"""

from pathlib import Path

import numpy as np

from runs.figures.slices import grey, panels, plane, save
from runs.shared.command import run_step
from tomosoup.core.types import Volume
from tomosoup.data.volumes.resampling import resampled
from tomosoup.simulation.options.recipe import SimulationRecipe
from tomosoup.simulation.simulate import Scene, simulate_run

CONTEST = SimulationRecipe.read("contest")
SHAPE, SEED = (56, 176, 176), 5
CLEAN = {
    "thickness": (450, 450),
    "specks": (0, 0),
    "film": (0, 0),
    "aggregates": (0, 0),
    "fragments": (0, 0),
    "filaments": (0, 0),
    "contamination": (0, 0),
    "membranes": (0, 0),
    "carbon": (0, 0),
    "gold": (0, 0),
}
"""Thin ice with nothing in it but the labelled particles."""
SIDE, PLACE = 64, (540.0, 860.0)
"""Voxels of a crop's side, and its centre in y and x (Å)."""
CENTRE, SURFACE = 28, 8
"""Slices half-way and near a surface of this ice."""
IN_THE_ICE = {
    "labelled particles alone": ({}, CENTRE),
    "specks": ({"specks": (160_000, 160_000)}, CENTRE),
    "aggregates": ({"aggregates": (5000, 5000)}, CENTRE),
    "filaments": ({"filaments": (8000, 8000)}, CENTRE),
    "membranes": ({"membranes": (3, 3)}, CENTRE),
    "gold": ({"gold": (4, 4)}, CENTRE),
    "film, near a surface": ({"film": (1.5, 1.5)}, SURFACE),
    "contamination, near a surface": ({"contamination": (3, 3)}, SURFACE),
    "carbon, near a surface": ({"carbon": (0.3, 0.3)}, SURFACE),
}
"""Options of the sample beside `CLEAN`, and the slice."""


def simulated(sample: dict[str, object], **changes: object) -> Scene:
    """A small run of the recipe `contest`, many particles in it, with this sample."""
    many = {name: 3 * number for name, number in CONTEST.concentration.items()}
    options = CONTEST.sample.model_copy(update=sample)
    recipe = CONTEST.model_copy(update={"shape": SHAPE, "concentration": many, "sample": options, **changes})
    return simulate_run(recipe, seed=SEED)


def ice(file: Path) -> None:
    """A slice for each thing that may be in the ice, beside the labelled particles."""
    figure, axes = panels(3, 3, height=10.6)
    for axis, (title, (sample, z)) in zip(axes.flat, IN_THE_ICE.items(), strict=True):
        grey(axis, plane(simulated(CLEAN | sample).volume, z), title, limits=(-4, 3))
    save(figure, file)


def volumes(file: Path) -> None:
    """As many voxels of one tomogram in three voxel sizes, and with bright particles."""
    fine = simulated(CLEAN, voxel_size=5.0, shape=(112, 352, 352)).volume
    figure, axes = panels(1, 4, height=3)
    for axis, size in zip(axes[0], (5.0, 10.0, 20.0), strict=False):
        volume = fine if size == fine.voxel_size else resampled(fine, size)
        grey(axis, crop(volume), f"{size:g} Å", limits=(-4, 3))
    grey(axes[0, 3], -crop(resampled(fine, 10.0)), "10 Å, bright particles", limits=(-3, 4))
    save(figure, file)


def crop(volume: Volume) -> np.ndarray:
    """A square of `SIDE` voxels about `PLACE`, from the slice half-way."""
    whole = plane(volume, volume.shape[0] // 2)
    y, x = (
        int(np.clip(round(at / volume.voxel_size) - SIDE // 2, 0, n - SIDE))
        for at, n in zip(PLACE, whole.shape, strict=True)
    )
    return whole[y : y + SIDE, x : x + SIDE]


if __name__ == "__main__":
    run_step({"ice": ice, "volumes": volumes}, description=__doc__)
