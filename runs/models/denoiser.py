"""Makes the networks of `tomosoup denoise`: simulates what they learn from, and trains them. No data is real.

    python -m runs.models.denoiser simulate OUT [--jobs N]
    python -m runs.models.denoiser train OUT         # writes OUT/denoiser.safetensors
    python -m runs.models.denoiser train-wedge OUT   # then this; writes OUT/wedge.safetensors
    python -m runs.models.denoiser spectrum PROJECT  # writes a spectrum into both bundled networks

All tomograms have 184 x 320 x 320 voxels: three runs of the recipe `contest` and three of `any-microscope`. The first
network learns from half-sets of the types wbp and ctfdeconvolved (noise2noise). The second starts from the weights of
the first, and gets ctfdeconvolved. Its targets are the same samples as tilts to 78 degrees and very many electrons show
them, without radiation damage. (At higher tilts a sample is too thick for weak phases.) Every step can be stopped and
started again.

The spectrum is the mean over PROJECT's tomograms of the type ctfdeconvolved. The bundled one is of

    tomosoup simulate PROJECT --recipe contest --runs 4 --seed 906 --reconstruction.tomo-types ctfdeconvolved
"""

from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np

import tomosoup
from runs.shared.command import print_progress, run_step
from tomosoup.core.runtime import keep_freed_memory, one_thread
from tomosoup.data.options import DataOptions
from tomosoup.data.project import open_project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.simulation.denoising.half_sets import Pair, half_sets
from tomosoup.simulation.denoising.noise2noise import train_denoiser
from tomosoup.simulation.denoising.options import Noise2NoiseOptions
from tomosoup.simulation.denoising.weights import SHIPPED, Denoiser, Network, read_denoiser, shipped_denoiser
from tomosoup.simulation.options.recipe import SimulationRecipe
from tomosoup.simulation.spectrum import spectrum

RUNS = {"contest": (3, 703), "any-microscope": (3, 702)}
"""By recipe: number of runs, and seed."""
SHAPE = (184, 320, 320)
TYPES = ("ctfdeconvolved", "wbp")
WHOLE = {
    "tilt_limit": (78, 78), "pretilt": (0, 0), "detected": (1, 1), "dose": (1e5, 1e5), "damage": False,
    "mean_free_path": 1e6, "shift_error": 0, "angle_error": 0,
}  # fmt: skip
"""The microscope that shows the whole sample."""


def simulate(out: Path, *, jobs: int = 1) -> None:
    """Simulate the half-sets, and the same samples seen whole."""
    for name, (runs, seed) in RUNS.items():
        simulate_twice(out, name, runs=runs, seed=seed, jobs=jobs)


def simulate_twice(out: Path, name: str, *, runs: int, seed: int, jobs: int = 1) -> None:
    """Simulate runs of a recipe with half-sets (OUT/name), and the same samples seen whole (OUT/name-whole)."""
    recipe = SimulationRecipe.read(name).model_copy(update={"shape": SHAPE})
    seen = recipe.reconstruction.model_copy(update={"tomo_types": TYPES, "half_sets": True})
    whole = recipe.reconstruction.model_copy(
        update={"tomo_types": ("ctfdeconvolved",), "ramp": (1, 1), "sampled_at": None}
    )
    for folder, update in (
        (out / name, {"reconstruction": seen}),
        (out / f"{name}-whole", {"microscope": recipe.microscope.model_copy(update=WHOLE), "reconstruction": whole}),
    ):
        if not folder.exists():
            small = recipe.model_copy(update=update)
            tomosoup.simulate(folder, small, runs=runs, seed=seed, jobs=jobs, progress=print_progress)


def train(out: Path, *, updates: int = 2000) -> None:
    """Train the network that removes noise."""
    pairs = [p for name in RUNS for kind in TYPES for p in half_sets(out / name, (f"{kind}-half1", f"{kind}-half2"))]
    _train(out / "denoiser.safetensors", pairs, updates, words=f"half-sets of {' and '.join(TYPES)}")


def train_wedge(out: Path, *, updates: int = 1200) -> None:
    """Train the network that fills in the missing wedge, from the one that removes noise."""
    pairs = [pair for name in RUNS for pair in with_whole(out, name)]
    start = read_denoiser(str(out / "denoiser.safetensors"))
    _train(out / "wedge.safetensors", pairs, updates, words=f"{TYPES[0]} and the same samples seen whole", start=start)


def write_spectrum(path: Path) -> None:
    """Write the mean spectrum of a project's tomograms into the bundled networks."""
    project, data = open_project(path), DataOptions(tomo_type=TYPES[0])
    found = [spectrum(select_tomogram(project, run, data).read()) for run in project.runs]
    mean = tuple(round(float(value), 4) for value in np.mean(found, axis=0) - np.mean(found))
    for name in get_args(Network):
        replace(shipped_denoiser(name), spectrum=mean).save(SHIPPED / f"{name}.safetensors")


def with_whole(out: Path, name: str) -> list[Pair]:
    """Each tomogram, and the same sample seen whole."""
    seen, whole = open_project(out / name), open_project(out / f"{name}-whole")
    data = DataOptions(tomo_type=TYPES[0])
    return [(select_tomogram(seen, run, data), select_tomogram(whole, run, data)) for run in seen.runs]


def _train(file: Path, pairs: list[Pair], updates: int, *, words: str, start: Denoiser | None = None) -> None:
    """Train on half-sets, or, from a network to start with, on tomograms and what is to become of them."""
    keep_freed_memory()
    options, state = Noise2NoiseOptions(updates=updates), file.with_suffix(".state")
    with one_thread():
        made = train_denoiser(pairs, options, start=start, state=state, targets=start is not None, log=print)
    replace(made, trained_on=f"simulated tomograms, recipes {' and '.join(RUNS)}: {words}").save(file)


if __name__ == "__main__":
    run_step(
        {"simulate": simulate, "train": train, "train-wedge": train_wedge, "spectrum": write_spectrum},
        description=__doc__,
    )
