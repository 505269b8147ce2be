"""The tomograms: annotated ones with new species, and simulated ones of another microscope."""

from pathlib import Path

import mrcfile
import numpy as np

import tomosoup
from tomosoup.simulation.options.recipe import SimulationRecipe
from tomosoup.simulation.specimen.built_in import Ellipsoid, Shape, rendered

EACH = 10
"""Particles of a species in a tomogram."""
TRAINED, SCORED, SEED = 30, 6, 904
LOBES = np.linspace(0, 2 * np.pi, 6, endpoint=False)
NEW = {
    "barrel": Shape(730.0, (Ellipsoid((75, 58, 58), hollow=0.4),), "D2", 3.0),
    "ring": Shape(540.0, tuple(Ellipsoid((34, 26, 26), (0, 52 * np.sin(a), 52 * np.cos(a))) for a in LOBES)),
    "rod": Shape(340.0, (Ellipsoid((24, 24, 60), (0, 0, 55)),), "C2"),
}
SIMULATED = 5
OTHER = {"tilt_limit": (60.0, 60.0), "dose": (120.0, 120.0), "shift_error": 0.0, "angle_error": 0.0}
"""The microscope of the simulated tomograms: better in every way. The annotated ones have `contest`'s."""


def simulate(out: Path) -> None:
    """Simulate both projects, or the one that is missing."""
    out.mkdir(parents=True, exist_ok=True)
    maps = {}
    for number, (name, shape) in enumerate(NEW.items()):
        maps[name] = out / f"{name}.mrc"
        with mrcfile.new(maps[name], overwrite=True) as file:
            file.set_data(rendered(shape, voxel_size=10.0, seed=number).astype(np.float32))
            file.voxel_size = 10.0
    shape = (64, 256, 256)
    per_volume = EACH / (np.prod(shape) * 1e-9)  # µm³
    recipe = SimulationRecipe.read("contest").model_copy(update={
        "shape": shape, "maps": maps, "map_mass": {name: s.mass_kda for name, s in NEW.items()},
        "concentration": dict.fromkeys(("ribosome", *NEW), per_volume), "layout": type(SimulationRecipe().layout)(),
    })  # fmt: skip
    other = recipe.model_copy(update={"microscope": recipe.microscope.model_copy(update=OTHER)})
    for project, runs, seed, settings in (
        (out / "project", TRAINED + 1 + SCORED, SEED, recipe),
        (out / "simulated", SIMULATED + 1, SEED + 1, other),
    ):
        if not project.exists():
            tomosoup.simulate(project, settings, runs=runs, seed=seed)


def parts(runs: tuple[str, ...]) -> tuple[list[str], str, list[str]]:
    """Runs to train on, the one that chooses, those that are scored."""
    return list(runs[:TRAINED]), runs[TRAINED], list(runs[TRAINED + 1 :])
