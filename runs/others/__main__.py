"""Makes tomograms with simulators that are not ours, to test models on. Nothing is trained or tuned on them.

    python -m runs.others install OUT               # acryo and cryoJAX, each in an environment of its own
    python -m runs.others simulate OUT MAPS acryo   # OUT/acryo, a copick project with the true picks
    tomosoup pick OUT/acryo -o picks.csv
    tomosoup score picks.csv OUT/acryo

MAPS is the folder of density maps of `benchmarks.peers`. Only the positions are ours: balls that do not overlap, six
tenths of the recipe `simulated`'s concentrations. beta-amylase has its built-in shape.

acryo (H. Liu; PyPI) makes projections at 37 tilts, contrast transfer, white noise, Wiener filter and direct Fourier
inversion. cryojax (M. O'Brien and others; PyPI) makes projections at 37 tilts from the electrostatic potential, with
contrast transfer in the weak phase approximation and the electrons to expect; these are counted at random, and
scikit-image (PyPI) projects them back, weighted, without a correction of the contrast transfer.
"""

import json
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import torch

from runs.shared import environment
from runs.shared.command import run_step
from runs.shared.density_maps import MAP_SCALE, density_maps
from tomosoup.core.errors import InputError
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.core.types import Picks, Volume
from tomosoup.data.new_project import SimulatedRun, new_project
from tomosoup.simulation.options.recipe import CONCENTRATION, SimulationRecipe
from tomosoup.simulation.specimen.particles import structure_maps

PACKAGES = {"acryo": ["acryo==0.9.1"], "cryojax": ["cryojax==0.6.0", "scikit-image==0.26.0"]}
TOMO_TYPES = {"acryo": "ctfdeconvolved", "cryojax": "wbp"}
CROWDING = 0.6
"""Of the recipe's concentrations, as in `benchmarks.peers`."""
ACQUISITION = {"tilt_limit": 54, "tilt_step": 3, "defocus": (2.5, 4.5)}
"""Degrees, and µm underfocus."""
OWN: dict[str, dict[str, object]] = {
    "acryo": {"snr": (0.05, 0.2), "wiener": 0.5},
    "cryojax": {"dose": (60.0, 110.0), "volts": 2.5},
}
"""acryo: variance of the signal over that of the noise in an image; constant of the Wiener filter. cryojax: e/Å² in all
tilts, as in the recipe `contest`; potential of the particles over that of the ice."""


def install(out: Path) -> None:
    """Install both."""
    for name, packages in PACKAGES.items():
        environment.install(out / "venvs" / name, packages)


def simulate(
    out: Path,
    maps: Path,
    simulator: Literal["acryo", "cryojax"],
    *,
    runs: int = 4,
    seed: int = 0,
    shape: tuple[int, int, int] = (95, 319, 319),
) -> None:
    """Simulate the project. Sides are odd, as projections and reconstructions then have the same centre."""
    python = environment.python_of(out / "venvs" / simulator)
    if not python.exists():
        raise InputError(f"There is no {simulator} at {python}: run `python -m runs.others install {out}` first.")
    recipe = SimulationRecipe().model_copy(update={"maps": density_maps(maps), "map_scale": MAP_SCALE})
    volume = float(np.prod(shape)) * recipe.voxel_size**3 * 1e-12
    components = [(s.name, round(CROWDING * CONCENTRATION[s.name] * volume), s.radius) for s in CONTEST_SPECIES]
    spec = (
        ACQUISITION
        | OWN[simulator]
        | {"shape": shape, "voxel_size": recipe.voxel_size, "components": components, "runs": runs}
    )
    names = [s.name for s in CONTEST_SPECIES]
    with TemporaryDirectory() as folder:
        files = {name: f"{folder}/{name}.npy" for name in names}
        for name, density in structure_maps(names, recipe).items():
            np.save(files[name], density.numpy())
        spec_file = Path(folder) / "spec.json"
        spec_file.write_text(json.dumps(spec | {"seed": seed, "maps": files, "labelled": names}))
        program = Path(__file__).with_name(f"{simulator}_program.py")
        subprocess.run([python, program, spec_file, folder], check=True)
        settings = spec | {"simulator": PACKAGES[simulator][0], "seed": seed}
        _write(out / simulator, Path(folder), recipe.voxel_size, TOMO_TYPES[simulator], settings=settings)


def _write(project: Path, folder: Path, voxel_size: float, tomo_type: str, *, settings: dict[str, Any]) -> None:
    """The copick project of what the program left in the folder."""
    with new_project(project, CONTEST_SPECIES, settings=settings) as made:
        for run in (f"run_{number:03d}" for number in range(settings["runs"])):
            data = torch.from_numpy(np.load(folder / f"{run}.npy"))
            rows = json.loads((folder / f"{run}.json").read_text())
            truth = {s.name: Picks.of([zyx for name, *zyx in rows if name == s.name]) for s in CONTEST_SPECIES}
            tomogram = Volume(data, voxel_size, (voxel_size / 2,) * 3)
            made.add_run(run, SimulatedRun({tomo_type: tomogram}, truth))


if __name__ == "__main__":
    run_step({"install": install, "simulate": simulate}, description=__doc__)
