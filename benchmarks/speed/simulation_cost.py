"""Measures what a simulated run costs: seconds against voxels, tilts and particles, two processes, denoising.

    python -m benchmarks.speed.simulation_cost

Runs of the recipe `contest` in one thread, as the tomogram type wbp, one volume or one number of tilts after the other.
A cost that is linear shows the same seconds per million voxels and tilt on every line of the first two tables.
"""

import tempfile
import time
from pathlib import Path

import torch
import torch.nn.functional as F

import tomosoup
from runs.shared.command import run_script
from tomosoup.core.runtime import keep_freed_memory, one_thread
from tomosoup.simulation.denoising.apply import denoise
from tomosoup.simulation.denoising.net import DenoisingNet
from tomosoup.simulation.microscope.tilt_series import tilt_angles
from tomosoup.simulation.options.microscope import MicroscopeOptions
from tomosoup.simulation.options.recipe import SimulationRecipe
from tomosoup.simulation.options.specimen import SampleOptions
from tomosoup.simulation.simulate import simulate_run

WHOLE = SimulationRecipe.read("contest")
CONTEST = WHOLE.model_copy(update={"reconstruction": WHOLE.reconstruction.model_copy(update={"tomo_types": ("wbp",)})})
"""The recipe without deconvolution and denoising."""
BARE = {
    "sample": SampleOptions(),
    "concentration": {"apo-ferritin": 0.0},
}
SHAPES = ((46, 315, 315), (92, 315, 315), (184, 315, 315), (184, 446, 446), (184, 630, 630))
LIMITS = (15.0, 30.0, 45.0, 60.0)
CROWDS = (100.0, 1000.0, 10_000.0)


def seconds(**changes: object) -> tuple[float, int]:
    """Seconds for a run of the contest's recipe with changes, and its particles."""
    start = time.perf_counter()
    scene = simulate_run(CONTEST.model_copy(update=changes), seed=0)
    others = scene.parameters["sample"]["counts"].values()
    return time.perf_counter() - start, sum(map(len, scene.truth.values())) + sum(others)


def microscope(limit: float) -> MicroscopeOptions:
    """That of the recipe `contest`, with tilts to a limit in degrees."""
    return CONTEST.microscope.model_copy(update={"tilt_limit": (limit, limit)})


def denoising() -> None:
    """Print the seconds of one thread that a denoised tomogram takes, and those of an update of the training."""
    net = DenoisingNet()
    for shape in SHAPES[-3:]:
        start = time.perf_counter()
        denoise(net, torch.randn(shape))
        took, million = time.perf_counter() - start, shape[0] * shape[1] * shape[2] / 1e6
        print(f"denoising {million:5.1f} million voxels: {took:5.1f} s, {took / million:.2f} s per million")
    crops = torch.randn(2, 1, 64, 64, 64)
    start = time.perf_counter()
    for _ in range(10):
        F.mse_loss(net(crops), crops).backward()
    print(f"an update of the denoiser on 2 crops of 64 voxels: {(time.perf_counter() - start) / 10:.2f} s")


def main() -> None:
    """Print all tables."""
    keep_freed_memory()
    with one_thread():
        denoising()
    seconds(**BARE, shape=(32, 64, 64))  # the first call loads libraries
    tilts = len(tilt_angles(45.0, CONTEST.microscope.tilt_step))
    print("voxels, no particles      tilts        s   s per million voxels and tilt")
    for shape in SHAPES:
        million = shape[0] * shape[1] * shape[2] / 1e6
        took, _ = seconds(**BARE, shape=shape, microscope=microscope(45.0))
        size = "x".join(map(str, shape))
        print(f"{million:6.1f} million {size:>13} {tilts:3d} {took:8.1f} {took / million / tilts:8.4f}")
    print("tilts, no particles, 92 x 315 x 315")
    for limit in LIMITS:
        tilts = len(tilt_angles(limit, CONTEST.microscope.tilt_step))
        took, _ = seconds(**BARE, shape=SHAPES[1], microscope=microscope(limit))
        million = SHAPES[1][0] * SHAPES[1][1] * SHAPES[1][2] / 1e6
        print(f"{tilts:33d} {took:8.1f} {took / million / tilts:8.4f}")
    empty, _ = seconds(**BARE, shape=SHAPES[1])
    print("particles in 92 x 315 x 315               s   ms per particle beyond the empty run")
    for density in CROWDS:
        took, number = seconds(shape=SHAPES[1], concentration={"beta-galactosidase": density}, sample=BARE["sample"])
        print(f"{number:33d} {took:8.1f} {(took - empty) / number * 1e3:8.1f}")
    for words, recipe in (("as wbp", CONTEST), ("deconvolved and denoised", WHOLE)):
        took, number = seconds(reconstruction=recipe.reconstruction)
        print(f"a whole run, 184 x 630 x 630, {number} particles and unlabelled things, {words}: {took:.1f} s")
    with tempfile.TemporaryDirectory() as folder:
        small = CONTEST.model_copy(update={"shape": (92, 315, 315)})
        for jobs in (1, 2):
            start = time.perf_counter()
            tomosoup.simulate(Path(folder) / str(jobs), small, runs=6, jobs=jobs)
            print(f"six runs of 92 x 315 x 315, --jobs {jobs}: {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    run_script(main, description=__doc__)
