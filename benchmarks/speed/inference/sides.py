"""What is compared: a recipe's network, the engines that run it, and a line of the result."""

import resource
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.speed.best_time import best_time
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.inference.options.hardware import InferenceOptions
from tomosoup.models.nets.build import build_net
from tomosoup.models.nets.tomo_net import TomoNet
from tomosoup.training.options import TrainingRecipe

FULL = (184, 630, 630)
"""Voxels of a full-size tomogram."""


def net_of(name: str) -> tuple[TomoNet, TrainingRecipe]:
    """A recipe's net with random weights, for the classes of the contest."""
    recipe = TrainingRecipe.read(name)
    return random_net(recipe), recipe


def random_net(recipe: TrainingRecipe, *, seed: int = 0) -> TomoNet:
    """A net with random weights, for the classes of the contest, in eval mode."""
    torch.manual_seed(seed)
    return build_net(recipe.net.given_weights(), classes=len(CONTEST_SPECIES)).eval()


def timed(work: Callable[[], Tensor], repeats: int = 3) -> tuple[float, Tensor]:
    """The best time, and the result."""
    with torch.inference_mode():
        return best_time(work, repeats=repeats)


def row(what: str, seconds: float, output: Tensor, reference: tuple[float, Tensor] | None = None) -> None:
    """A line: seconds, how many times as fast as the reference, its relative L2 error, memory so far."""
    times, error = 1.0, 0.0
    if reference:
        times = reference[0] / seconds
        error = float((output - reference[1]).norm() / reference[1].norm())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{what:42} {seconds:9.3f} s {times:7.2f} x   error {error:.1e}   peak {peak:.2f} GiB", flush=True)


def engines() -> list[InferenceOptions]:
    """Torch, OpenVINO, and their bf16 where the CPU has it."""
    from tomosoup.inference.engines.choice import cpu_has_bf16

    precisions = ["fp32", "bf16"] if cpu_has_bf16() else ["fp32"]
    return [InferenceOptions(engine=e, precision=p, device="cpu") for p in precisions for e in ("torch", "openvino")]
