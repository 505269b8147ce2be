"""tomosoup: a recipe by name or TOML file (the variant), its epochs and crops fitted to the CPU time.

It trains and picks as the commands `train` and `pick` do. Variant `shipped`:
the model that comes with tomosoup, untrained here; only its thresholds are set on the held-out run, as everyone's.
"""

import shutil
from functools import partial
from math import ceil
from pathlib import Path

from benchmarks.peers import exchange
from benchmarks.peers.exchange import Job, Pick, Picker, Set, Trained, cpu
from tomosoup.core.runtime import keep_freed_memory
from tomosoup.data.options import AnnotatedData, DataOptions
from tomosoup.data.project import open_project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.inference.pick import pick as pick_tomogram
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.models.checkpoint import load as load_checkpoint
from tomosoup.training.options import TrainingRecipe
from tomosoup.training.supervision.crops import Crops, read_examples
from tomosoup.training.train import train as train_model

FEW, MORE = 16, 64
"""Crops of the two trial epochs."""
NEAR = 0.1
"""A training whose CPU time is off by more than this share of what it was given was a trial, too: there is another."""


def fit(job: Job, recipe: TrainingRecipe, folder: Path) -> tuple[float, Checkpoint]:
    """Train; the CPU time."""
    shutil.rmtree(folder, ignore_errors=True)
    project = open_project(job.training.config)
    start = cpu()
    trained = train_model(project, recipe, fold=len(project.runs) - 1, folder=folder)
    return cpu() - start, trained


def train(job: Job) -> Trained:
    """Two short epochs to see what a crop and a validation cost, then the training, anew where it was not `NEAR`."""
    if job.variant == "shipped":
        load_checkpoint("default").save(job.folder / "model.safetensors")
        return {"train_s": 0.0, "updates": 0.0, "epochs": 0}
    recipe = TrainingRecipe.read(job.variant).model_copy(update={"seed": job.seed})
    batch, project = recipe.batch_size, open_project(job.training.config)
    if recipe.crops_per_tomogram is None:
        examples = read_examples(project, AnnotatedData(runs=tuple(project.runs[:-1])), voxel_size=None)
        grid = Crops(examples, project.species, recipe).per_epoch
        few, more = (
            fit(job, recipe.model_copy(update={"epochs": 1, "crops_per_epoch": n * batch}), job.folder / "trial")[0]
            for n in (FEW, MORE)
        )
        each = (more - few) / ((MORE - FEW) * batch)
        still = few - FEW * batch * each
        epochs = max(1, ceil(job.seconds / (still + grid * each)))
        crops = max(batch, round((job.seconds / epochs - still) / each))
        fitted = recipe.model_copy(
            update={
                "epochs": epochs,
                "crops_per_epoch": crops,
                "warmup_epochs": min(recipe.warmup_epochs, epochs / 4),
            }
        )
    else:
        one, two = (fit(job, recipe.model_copy(update={"epochs": n}), job.folder / "trial")[0] for n in (1, 2))
        epochs = 1 + max(0, round((job.seconds - one) / (two - one)))
        fitted = recipe.model_copy(update={"epochs": epochs})
        updates = epochs * (len(project.runs) - 1) * recipe.crops_per_tomogram // batch
    seconds, trained = fit(job, fitted, job.folder / "training")
    if fitted.crops_per_epoch and abs(seconds / job.seconds - 1) > NEAR:
        fewer = max(batch, round(fitted.crops_per_epoch * job.seconds / seconds))
        fitted = fitted.model_copy(update={"crops_per_epoch": fewer})
        seconds, trained = fit(job, fitted, job.folder / "training")
    if fitted.crops_per_epoch:
        updates = epochs * (fitted.crops_per_epoch // batch)
    trained.save(job.folder / "model.safetensors")
    return {"train_s": seconds, "updates": float(updates), "epochs": epochs}


def load(job: Job) -> Picker:
    """Its checkpoint."""
    return partial(pick, load_checkpoint(job.folder / "model.safetensors"))


def pick(model: Checkpoint, some: Set, run: str) -> list[Pick]:
    """All candidates, by the plan that the net was validated with."""
    found = pick_tomogram(select_tomogram(open_project(some.config), run, DataOptions()), model)
    return [
        Pick(run, name, *at[::-1], score)
        for name, picks in found.items()
        for at, score in zip(picks.zyx.tolist(), picks.score.tolist(), strict=True)
    ]


if __name__ == "__main__":
    keep_freed_memory()
    exchange.drive(train, load)
