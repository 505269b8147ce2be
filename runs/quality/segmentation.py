"""Measures what choices of the 8th place's system are worth in F4, with small 3D U-Nets on simulated tomograms.

    python -m runs.quality.segmentation train OUT [--worker I/N]    # makes what is missing in OUT
    python -m runs.quality.segmentation fine-tune OUT               # the rows about dropout
    python -m runs.quality.segmentation table OUT                   # prints a row a choice

Rows: the radius of the target's balls, as a share of the particle's; the size of the windows that a net sees when it
picks; and dropout in the fine-tuning of a net that was trained on tomograms of the simpler recipe `simulated`. Every
net is read in two ways, by the watershed, whose least sizes follow the ball's volume, and by peaks of the smoothed
probabilities. Six tomograms; a fold trains on five and picks the sixth, whose thresholds come from the held-out
tomograms of the other folds. A training is one epoch, so the held-out tomogram chooses nothing.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import torch

from runs.shared.command import run_step, share_of
from runs.shared.saved_picks import picks_from_json, picks_to_json, write_json
from runs.shared.score_table import CrossValidated, cross_validated, print_scores
from runs.shared.small_unet3d import unet3d_training
from tomosoup.data.options import DataOptions
from tomosoup.data.project import Project, open_project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.data.truth import read_truth
from tomosoup.inference.ensemble import ensemble_heatmap
from tomosoup.inference.options.picking import SMALLEST, PickingPlan, SegmentationOptions
from tomosoup.inference.readout.read_out import segmentation_picks
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.models.history import last_training
from tomosoup.models.window_plan import WindowPlan
from tomosoup.simulation.options.recipe import SimulationRecipe
from tomosoup.simulation.project import simulate
from tomosoup.training.options import TrainingRecipe
from tomosoup.training.train import train

SEEDS, FOLDS, RUNS = (0, 1, 2), (0, 2, 4), 6
BALLS = (0.35, 0.5, 0.6, 0.8, 1.0)
TUNED_BALL = 1.0
"""The ball of the nets that are fine-tuned."""
IN_ALL_WINDOWS = (0.6, 1.0)
"""Nets of these balls pick in windows of every size, the others in those of `USUAL` alone."""
USUAL = "as in training, 64 x 64 x 64"
DROPOUTS = (0.0, 0.3)
"""In the fine-tuning; the first training has 0.1."""
BATCH, UPDATES, CROP = 4, 150, 64
FINE_TUNING = 50
"""Updates, at a third of the first training's rate."""
CROWDED = 2.5
"""The contest's concentrations times this, as the tomograms have a quarter of its volume."""
WINDOWS = {
    USUAL: (64, 64, 64),
    "64 x 128 x 128": (64, 128, 128),
    "80 x 192 x 192, the published proportions": (80, 192, 192),
    "whole tomogram, 128 x 400 x 400": (128, 400, 400),
}


def windows(shape: tuple[int, int, int]) -> WindowPlan:
    """Windows that overlap by a quarter, as the 8th place's."""
    z, y, x = shape
    return WindowPlan(shape=shape, stride=(z * 3 // 4, y * 3 // 4, x * 3 // 4), weighting="gaussian", border="inside")


def recipe(ball: float, seed: int) -> TrainingRecipe:
    """A small net with balls of this share of the radius."""
    return unet3d_training(
        ball=ball,
        seed=seed,
        crop_shape=(CROP,) * 3,
        windows=windows(WINDOWS[USUAL]),
        crops_per_tomogram=BATCH * UPDATES // (RUNS - 1),
        epochs=1,
        warmup_epochs=0.1,
        batch_size=BATCH,
        learning_rate=3e-3,
        average_decay=0.9,
    )


def tuning(seed: int, dropout: float) -> TrainingRecipe:
    """The recipe of the fine-tuning: as the first one, shorter and with this dropout."""
    first = recipe(TUNED_BALL, seed)
    return first.model_copy(update={
        "crops_per_tomogram": BATCH * FINE_TUNING // (RUNS - 1),
        "learning_rate": first.learning_rate / 3,
        "net": first.net.model_copy(update={"dropout": dropout}),
    })  # fmt: skip


def simulate_runs(folder: Path, recipe: str = "contest") -> None:
    """Simulate six tomograms of a recipe with the contest's particles, unless they exist."""
    if not folder.exists():
        contest = SimulationRecipe.read("contest").concentration
        concentration = {name: CROWDED * value for name, value in contest.items()}
        changed = {"shape": (128, 400, 400), "concentration": concentration}
        simulate(folder, SimulationRecipe.read(recipe).model_copy(update=changed), runs=RUNS, seed=31)


def train_all(out: Path, *, worker: str = "0/1") -> None:
    """Train and pick what is missing of this worker's share."""
    number, workers = share_of(worker)
    torch.set_num_threads(1)
    simulate_runs(out / "project")
    project = open_project(out / "project")
    for seed, fold, ball in list(product(SEEDS, FOLDS, BALLS))[number::workers]:
        stem = f"{ball}-{fold}-{seed}"
        model = out / "models" / f"{stem}.safetensors"
        if not model.exists():
            train(project, recipe(ball, seed), fold=fold, folder=model.with_suffix(".training")).save(model)
        for size, shape in WINDOWS.items():
            if ball not in IN_ALL_WINDOWS and size != USUAL:
                continue
            path = out / "picks" / f"ball {ball}, windows {size}-{fold}-{seed}.json"
            pick(path, project, replace(load(model), windows=windows(shape)), ball)
        print(stem, flush=True)


def fine_tune(out: Path, *, seeds: tuple[int, ...] = SEEDS) -> None:
    """Train on tomograms of the recipe `simulated`, fine-tune with each dropout, and pick."""
    torch.set_num_threads(1)
    simulate_runs(out / "project")
    simulate_runs(out / "simpler", "simulated")
    project = open_project(out / "project")
    for seed in seeds:
        first = out / "models" / f"simpler-{seed}.safetensors"
        if not first.exists():
            train(out / "simpler", recipe(TUNED_BALL, seed), folder=first.with_suffix(".training")).save(first)
        for fold, dropout in product(FOLDS, DROPOUTS):
            row = f"fine-tuned with dropout {dropout}"
            model = out / "models" / f"{row}-{fold}-{seed}.safetensors"
            if not model.exists():
                folder = model.with_name(f"{model.stem}.training")
                train(project, tuning(seed, dropout), fold=fold, folder=folder, start=load(first)).save(model)
            pick(out / "picks" / f"{row}-{fold}-{seed}.json", project, load(model), TUNED_BALL)
            print(model.stem, flush=True)


def readings(ball: float) -> Iterator[tuple[str, SegmentationOptions]]:
    """The ways from probabilities to picks: least sizes are shares of the ball that the net was taught."""
    shares = {name: share * ball**3 for name, share in SMALLEST.items()}
    yield "watershed", SegmentationOptions(smallest=shares, smallest_other=0.08 * ball**3)
    yield "peaks", SegmentationOptions(method="peaks")


def pick(path: Path, project: Project, checkpoint: Checkpoint, ball: float) -> None:
    """Pick the run that the model held out, in every reading, and keep the candidates as JSON."""
    if path.exists():
        return
    run, plan = last_training(checkpoint.history).held_out, PickingPlan()
    volume = select_tomogram(project, run, DataOptions()).read()
    found = ensemble_heatmap(volume, [checkpoint], plan=plan)
    picks = {
        name: picks_to_json(segmentation_picks(found, checkpoint.species, segmentation=how, peaks=plan.peaks))
        for name, how in readings(ball)
    }
    write_json(path, {"run": run, "picks": picks})


def table(out: Path) -> None:
    """Print two rows for each set of picks, one for each reading, best first."""
    project = open_project(out / "project")
    found: dict[str, CrossValidated] = {}
    for file in sorted((out / "picks").glob("*.json")):
        row, fold, seed = file.stem.rsplit("-", 2)
        saved = json.loads(file.read_text())
        for reading, picks in saved["picks"].items():
            found.setdefault(f"{row}, {reading}", {})[int(fold), int(seed)] = saved["run"], picks_from_json(picks)
    truth = {run: read_truth(project, run) for run in project.runs}
    print_scores(
        [cross_validated(name, cells, truth, project.species, folds=FOLDS) for name, cells in found.items()], SEEDS
    )


if __name__ == "__main__":
    run_step({"train": train_all, "fine-tune": fine_tune, "table": table}, description=__doc__)
