"""Makes tomograms with a simulator that is not ours, to test models on. Nothing is trained or tuned on them.

    python -m runs.others install OUT           # acryo, in an environment of its own
    python -m runs.others simulate OUT MAPS     # OUT/acryo, a copick project with the true picks
    tomosoup pick OUT/acryo -o picks.csv
    tomosoup score picks.csv OUT/acryo

MAPS is the folder of density maps of `benchmarks.peers`. acryo (H. Liu; PyPI) makes all of it: projections at 37 tilts,
contrast transfer, white noise, Wiener filter and direct Fourier inversion. Only the positions are ours: balls that do
not overlap, six tenths of the recipe `simulated`'s concentrations. beta-amylase has its built-in shape.
"""

import json
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

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

ACRYO = "acryo==0.9.1"
PROGRAM = Path(__file__).with_name("acryo_program.py")
CROWDING = 0.6
"""Of the recipe's concentrations, as in `benchmarks.peers`."""
ACQUISITION = {"tilt_limit": 54, "tilt_step": 3, "defocus": (2.5, 4.5), "snr": (0.05, 0.2), "wiener": 0.5}
"""Degrees, µm underfocus, variance of the signal over that of the noise in an image, constant of the Wiener filter."""


def install(out: Path) -> None:
    """Install acryo."""
    environment.install(out / "venvs" / "acryo", [ACRYO])


def simulate(
    out: Path, maps: Path, *, runs: int = 4, seed: int = 0, shape: tuple[int, int, int] = (95, 319, 319)
) -> None:
    """Simulate the project. Sides are odd, as acryo's projections and reconstructions then have the same centre."""
    python = environment.python_of(out / "venvs" / "acryo")
    if not python.exists():
        raise InputError(f"There is no acryo at {python}: run `python -m runs.others install {out}` first.")
    recipe = SimulationRecipe().model_copy(update={"maps": density_maps(maps), "map_scale": MAP_SCALE})
    volume = float(np.prod(shape)) * recipe.voxel_size**3 * 1e-12
    components = [(s.name, round(CROWDING * CONCENTRATION[s.name] * volume), s.radius) for s in CONTEST_SPECIES]
    spec = ACQUISITION | {"shape": shape, "voxel_size": recipe.voxel_size, "components": components, "runs": runs}
    names = [s.name for s in CONTEST_SPECIES]
    with TemporaryDirectory() as folder:
        files = {name: f"{folder}/{name}.npy" for name in names}
        for name, density in structure_maps(names, recipe).items():
            np.save(files[name], density.numpy())
        spec_file = Path(folder) / "spec.json"
        spec_file.write_text(json.dumps(spec | {"seed": seed, "maps": files, "labelled": names}))
        subprocess.run([python, PROGRAM, spec_file, folder], check=True)
        _write(out / "acryo", Path(folder), runs, recipe.voxel_size, settings=spec | {"simulator": ACRYO, "seed": seed})


def _write(project: Path, folder: Path, runs: int, voxel_size: float, *, settings: dict[str, object]) -> None:
    """The copick project of what the program left in the folder."""
    with new_project(project, CONTEST_SPECIES, settings=settings) as made:
        for run in (f"run_{number:03d}" for number in range(runs)):
            data = torch.from_numpy(np.load(folder / f"{run}.npy"))
            rows = json.loads((folder / f"{run}.json").read_text())
            truth = {s.name: Picks.of([zyx for name, *zyx in rows if name == s.name]) for s in CONTEST_SPECIES}
            tomogram = Volume(data, voxel_size, (voxel_size / 2,) * 3)
            made.add_run(run, SimulatedRun({"ctfdeconvolved": tomogram}, truth))


if __name__ == "__main__":
    run_step({"install": install, "simulate": simulate}, description=__doc__)
