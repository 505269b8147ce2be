"""Trains the models and picks with them in every way; each result is a file."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

import tomosoup
from runs.quality.speed_plans.trainings import PLANE, Way, trainings
from runs.shared.command import Words
from runs.shared.saved_picks import picks_to_json, write_json
from tomosoup.data.options import AnnotatedData, DataOptions
from tomosoup.data.project import Project, open_project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.inference.engines.net_cache import Nets
from tomosoup.inference.ensemble import ensemble_heatmap, picks_of
from tomosoup.inference.options.hardware import InferenceOptions
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.inference.tiling.windows import window_regions
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.simulation.options.recipe import SimulationRecipe
from tomosoup.training.options import Execution
from tomosoup.training.train import train

RUNS, TRAINED, SIMULATION_SEED = 12, 5, 21
SEEDS = (0,)


def simulate(out: Path) -> None:
    """Make the project."""
    simulation = SimulationRecipe.read("simulated").model_copy(update={"shape": (48, PLANE, PLANE)})
    tomosoup.simulate(out / "project", simulation, runs=RUNS, seed=SIMULATION_SEED)


def train_all(out: Path, *names: Words) -> None:
    """Train what is missing."""
    project = open_project(out / "project")
    data = AnnotatedData(runs=tuple(project.runs[: TRAINED + 1]))
    for name, seed, model in wanted(out, names):
        if not model.exists():
            folder = model.with_suffix(".training")
            begun = (folder / "last.ckpt").is_file()
            recipe = trainings()[name][0].model_copy(update={"seed": seed})
            train(project, recipe, fold=TRAINED, folder=folder, data=data, execution=Execution(resume=begun)).save(
                model
            )


def wanted(out: Path, names: Sequence[str]) -> Iterator[tuple[str, int, Path]]:
    """Name, seed and file of every model: a whole round of names before the next seed."""
    for seed, name in product(SEEDS, names or trainings()):
        yield name, seed, out / "models" / f"{name}-{seed}.safetensors"


def measure_all(out: Path, *names: Words) -> None:
    """Pick the held-out and the test runs in each way with what is trained, a file each, and print the seconds."""
    project = open_project(out / "project")
    for name, _, model in wanted(out, names):
        for way, run in product(trainings()[name][1] if model.exists() else [], project.runs[TRAINED:RUNS]):
            path = row_file(out, model, way, run)
            if not path.exists():
                write_json(path, row := measure(project, run, load(model), way))
                print(model.stem, path.stem, f"{row['predicting']:.1f} s", flush=True)


def measure(project: Project, run: str, model: Checkpoint, way: Way) -> dict[str, Any]:
    """Pick a run: CPU seconds of the net's part, operations a voxel, picks."""
    checkpoint = replace(model, windows=way.windows)
    volume = select_tomogram(project, run, DataOptions()).read()
    nets = Nets(InferenceOptions(engine="torch", device="cpu", precision=way.precision))
    began = time.process_time()
    output = ensemble_heatmap(volume, [checkpoint], nets=nets)
    seconds = time.process_time() - began
    picks = picks_of(output, [checkpoint], plan=PickingPlan())
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        checkpoint.net()(torch.zeros(1, 1, *way.windows.shape))
    count = len(window_regions(volume.shape, way.windows))
    return {
        "predicting": seconds,
        "flops": counter.get_total_flops() * count / volume.data.numel(),
        "picks": picks_to_json(picks),
    }


def row_file(out: Path, model: Path, way: Way, run: str) -> Path:
    """Where a net's picks of a run are kept."""
    return out / "rows" / model.stem / f"{way.name}-{run}.json"
