"""Updates a second of the published recipes at their batch sizes, in fp16 on a GPU, and whether the loss is finite."""

import math
import time

import pandas as pd
import torch

from benchmarks.speed.inference.sides import random_net
from benchmarks.speed.training import update
from runs.gpu.budget import Setting
from runs.gpu.nets import device, recipe_of
from runs.gpu.rows import Add, Row
from runs.shared.short_training import short_training
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.data.options import AnnotatedData, Normalisation
from tomosoup.data.project import open_project
from tomosoup.simulation.options.microscope import MicroscopeOptions
from tomosoup.simulation.options.recipe import SimulationRecipe
from tomosoup.simulation.project import simulate
from tomosoup.training.options import Execution
from tomosoup.training.supervision.crops import Crops, normalised, read_examples
from tomosoup.training.train import train

RUNS = 2
UPDATES, WARM = 10, 3
"""Timed updates, and those before them, which find the fastest kernels and the scale of the gradients."""
PROJECT = "project"
"""Name of the folder with the simulated runs."""


def tomograms(setting: Setting, add: Add) -> None:
    """Simulate the runs that the trainings read."""
    recipe = SimulationRecipe(shape=(32, 64, 64) if setting.small else (128, 256, 256))
    if setting.small:
        particles = {"apo-ferritin": 30000.0, "ribosome": 15000.0}
        few = {"concentration": particles, "microscope": MicroscopeOptions(tilt_step=20.0)}
        recipe = recipe.model_copy(update=few)
    start = time.perf_counter()
    simulate(setting.folder / PROJECT, recipe, runs=RUNS, overwrite=True)
    shape = " x ".join(map(str, recipe.shape))
    figures = {"seconds": time.perf_counter() - start}
    add(Row("simulation", f"{RUNS} runs", "on the CPU", figures, note=f"{shape} voxels, to train on"))


def updates(name: str, setting: Setting, add: Add) -> None:
    """A row: the network alone, on one batch that stays on the device."""
    recipe, here = recipe_of(name, setting), device()
    project = open_project(setting.folder / PROJECT)
    examples = normalised(read_examples(project, AnnotatedData()), Normalisation())
    crops = Crops(examples, CONTEST_SPECIES, recipe)
    few = (crops[i % len(crops)] for i in range(recipe.batch_size))
    x, target = (torch.stack(parts).to(here) for parts in zip(*few, strict=True))
    fp16 = here.type == "cuda"
    step = update(random_net(recipe).to(here), x, target, recipe, fused=True, fp16=fp16)
    warm, timed = (1, 1) if setting.small else (WARM, UPDATES)
    first, *_ = [float(step()) for _ in range(warm)]
    start = time.perf_counter()
    losses = [step() for _ in range(timed)]
    last = float(losses[-1])  # waits for the device
    rate = timed / (time.perf_counter() - start)
    figures = {"updates a second": rate, "first loss": first, "last loss": last}
    add(_row("updates", name, recipe.batch_size, fp16, figures, finite=all(map(math.isfinite, (first, last)))))


def whole_training(name: str, setting: Setting, add: Add) -> None:
    """A row: `train` as shipped, for an epoch of a few updates, with its crops, its average and a validation."""
    shipped = recipe_of(name, setting)
    count = 2 if setting.small else UPDATES + WARM
    recipe = short_training(shipped, runs=RUNS, updates=count, batch=shipped.batch_size)
    ends: list[float] = []

    def note(what: str, done: int, total: int) -> None:
        del total
        if what.startswith("Training") and done == len(ends) + 1:
            ends.append(time.perf_counter())

    folder = setting.folder / f"training-{name}"
    made = train(
        setting.folder / PROJECT, recipe, folder=folder, execution=Execution(device=str(device())), progress=note
    )
    loss = pd.read_csv(folder / "metrics.csv")["loss"].dropna()
    warm = 0 if setting.small else WARM - 1
    figures: dict[str, float | str] = {
        "updates a second": (len(ends) - 1 - warm) / (ends[-1] - ends[warm]),
        "first loss": float(loss.iloc[0]),
        "last loss": float(loss.iloc[-1]),
        "F4": float(made.history[-1].f4 or 0.0),
    }
    finite = bool(loss.map(math.isfinite).all()) and len(loss) == count
    add(_row("training", name, recipe.batch_size, device().type == "cuda", figures, finite=finite))


def _row(part: str, name: str, batch: int, fp16: bool, figures: dict[str, float | str], *, finite: bool) -> Row:
    figures["peak GPU memory in GiB"] = torch.cuda.max_memory_allocated() / 2**30
    note = "all losses finite" if finite else "failed: a loss is not finite"
    return Row(part, name, f"batch {batch}, {'fp16' if fp16 else 'fp32'}", figures, note=note)
