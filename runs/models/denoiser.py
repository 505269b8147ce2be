"""Makes the denoiser that ships with the package: simulates half-sets and trains on them. No data is real.

    python -m runs.models.denoiser simulate OUT
    python -m runs.models.denoiser train OUT       # writes OUT/denoiser.safetensors

The half-sets are of the tomogram type ctfdeconvolved, 184 x 320 x 320 voxels: four runs of the recipe `contest` and
five of `any-microscope`. Both steps can be stopped and started again.
"""

from pathlib import Path

import tomosoup
from runs.shared.command import print_progress, run_step
from tomosoup.core.runtime import keep_freed_memory, one_thread
from tomosoup.simulation.denoising.half_sets import half_sets
from tomosoup.simulation.denoising.noise2noise import train_denoiser
from tomosoup.simulation.denoising.options import Noise2NoiseOptions
from tomosoup.simulation.options.recipe import SimulationRecipe

RUNS = {"contest": (4, 703), "any-microscope": (5, 702)}
"""By recipe: number of runs, and seed."""
SHAPE = (184, 320, 320)
TYPE = "ctfdeconvolved"


def simulate(out: Path, *, jobs: int = 1) -> None:
    """Simulate the half-sets."""
    for name, (runs, seed) in RUNS.items():
        recipe = SimulationRecipe.read(name)
        options = recipe.reconstruction.model_copy(update={"tomo_types": (TYPE,), "half_sets": True})
        small = recipe.model_copy(update={"shape": SHAPE, "reconstruction": options})
        if not (out / name).exists():
            tomosoup.simulate(out / name, small, runs=runs, seed=seed, jobs=jobs, progress=print_progress)


def train(out: Path, *, updates: int = 1300) -> None:
    """Train the net."""
    keep_freed_memory()
    pairs = [pair for name in RUNS for pair in half_sets(out / name, (f"{TYPE}-half1", f"{TYPE}-half2"))]
    words = f"simulated half-sets of {TYPE}, recipes {' and '.join(RUNS)}"
    with one_thread():
        denoiser = train_denoiser(
            pairs, Noise2NoiseOptions(updates=updates), state=out / "denoiser.state", trained_on=words, log=print
        )
    denoiser.save(out / "denoiser.safetensors")


if __name__ == "__main__":
    run_step({"simulate": simulate, "train": train}, description=__doc__)
