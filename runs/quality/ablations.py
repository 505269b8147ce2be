"""Measures what each choice of the 4th place is worth in F4, on small copies of the contest's tomograms.

    python -m runs.quality.ablations train OUT PICKS WEIGHTS [--worker I/N]    # makes what is missing in OUT
    python -m runs.quality.ablations combine OUT                  # picks with several of those that are there
    python -m runs.quality.ablations table OUT                    # prints the table of docs/scoring/ablations.md

PICKS is the table of the contest's true particles (czii_train_picks.csv). WEIGHTS is the file that
runs/models/lite0_weights.py makes.

The tomograms and the heatmap model are those of runs/shared/small_contest.py; a stride of 24 is the paper's 48. Each
training holds one run out. A row is scored on the held-out runs of all folds. The thresholds of a run come from the
held-out runs of the other folds, so no run sets its own. The spread is over seeds and folds.
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
from runs.shared.small_contest import BATCH, UPDATES, VOXEL, heatmap_training, simulate_contest
from tomosoup.core.types import Picks
from tomosoup.data.options import DataOptions
from tomosoup.data.project import open_project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.data.truth import read_truth
from tomosoup.inference.ensemble import ensemble_heatmap
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.inference.readout.peaks import find_peaks
from tomosoup.inference.readout.second_stage import rescored
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.models.history import last_training
from tomosoup.models.nets.options import ResNetUNet3dOptions, UNet3dOptions
from tomosoup.models.window_plan import WindowPlan
from tomosoup.training.options import AugmentationOptions, LossOptions, TrainingRecipe
from tomosoup.training.second_stage.options import SecondStageOptions
from tomosoup.training.second_stage.train import train_second_stage
from tomosoup.training.train import train

FOLDS, SEEDS = (0, 3, 6), (0, 1, 2)
SCORED = slice(None), slice(None), slice(0, 160)
"""The half of a held-out run that is picked and scored, to save time."""
PAPER = PickingPlan(step=(0.5, 0.375, 0.375), weighting="pyramid")
"""As the plan `paper`, with sub-voxel peaks: a voxel of 20 Å is two thirds of the distance that counts as a hit."""
PLANS = {
    "A1": PAPER,
    "A1, stride 32 (9 x 9 windows)": PAPER.model_copy(update={"step": (0.5, 0.5, 0.5)}),
    "A1, stride 48": PAPER.model_copy(update={"step": (0.5, 0.75, 0.75)}),
    "A1, stride 64, no overlap at all": PAPER.model_copy(update={"step": (1.0, 1.0, 1.0)}),
    "A1, windows unweighted": PAPER.model_copy(update={"weighting": "none"}),
}
PLANES = {
    "A1": WindowPlan(shape=(16, 1024, 1024), stride=(8, 1024, 1024), weighting="pyramid", border="inside"),
    "A2": WindowPlan(shape=(32, 1024, 1024), stride=(16, 1024, 1024), weighting="pyramid", border="inside"),
}
"""Whole planes, half a window apart in z as the paper's windows are."""


def recipes(weights: Path) -> dict[str, TrainingRecipe]:
    """What is trained, by name."""
    a1 = heatmap_training(
        weights, stride=(16, 64, 64), augmentation=AugmentationOptions(flip_axes=("x",), mixup_probability=0.5)
    )
    net = a1.net.model_copy
    a2_net = net(update={
        "name": "pyramid_unet", "depth_stride_limit": 4, "depth_mixing": True, "decoder_widths": (32, 48, 32, 16)
    })  # fmt: skip
    deep = {
        "batch_size": BATCH // 2, "crops_per_epoch": UPDATES * BATCH // 2,
        "windows": WindowPlan(shape=(32, 64, 64), stride=(32, 64, 64)),
    }  # fmt: skip
    a2 = a1.model_copy(update={"net": a2_net, "loss": LossOptions(name="balanced"), "sigma_by_radius": 0.5, **deep})
    unet = UNet3dOptions(channels=(16, 32, 64, 64), residual_units=1, dropout=0.1, output="heatmaps")
    resnet = ResNetUNet3dOptions(backbone="resnet10", decoder_widths=(64, 48, 32, 16, 16))
    return {
        "A1": a1,
        "A2": a2,
        "A2, hard regions": a2.model_copy(update={"loss": LossOptions(name="balanced", positive_from=0.1)}),
        "head as published": a1.model_copy(update={"net": net(update={"small_head": False})}),
        "grey values clipped": a1.model_copy(update={
            "augmentation": AugmentationOptions(flip_axes=("x",), mixup_probability=0.5, intensity_clip=True)
        }),
        "point detector": a1.model_copy(update={
            "net": net(update={"head": "centres"}), "loss": LossOptions(name="focal"), "sigma_by_radius": 0.5,
            "augmentation": AugmentationOptions(flip_axes=("x",)),
        }),
        "3D U-Net": a1.model_copy(update={"net": unet, **deep}),
        "3D backbone": a1.model_copy(update={"net": resnet, **deep}),
        "convolution": a1.model_copy(update={"net": net(update={"depth_reduction": "convolution"})}),
        "scratch": a1.model_copy(update={"net": net(update={"backbone_weights": None})}),
        "no mixup": a1.model_copy(update={"augmentation": AugmentationOptions(flip_axes=("x",))}),
    }  # fmt: skip


def jobs() -> Iterator[tuple[str, int, int]]:
    """(recipe, fold, seed): a whole round of recipes before the next fold, so that an early stop leaves whole rows."""
    for seed in SEEDS:
        for fold in FOLDS:
            for name in recipes(Path()):
                yield name, fold, seed


def raw(folder: Path, checkpoint: Checkpoint) -> Checkpoint:
    """The same training's last weights without the running average."""
    state = torch.load(folder / "last.ckpt", map_location="cpu", weights_only=False)["current_model_state"]
    weights = {k.removeprefix("module.").removeprefix("net."): v for k, v in state.items()}
    return replace(checkpoint, weights={k: weights[k] for k in checkpoint.weights})


def write(path: Path, project: Path, models: list[Checkpoint], plan: PickingPlan) -> None:
    """Pick the run that the models held out and keep the candidates as JSON."""
    if path.exists():
        return
    run = last_training(models[0].history).held_out
    volume = select_tomogram(open_project(project), run, DataOptions()).read(SCORED)
    picks = find_peaks(ensemble_heatmap(volume, models, plan=plan), models[0].species, peaks=plan.peaks)
    write_json(path, {"run": run, "picks": picks_to_json(picks)})


def train_all(out: Path, picks: Path, weights: Path, *, worker: str = "0/1") -> None:
    """Train and pick what is missing of this worker's share."""
    number, workers = share_of(worker)
    torch.set_num_threads(1)
    simulate_contest(out / "project", picks)
    for job in list(jobs())[number::workers]:
        train_one(out, weights, *job)


def combine(out: Path) -> None:
    """Pick with several of the models, where these are trained."""
    torch.set_num_threads(1)
    for fold, seed in product(FOLDS, SEEDS):
        pick_together(out, fold, seed)
        look_again(out, fold, seed)


def trained(out: Path, *models: tuple[str, int, int]) -> list[Checkpoint]:
    """These models (recipe, fold, seed); none where one is missing."""
    files = [out / "models" / f"{name}-{fold}-{seed}.safetensors" for name, fold, seed in models]
    return [load(file) for file in files] if all(file.exists() for file in files) else []


def train_one(out: Path, weights: Path, name: str, fold: int, seed: int) -> None:
    """Train a recipe on a fold, and pick its held-out run by every plan."""
    project, stem = out / "project", f"{name}-{fold}-{seed}"
    model, folder = out / "models" / f"{stem}.safetensors", out / "models" / f"{stem}.training"
    if not model.exists():
        recipe = recipes(weights)[name].model_copy(update={"seed": seed})
        train(project, recipe, fold=fold, folder=folder).save(model)
    checkpoint = load(model)
    for row, plan in PLANS.items() if name == "A1" else [(name, PAPER)]:
        write(out / "picks" / f"{row}-{fold}-{seed}.json", project, [checkpoint], plan)
    if name == "A1":
        row = f"A1, weights not averaged-{fold}-{seed}.json"
        write(out / "picks" / row, project, [raw(folder, checkpoint)], PAPER)
    if windows := PLANES.get(name):
        row = f"{name}, whole planes-{fold}-{seed}.json"
        write(out / "picks" / row, project, [replace(checkpoint, windows=windows)], PickingPlan())
    print(stem, last_training(checkpoint.history).f4, flush=True)


def pick_together(out: Path, fold: int, seed: int) -> None:
    """Pick a fold's held-out run by both models, and by the first model of both seeds."""
    if models := trained(out, ("A1", fold, seed), ("A2", fold, seed)):
        write(out / "picks" / f"A1 and A2 together-{fold}-{seed}.json", out / "project", models, PAPER)
    if models := trained(out, *(("A1", fold, s) for s in SEEDS[:2])) if seed == SEEDS[0] else []:
        write(out / "picks" / f"A1 twice, of both seeds-{fold}-{seed}.json", out / "project", models, PAPER)


def look_again(out: Path, fold: int, seed: int) -> None:
    """Score A1's picks of a fold by a second stage that learnt from those of the other folds."""
    path = out / "picks" / f"A1 and a second stage-{fold}-{seed}.json"
    models = trained(out, *(("A1", f, seed) for f in FOLDS))
    if path.exists() or not models:
        return
    project = open_project(out / "project")
    options = SecondStageOptions(crop=16, updates=300, seed=seed)
    second = train_second_stage(project, models, options, fold=FOLDS.index(fold), plan=PAPER).second
    saved = json.loads((out / "picks" / f"A1-{fold}-{seed}.json").read_text())
    volume = select_tomogram(project, saved["run"], DataOptions()).read(SCORED)
    picks = rescored(picks_from_json(saved["picks"]), volume, second, device=torch.device("cpu"))
    write_json(path, {"run": saved["run"], "picks": picks_to_json(picks)})


def in_half(picks: Picks) -> Picks:
    """The particles of `SCORED`."""
    return Picks.of(picks.zyx[picks.zyx[:, 2] < SCORED[2].stop * VOXEL])


def table(out: Path) -> None:
    """Print a row a choice, best first: weighted F4 of the folds' held-out runs together, by seed, then of each run."""
    project = open_project(out / "project")
    found: dict[str, CrossValidated] = {}
    for file in sorted((out / "picks").glob("*.json")):
        row, fold, seed = file.stem.rsplit("-", 2)
        saved = json.loads(file.read_text())
        found.setdefault(row, {})[int(fold), int(seed)] = saved["run"], picks_from_json(saved["picks"])
    truth = {run: {n: in_half(p) for n, p in read_truth(project, run).items()} for run in project.runs}
    print_scores(
        [cross_validated(name, cells, truth, project.species, folds=FOLDS) for name, cells in found.items()], SEEDS
    )


if __name__ == "__main__":
    run_step({"train": train_all, "combine": combine, "table": table}, description=__doc__)
