"""The 4th place's choices, one by one, on simulated tomograms laid out as the contest's seven, leaving one run out.

    python -m runs.quality.ablations train OUT PICKS WEIGHTS [--worker I/N]    # makes what is missing in OUT
    python -m runs.quality.ablations table OUT                                 # prints the table of docs/ablations.md

PICKS is the table of the contest's true particles (czii_train_picks.csv), WEIGHTS what
runs/models/lite0_weights.py makes.

Voxels of 20 Å (92 x 315 x 315) halve the contest's tomograms and leave every particle in place; windows of
16 x 64 x 64 at stride 24 are the paper's 128 at 48. Everything else is small: an EfficientNet-Lite0 backbone, narrow
decoders, 120 updates. A row is scored on the held-out runs of the folds with thresholds from the other folds' held-out
runs, so that no run sets its own. The spread is over seeds and folds.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import torch

from tomosoup.cli.options.commands import SimulateCommand
from tomosoup.core.thresholds import apply_thresholds
from tomosoup.core.types import Picks
from tomosoup.data.options import DataOptions
from tomosoup.data.project import open_project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.data.truth import read_truth
from tomosoup.inference.ensemble import ensemble_heatmap
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.inference.readout.peaks import find_peaks
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.models.nets.options import NetOptions
from tomosoup.models.window_plan import WindowPlan
from tomosoup.scoring.score import score
from tomosoup.scoring.thresholds import steady_thresholds
from tomosoup.simulation.options import MicroscopeOptions, SimulationRecipe
from tomosoup.simulation.project import simulate_project
from tomosoup.training.options import AugmentationOptions, LossOptions, TrainingRecipe
from tomosoup.training.train import train

FOLDS, SEEDS = (0, 3, 6), (0, 1)
DOSE = 20.0
"""Electrons per Å² over all tilts: few, so that small particles are hard to see."""
UPDATES, BATCH = 120, 8
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
    a1 = TrainingRecipe(
        net=NetOptions(
            backbone="tf_efficientnet_lite0", backbone_weights=weights, input_slices=5, decoder_widths=(64, 48, 32)
        ),
        windows=WindowPlan(shape=(16, 64, 64), stride=(16, 64, 64), weighting="pyramid"),  # one quick validation
        augmentation=AugmentationOptions(flip_axes=("x",), mixup_probability=0.5),
        epochs=1,
        crops_per_epoch=UPDATES * BATCH,
        warmup_epochs=0.1,
        batch_size=BATCH,
        learning_rate=2e-3,
        average_decay=0.85,  # a memory of 5 % of the training, as 0.999 is of the paper's
    )
    net = a1.net.model_copy
    a2_net = net(update={
        "name": "pyramid_unet", "depth_stride_limit": 4, "depth_mixing": True, "decoder_widths": (32, 48, 32, 16)
    })  # fmt: skip
    return {
        "A1": a1,
        "A2": a1.model_copy(update={
            "net": a2_net, "loss": LossOptions(name="balanced"), "sigma_by_radius": 0.5, "batch_size": BATCH // 2,
            "crops_per_epoch": UPDATES * BATCH // 2, "windows": WindowPlan(shape=(32, 64, 64), stride=(32, 64, 64)),
        }),
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
    run = models[0].history[-1]["held_out"]
    volume = select_tomogram(open_project(project), run, DataOptions()).read(SCORED)
    picks = find_peaks(ensemble_heatmap(volume, models, plan=plan), models[0].species, peaks=plan.peaks)
    found = {n: {"zyx": p.zyx.round(1).tolist(), "score": p.score.round(4).tolist()} for n, p in picks.items()}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"run": run, "picks": found}))


def work(out: Path, picks: Path, weights: Path, *, worker: int, workers: int) -> None:
    """Make what is missing of this worker's share."""
    torch.set_num_threads(1)
    project = out / "project"
    if not project.exists():
        microscope = MicroscopeOptions(dose=(DOSE, DOSE))
        simulation = SimulationRecipe(shape=(92, 315, 315), voxel_size=20.0, microscope=microscope)
        simulate_project(SimulateCommand(out=project, like=picks, simulation=simulation, seed=7))
    for i, (name, fold, seed) in enumerate(jobs()):
        if i % workers != worker:
            continue
        stem = f"{name}-{fold}-{seed}"
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
        print(stem, checkpoint.history[-1]["f4"], flush=True)
    for i, (fold, seed) in enumerate(product(FOLDS, SEEDS)):
        if i % workers != worker:
            continue
        a1, a2 = (load(out / "models" / f"{name}-{fold}-{seed}.safetensors") for name in ("A1", "A2"))
        write(out / "picks" / f"A1 and A2 together-{fold}-{seed}.json", project, [a1, a2], PAPER)
        other = load(out / "models" / f"A1-{fold}-{SEEDS[1 - SEEDS.index(seed)]}.safetensors")
        if seed == SEEDS[0]:
            write(out / "picks" / f"A1 twice, of both seeds-{fold}-{seed}.json", project, [a1, other], PAPER)


def in_half(picks: Picks) -> Picks:
    """The particles of `SCORED`."""
    return Picks.of(picks.zyx[picks.zyx[:, 2] < SCORED[2].stop * 20.0])


def table(out: Path) -> None:
    """A row a choice, best first: weighted F4 of the folds' held-out runs together, by seed, then of each run."""
    project = open_project(out / "project")
    rows: dict[str, dict[tuple[int, int], tuple[str, dict[str, Picks]]]] = {}
    for file in sorted((out / "picks").glob("*.json")):
        row, fold, seed = file.stem.rsplit("-", 2)
        kept = json.loads(file.read_text())
        picks = {n: Picks(np.array(p["zyx"]).reshape(-1, 3), np.array(p["score"])) for n, p in kept["picks"].items()}
        rows.setdefault(row, {})[int(fold), int(seed)] = kept["run"], picks
    truth = {run: {n: in_half(p) for n, p in read_truth(project, run).items()} for run in project.runs}
    lines = []
    for row, found in rows.items():
        pooled, single = [], []
        for seed in SEEDS:
            mine = {f: found[f, seed] for f in FOLDS if (f, seed) in found}
            kept = {}
            for fold, (run, picks) in mine.items():
                others = [(p, truth[r]) for f, (r, p) in mine.items() if f != fold]
                if others:
                    kept[run] = apply_thresholds(picks, steady_thresholds(others, project.species))
                    single.append(score({run: kept[run]}, truth, project.species).weighted)
            if len(kept) == len(FOLDS):
                pooled.append(score(kept, truth, project.species).weighted)
        seeds = " | ".join([*(f"{v:.3f}" for v in pooled), *["-"] * (len(SEEDS) - len(pooled))])
        spread = f"{np.mean(single):.3f} ± {np.std(single, ddof=1):.3f}"
        lines.append((np.mean(pooled), f"| {row} | {seeds} | {spread} | {' '.join(f'{v:.2f}' for v in single)} |"))
    print("| row | " + " | ".join(f"seed {s}" for s in SEEDS) + " | a run: mean ± deviation | runs |")
    print("| --- |" + " ---: |" * len(SEEDS) + " ---: | --- |")
    for _, line in sorted(lines, reverse=True):
        print(line)


if __name__ == "__main__":
    if sys.argv[1] == "table":
        table(Path(sys.argv[2]))
    else:
        out, picks, weights = map(Path, sys.argv[2:5])
        share = sys.argv[6] if "--worker" in sys.argv else "0/1"
        work(out, picks, weights, worker=int(share.split("/")[0]), workers=int(share.split("/")[1]))
