"""Soups, averages of outputs, pretraining, views and both systems, side by side on simulated tomograms.

    python -m runs.quality.soups train OUT PICKS WEIGHTS [--worker I/N]    # makes what is missing in OUT
    python -m runs.quality.soups pick OUT [--worker I/N]                   # picks the two runs that no training saw
    python -m runs.quality.soups table OUT                                 # prints the table of docs/soups.md

PICKS is the table of the contest's true particles (czii_train_picks.csv), WEIGHTS what
runs/models/lite0_weights.py makes.

Seven tomograms of 20 Å voxels (92 x 315 x 315) hold their particles where the contest's seven have them. Five take
part in the trainings, each of which holds one of three of them out; two are seen by none. A small 3D U-Net (system B)
trains from random weights, or first on nine smaller tomograms of random layout; net A1 in small (system A) starts from
ImageNet weights. Thresholds and the choice of a greedy soup come from one of the two unseen runs, the score from the
other, and the other way round; both are pooled.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from tomosoup.cli.options.commands import SimulateCommand
from tomosoup.core.thresholds import apply_thresholds
from tomosoup.core.types import Picks
from tomosoup.data.options import AnnotatedData, DataOptions
from tomosoup.data.project import Project, open_project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.data.truth import read_truth
from tomosoup.inference.ensemble import ensemble_heatmap, read_picks
from tomosoup.inference.options.picking import PickingPlan, SegmentationOptions
from tomosoup.inference.tiling.symmetries import IN_PLANE
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.models.history import runs_seen
from tomosoup.models.nets.options import NetOptions, UNet3dOptions
from tomosoup.models.soup import greedy_soup, soup
from tomosoup.models.window_plan import WindowPlan
from tomosoup.scoring.score import score
from tomosoup.scoring.thresholds import best_thresholds, steady_thresholds
from tomosoup.simulation.options import MicroscopeOptions, SimulationRecipe
from tomosoup.simulation.project import simulate_project
from tomosoup.training.make_soup import with_statistics
from tomosoup.training.options import AugmentationOptions, LossOptions, TrainingRecipe
from tomosoup.training.run.best_epochs import kept_checkpoints
from tomosoup.training.supervision.crops import Crops, normalised, read_examples
from tomosoup.training.train import train
from tomosoup.training.tune import calibrate, out_of_fold

FOLDS, SEEDS = (0, 1, 2), (0, 1)
PLAN = PickingPlan()
"""Windows as each net was validated with."""
FOUR = ("flip_y", "flip_x", "transpose")
"""Besides the volume as it is: the 8th place's four views."""
EIGHT = tuple(IN_PLANE)
"""All in-plane symmetries."""
UNSEEN = 2
"""Runs, the last by name, that no training sees."""
BATCH, EPOCHS, UPDATES = 6, 5, 25
"""Crops an update, epochs of a training, updates an epoch; a training from random weights has twice the epochs."""


def recipes(weights: Path) -> dict[str, TrainingRecipe]:
    """What is trained, by name; "pretrained" goes on from "pretraining"."""
    flips = AugmentationOptions(affine_probability=0.0, intensity_probability=0.0)
    b = TrainingRecipe(
        net=UNet3dOptions(channels=(16, 32, 64, 64), residual_units=1, dropout=0.1),
        loss=LossOptions(name="dice"),
        crop_shape=(48, 48, 48),
        windows=WindowPlan(shape=(48, 96, 96), stride=(44, 88, 88), weighting="gaussian", border="inside"),
        augmentation=flips,
        crops_per_tomogram=BATCH * UPDATES // 4,
        epochs=EPOCHS,
        kept=EPOCHS,
        warmup_epochs=0.5,
        batch_size=BATCH,
        learning_rate=3e-3,
        average_decay=0.9,
    )
    a = TrainingRecipe(
        net=NetOptions(
            backbone="tf_efficientnet_lite0", backbone_weights=weights, input_slices=5, decoder_widths=(64, 48, 32)
        ),
        windows=WindowPlan(shape=(16, 64, 64), stride=(16, 48, 48), weighting="pyramid"),
        augmentation=flips,
        epochs=1,
        crops_per_epoch=120 * 8,
        warmup_epochs=0.1,
        batch_size=8,
        learning_rate=2e-3,
        average_decay=0.85,
    )
    return {
        "pretraining": b.model_copy(update={"crops_per_tomogram": BATCH * UPDATES // 8}),
        "pretrained": b,
        "scratch": b.model_copy(update={"epochs": 2 * EPOCHS, "validate_every": 2}),
        "A": a,
    }


def jobs() -> Iterator[tuple[str, int, int]]:
    """(recipe, fold, seed), a whole round of recipes before the next fold."""
    for seed in SEEDS:
        yield "pretraining", 0, seed
    for seed in SEEDS:
        for fold in FOLDS:
            for name in ("pretrained", "A", "scratch"):
                yield name, fold, seed


def work(out: Path, picks: Path, weights: Path, *, worker: int, workers: int) -> None:
    """Make what is missing of this worker's seeds: a worker has whole seeds, as pretraining comes first."""
    torch.set_num_threads(1)
    if not (out / "project").exists():
        microscope = MicroscopeOptions(dose=(20.0, 20.0))
        simulation = SimulationRecipe(shape=(92, 315, 315), voxel_size=20.0, microscope=microscope)
        simulate_project(SimulateCommand(out=out / "project", like=picks, simulation=simulation, seed=7))
    if not (out / "simulated").exists():
        microscope = MicroscopeOptions(dose=(30.0, 30.0))
        simulation = SimulationRecipe(shape=(64, 192, 192), voxel_size=20.0, microscope=microscope)
        simulate_project(SimulateCommand(out=out / "simulated", runs=9, simulation=simulation, seed=11))
    project = open_project(out / "project")
    data = AnnotatedData(runs=tuple(project.runs[:-UNSEEN]))
    for name, fold, seed in jobs():
        model = out / "models" / f"{name}-{fold}-{seed}.safetensors"
        if seed % workers != worker or model.exists():
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
        print(model.stem, checkpoint.history[-1]["f4"], flush=True)


def models(out: Path, name: str, seed: int) -> list[Checkpoint]:
    """The checkpoints of all folds."""
    return [load(out / "models" / f"{name}-{fold}-{seed}.safetensors") for fold in FOLDS]


def pick(project: Project, run: str, checkpoints: Sequence[Checkpoint], plan: PickingPlan) -> dict[str, Picks]:
    """Candidates of a run."""
    volume = select_tomogram(project, run, DataOptions()).read()
    return read_picks(ensemble_heatmap(volume, checkpoints, plan=plan), checkpoints, plan=plan)


def calibrated(project: Project, checkpoints: list[Checkpoint]) -> list[Checkpoint]:
    """With calibrations from the runs that each of them held out, as `tomosoup tune` sets them."""
    species = checkpoints[0].species
    found = calibrate(out_of_fold(project, checkpoints, plan=PLAN).peaks, species)
    return [replace(c, calibration=found) for c in checkpoints]


def greedy(project: Project, checkpoints: list[Checkpoint], run: str, truth: dict[str, Picks]) -> Checkpoint:
    """A greedy soup chosen on one run."""

    def score_of(mean: Checkpoint) -> float:
        return best_thresholds([(pick(project, run, [mean], PLAN), truth)], mean.species)[1].weighted

    mean, steps = greedy_soup(checkpoints, score_of)
    print("greedy on", run, [(FOLDS[i], round(value, 3), kept) for i, value, kept in steps], flush=True)
    return mean


def cells(
    out: Path, project: Project, seed: int
) -> Iterator[tuple[str, str, list[str], list[Checkpoint], PickingPlan]]:
    """What is picked with a seed's models: row, fold (or "-"), runs to pick, checkpoints, plan."""
    unseen = project.runs[-UNSEEN:]
    for name in ("pretrained", "scratch", "A"):
        folds = models(out, name, seed)
        for fold, checkpoint in zip(FOLDS, folds, strict=True):
            yield f"{name}: single fold", str(fold), unseen, [checkpoint], PLAN
        yield f"{name}: outputs of the folds averaged", "-", unseen, folds, PLAN
        mean = soup(folds)
        if name == "A":
            yield "A: soup, statistics of batch norm averaged", "-", unseen, [mean], PLAN
            runs = tuple(sorted(runs_seen(mean).trained))
            examples = normalised(read_examples(project, AnnotatedData(runs=runs)), mean.normalisation)
            recipe = TrainingRecipe.of(folds[0].history[-1]["recipe"], source="history")
            mean = with_statistics(mean, Crops(examples, mean.species, recipe))
        yield f"{name}: soup", "-", unseen, [mean], PLAN
    by_peaks = PLAN.model_copy(update={"segmentation": SegmentationOptions(method="peaks")})
    for name in ("pretrained", "scratch"):
        folds = models(out, name, seed)
        yield f"{name}: outputs of the folds averaged, read by peaks", "-", unseen, folds, by_peaks
        yield f"{name}: soup, read by peaks", "-", unseen, [soup(folds)], by_peaks
    b = models(out, "pretrained", seed)
    for views, names in ((4, FOUR), (8, EIGHT)):
        yield f"pretrained: soup, {views} views", "-", unseen, [soup(b)], PLAN.model_copy(update={"views": names})
    for fold in FOLDS:
        epochs = kept_checkpoints(out / "models" / f"pretrained-{fold}-{seed}.training")
        yield f"pretrained: soup of the {EPOCHS} epochs of a fold", str(fold), unseen, [soup(epochs)], PLAN
    for run, other in (unseen, unseen[::-1]):
        chosen = greedy(project, b, other, read_truth(project, other))
        yield "pretrained: greedy soup", "-", [run], [chosen], PLAN
    a = calibrated(project, models(out, "A", seed))
    for name in ("pretrained", "scratch"):
        mixed = [*a, *calibrated(project, models(out, name, seed))]
        yield f"A and {name} mixed, outputs of the folds averaged", "-", unseen, mixed, PLAN
    if seed == SEEDS[0]:
        both = [m for s in SEEDS for m in models(out, "pretrained", s)]
        yield "pretrained: soup of both seeds", "-", unseen, [soup(both)], PLAN


def pick_all(out: Path, *, worker: int, workers: int) -> None:
    """Pick what is missing of this worker's seeds."""
    torch.set_num_threads(1)
    project = open_project(out / "project")
    for seed in SEEDS[worker::workers]:
        for row, fold, runs, checkpoints, plan in cells(out, project, seed):
            for run in runs:
                path = out / "picks" / f"{row}|{fold}|{seed}|{run}.json"
                if path.exists():
                    continue
                found = pick(project, run, checkpoints, plan)
                path.parent.mkdir(exist_ok=True)
                path.write_text(
                    json.dumps({n: [p.zyx.round(1).tolist(), p.score.round(5).tolist()] for n, p in found.items()})
                )
                value = best_thresholds([(found, read_truth(project, run))], project.species)[1].weighted
                print(path.stem, round(value, 3), flush=True)


def table(out: Path) -> None:
    """A row a choice, best first: weighted F4 of both unseen runs together by seed (mean over folds), then of each."""
    project = open_project(out / "project")
    truth = {run: read_truth(project, run) for run in project.runs[-UNSEEN:]}
    rows: dict[str, dict[tuple[str, str], dict[str, dict[str, Picks]]]] = {}
    for file in sorted((out / "picks").glob("*.json")):
        row, fold, seed, run = file.stem.split("|")
        picks = {
            n: Picks(np.array(z).reshape(-1, 3), np.array(s)) for n, (z, s) in json.loads(file.read_text()).items()
        }
        rows.setdefault(row, {}).setdefault((seed, fold), {})[run] = picks
    lines = []
    for row, found in rows.items():
        by_seed: dict[str, list[float]] = {}
        single = []
        for (seed, _), by_run in found.items():
            kept = {}
            for run, other in (tuple(by_run), tuple(by_run)[::-1]):
                limits = steady_thresholds([(by_run[other], truth[other])], project.species)
                kept[run] = apply_thresholds(by_run[run], limits)
                single.append(score({run: kept[run]}, truth, project.species).weighted)
            by_seed.setdefault(seed, []).append(score(kept, truth, project.species).weighted)
        pooled = [v for values in by_seed.values() for v in values]
        seeds = " | ".join(f"{np.mean(by_seed[str(s)]):.3f}" if str(s) in by_seed else "-" for s in SEEDS)
        spread = f"{np.mean(single):.3f} ± {np.std(single, ddof=1):.3f}"
        lines.append((np.mean(pooled), f"| {row} | {seeds} | {spread} | {' '.join(f'{v:.2f}' for v in single)} |"))
    print("| row | " + " | ".join(f"seed {s}" for s in SEEDS) + " | a run: mean ± deviation | runs |")
    print("| --- |" + " ---: |" * len(SEEDS) + " ---: | --- |")
    for _, line in sorted(lines, reverse=True):
        print(line)


if __name__ == "__main__":
    out, share = Path(sys.argv[2]), (sys.argv[-1] if "--worker" in sys.argv else "0/1").split("/")
    if sys.argv[1] == "train":
        work(out, Path(sys.argv[3]), Path(sys.argv[4]), worker=int(share[0]), workers=int(share[1]))
    elif sys.argv[1] == "pick":
        pick_all(out, worker=int(share[0]), workers=int(share[1]))
    else:
        table(out)
