"""What is trained, and on which tomograms."""

from collections.abc import Iterator
from pathlib import Path

import torch

import tomosoup
from runs.shared.command import share_of
from runs.shared.small_contest import SEEDS, VOXEL, heatmap_training, simulate_contest
from runs.shared.small_unet3d import FLIPS_ONLY, unet3d_training
from tomosoup.data.options import AnnotatedData
from tomosoup.data.project import open_project
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.models.history import last_training
from tomosoup.models.window_plan import WindowPlan
from tomosoup.simulation.options.microscope import MicroscopeOptions
from tomosoup.simulation.options.recipe import SimulationRecipe
from tomosoup.training.options import TrainingRecipe
from tomosoup.training.train import train

FOLDS = (0, 1, 2)
UNSEEN = 2
"""Runs, the last by name, that no training sees."""
BATCH, EPOCHS, UPDATES = 6, 5, 25
"""Crops an update, epochs of a training, updates an epoch; a training from random weights has twice the epochs."""


def recipes(weights: Path) -> dict[str, TrainingRecipe]:
    """What is trained, by name; "pretrained" starts from "pretraining"."""
    b = unet3d_training(
        crop_shape=(48, 48, 48),
        windows=WindowPlan(shape=(48, 96, 96), stride=(44, 88, 88), weighting="gaussian", border="inside"),
        crops_per_tomogram=BATCH * UPDATES // 4,
        epochs=EPOCHS,
        keep_best=EPOCHS,
        warmup_epochs=0.5,
        batch_size=BATCH,
        learning_rate=3e-3,
        average_decay=0.9,
    )
    return {
        "pretraining": b.model_copy(update={"crops_per_tomogram": BATCH * UPDATES // 8}),
        "pretrained": b,
        "scratch": b.model_copy(update={"epochs": 2 * EPOCHS, "validate_every": 2}),
        "A": heatmap_training(weights, stride=(16, 48, 48), augmentation=FLIPS_ONLY),
    }


def jobs() -> Iterator[tuple[str, int, int]]:
    """(recipe, fold, seed), a whole round of recipes before the next fold."""
    for seed in SEEDS:
        yield "pretraining", 0, seed
    for seed in SEEDS:
        for fold in FOLDS:
            for name in ("pretrained", "A", "scratch"):
                yield name, fold, seed


def simulate(out: Path, picks: Path) -> None:
    """Simulate the contest's tomograms and those of the pretraining, unless they exist."""
    simulate_contest(out / "project", picks)
    if not (out / "simulated").exists():
        microscope = MicroscopeOptions(dose=(30.0, 30.0))
        simulation = SimulationRecipe(shape=(64, 192, 192), voxel_size=VOXEL, microscope=microscope)
        tomosoup.simulate(out / "simulated", simulation, runs=9, seed=11)


def train_all(out: Path, picks: Path, weights: Path, *, worker: str = "0/1") -> None:
    """Train what is missing of this worker's seeds: a worker has whole seeds, as pretraining comes first."""
    number, workers = share_of(worker)
    torch.set_num_threads(1)
    simulate(out, picks)
    project = open_project(out / "project")
    data = AnnotatedData(runs=tuple(project.runs[:-UNSEEN]))
    for name, fold, seed in jobs():
        model = out / "models" / f"{name}-{fold}-{seed}.safetensors"
        if seed % workers != number or model.exists():
            continue
        recipe = recipes(weights)[name].model_copy(update={"seed": seed})
        first = name == "pretraining"
        start = load(out / "models" / f"pretraining-0-{seed}.safetensors") if name == "pretrained" else None
        checkpoint = train(
            out / "simulated" if first else project,
            recipe,
            fold=fold,
            folder=model.with_suffix(".training"),
            data=AnnotatedData() if first else data,
            start=start,
        )
        checkpoint.save(model)
        print(model.stem, last_training(checkpoint.history).f4, flush=True)


def models(out: Path, name: str, seed: int) -> list[Checkpoint]:
    """The checkpoints of all folds."""
    return [load(out / "models" / f"{name}-{fold}-{seed}.safetensors") for fold in FOLDS]
