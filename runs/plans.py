"""F4 against time: which windows cost how much, for nets trained on small crops and on large ones.

    python runs/plans.py simulate OUT
    python runs/plans.py train OUT WEIGHTS [NAME ...]    # trains what is missing in OUT
    python runs/plans.py measure OUT [NAME ...]          # picks with every plan what is trained
    python runs/plans.py table OUT                       # prints the table of docs/speed-plans.md
    python runs/plans.py figure OUT docs/plans.png

WEIGHTS is what runs/lite0_weights.py makes; NAME is a key of `trainings`, all by default. Each can be stopped and
started again: every row is a file.

Nine simulated tomograms (recipe `simulated`, 48 x 448 x 448 voxels of 10 Å): five to train on, one held out, which sets
the thresholds (`steady_thresholds`, with the same plan), three to score. A training has one validation, at its end, so
that nothing is chosen by it. Seconds are CPU seconds of one thread, so that other work on the machine does not count.
"""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch.utils.flop_counter import FlopCounterMode

from tomosoup.checkpoints import Checkpoint, load
from tomosoup.crops import Crops, normalised, read_examples
from tomosoup.ensembles import ensemble_heatmap, read_picks
from tomosoup.evaluation import apply_thresholds, best_thresholds, score, steady_thresholds
from tomosoup.io.project import Project, open_project
from tomosoup.io.selection import read_truth, select_tomogram
from tomosoup.recipes.commands import SimulateCommand
from tomosoup.recipes.data import AnnotatedData, DataRecipe
from tomosoup.recipes.nets import NetRecipe, UNet3dRecipe
from tomosoup.recipes.picking import PickingPlan, WindowPlan
from tomosoup.recipes.simulation import SimulationRecipe
from tomosoup.recipes.training import AugmentationRecipe, LossRecipe, TrainingRecipe
from tomosoup.simulation.projects import simulate_project
from tomosoup.soups import with_statistics
from tomosoup.training import train
from tomosoup.types import Picks
from tomosoup.windows import window_regions

RUNS, TRAINED, SIMULATION_SEED = 9, 5, 21
SEEDS = (0, 1)
PLANE = 448
"""Voxels of a tomogram along y and x."""


def plan(depth: int, size: int, z_stride: int, stride: int, weighting: str = "pyramid") -> WindowPlan:
    """Windows that are square in the plane."""
    return WindowPlan.of(
        {"shape": (depth, size, size), "stride": (z_stride, stride, stride), "weighting": weighting}, source="plan"
    )


PAPER = plan(16, 128, 8, 48)
CORE = [
    PAPER,
    plan(16, 128, 8, 64),
    plan(16, 256, 8, 128),
    plan(16, PLANE, 8, PLANE),
    plan(16, PLANE, 16, PLANE),
    plan(32, PLANE, 16, PLANE),
]
"""Plans of the nets that were trained on 16 slices; the first is the paper's."""
FURTHER = [
    plan(16, 128, 8, 96),
    plan(16, 128, 8, 128),
    plan(16, 128, 16, 64),
    plan(16, 192, 8, 96),
    plan(16, 256, 8, 192),
    plan(16, 320, 8, 128),
    plan(16, PLANE, 12, PLANE),
    plan(32, PLANE, 8, PLANE),
    plan(48, PLANE, 48, PLANE),
]
"""What else is tried with the ordinary net."""
DEEP = [plan(32, 128, 16, 48), plan(32, PLANE, 16, PLANE), plan(48, PLANE, 48, PLANE)]
"""Plans of A2; the first is the paper's."""


def label_plan(size: int, stride: int) -> WindowPlan:
    """As deep as the tomogram, as the 8th place's windows nearly are."""
    return plan(48, size, 48, stride, "gaussian").model_copy(update={"border": "inside"})


LABELS = [label_plan(384, 288), label_plan(PLANE, PLANE), label_plan(224, 168), label_plan(224, 224),
          label_plan(96, 72), label_plan(96, 96)]  # fmt: skip
"""Plans of B; the first is the 8th place's."""


@dataclass(frozen=True)
class Training:
    """What is trained, and the plans that it is picked with; the first is what the others are held against.

    With `of` nothing is trained: it is that net, the statistics of its batch norms re-estimated on the recipe's crops.
    """

    recipe: TrainingRecipe
    plans: Sequence[WindowPlan] = tuple(CORE)
    seeds: tuple[int, ...] = SEEDS
    of: str | None = None


def trainings(weights: Path) -> dict[str, Training]:
    """What is trained, by name."""
    small = TrainingRecipe.read("small").model_copy(update={"epochs": 2, "validate_every": 2})
    large = {"crop_shape": (16, 256, 256), "batch_size": 1}
    plane = {"crop_shape": (16, PLANE, PLANE)}
    backbone = NetRecipe(
        backbone="tf_efficientnet_lite0", backbone_weights=weights, input_slices=5, decoder_widths=(64, 48, 32)
    )
    lite = small.model_copy(update={"epochs": 1, "validate_every": 1, "net": backbone})
    a2 = lite.model_copy(update={
        "net": backbone.model_copy(update={
            "name": "pyramid_unet", "depth_stride_limit": 4, "depth_mixing": True, "decoder_widths": (32, 48, 32, 16)
        }),
        "loss": LossRecipe(name="balanced"), "sigma_by_radius": 0.5, "windows": plan(32, 128, 32, 128),
        "batch_size": 2, "crops_per_epoch": 120, "average_decay": 0.9,
    })  # fmt: skip
    b = TrainingRecipe(
        net=UNet3dRecipe(channels=(16, 32, 64, 64), residual_units=1, dropout=0.1),
        loss=LossRecipe(name="dice"),
        crop_shape=(48, 96, 96),
        windows=label_plan(192, 192),
        augmentation=AugmentationRecipe(affine_chance=0.0, intensity_chance=0.0),
        crops_per_tomogram=64,
        epochs=1,
        warmup_epochs=0.1,
        batch_size=4,
        learning_rate=3e-3,
        average_decay=0.9,
    )
    return {
        "small": Training(small, CORE + FURTHER),
        "small, crops of 256": Training(small.model_copy(update=large)),
        "small, norms of its crops": Training(small, CORE[:1], of="small"),
        "small, norms of planes": Training(small.model_copy(update=plane), CORE, of="small"),
        "small, crops of 256, norms of planes": Training(
            small.model_copy(update=plane), CORE[3:], of="small, crops of 256"
        ),
        "A2": Training(a2, DEEP, (0,)),
        "A2, crops of 192": Training(a2.model_copy(update={
            "crop_shape": (32, 192, 192), "batch_size": 1, "crops_per_epoch": 60
        }), DEEP, (0,)),
        "A2, norms of planes": Training(
            a2.model_copy(update={"crop_shape": (32, PLANE, PLANE)}), DEEP[1:3], (0,), of="A2"
        ),
        "B": Training(b, LABELS, (0,)),
        "B, crops of 192": Training(b.model_copy(update={
            "crop_shape": (48, 192, 192), "batch_size": 1, "crops_per_tomogram": 16
        }), LABELS, (0,)),
    }  # fmt: skip


def simulate(out: Path) -> None:
    """Make the project."""
    simulation = SimulationRecipe.read("simulated").model_copy(update={"shape": (48, PLANE, PLANE)})
    simulate_project(SimulateCommand(out=out / "project", runs=RUNS, seed=SIMULATION_SEED, simulation=simulation))


def train_all(out: Path, weights: Path, names: list[str]) -> None:
    """Train what is missing."""
    project = open_project(out / "project")
    data = AnnotatedData(runs=tuple(project.runs[: TRAINED + 1]))
    for name, seed, model in wanted(out, weights, names):
        if not model.exists():
            wish = trainings(weights)[name]
            recipe = wish.recipe.model_copy(update={"seed": seed})
            if wish.of:
                if not (file := model.with_name(f"{wish.of}-{seed}.safetensors")).exists():
                    continue
                base = load(file)
                examples = read_examples(project, AnnotatedData(runs=data.runs[:TRAINED]))
                crops = Crops(normalised(examples, base.normalisation), base.species, recipe)
                with_statistics(base, crops).save(model)
                continue
            folder = model.with_suffix(".training")
            begun = (folder / "last.ckpt").is_file()
            train(project, recipe, fold=TRAINED, folder=folder, data=data, resume=begun).save(model)
            print(model.stem, "trained", flush=True)


def wanted(out: Path, weights: Path, names: list[str]) -> Iterator[tuple[str, int, Path]]:
    """Name, seed and file of every model: a whole round of names before the next seed."""
    known = trainings(weights)
    for seed, name in product(SEEDS, names or known):
        if seed in known[name].seeds:
            yield name, seed, out / "models" / f"{name}-{seed}.safetensors"


def measure_all(out: Path, names: list[str]) -> None:
    """Measure what is trained and not yet measured."""
    project = open_project(out / "project")
    for name, _, model in wanted(out, Path(), names):
        if model.exists():
            measure(out, project, load(model), model.stem, trainings(Path())[name].plans)


def measure(out: Path, project: Project, checkpoint: Checkpoint, stem: str, plans: Sequence[WindowPlan]) -> None:
    """Pick the held-out and the test runs with each plan, a file each, and say what it took."""
    for windows, run in product(plans, project.runs[TRAINED:RUNS]):
        path = out / "rows" / stem / f"{title(windows)}-{run}.json"
        if path.exists():
            continue
        volume = select_tomogram(project, run, DataRecipe()).read()
        model = replace(checkpoint, windows=windows)
        began = time.process_time()
        output = ensemble_heatmap(volume, [model])
        predicted = time.process_time()
        picks = read_picks(output, [model], plan=PickingPlan())
        row = {
            "predicting": predicted - began,
            "reading": time.process_time() - predicted,
            "flops": flops(model) * len(window_regions(volume.shape, windows)) / volume.data.numel(),
            "picks": {n: [p.zyx.round(1).tolist(), p.score.round(5).tolist()] for n, p in picks.items()},
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(row))
        print(stem, title(windows), run, f"{predicted - began:.1f} s", flush=True)


def flops(model: Checkpoint) -> int:
    """Floating-point operations for a window."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.net()(torch.zeros(1, 1, *model.windows.shape))
    return int(counter.get_total_flops())


def title(windows: WindowPlan) -> str:
    """A plan's name: window and stride along z, then in the plane."""
    (z, y, _), (dz, dy, _) = windows.shape, windows.stride
    return f"{z} at {dz}, {'whole planes' if y == PLANE else f'{y} at {dy}'}"


@dataclass(frozen=True)
class Result:
    """A plan of a net: F4 over the test runs together and of each; seconds and operations for a tomogram."""

    plan: str
    f4: float
    best: float
    """F4 with the thresholds that are best on the test runs themselves: it flatters, but thresholds add no noise."""
    runs: list[float]
    predicting: float
    reading: float
    flops: float


def results(out: Path, project: Project) -> Iterator[tuple[str, list[Result]]]:
    """Each net that is measured, with its plans in their order."""
    truth = {run: read_truth(project, run) for run in project.runs[TRAINED:RUNS]}
    held_out, *tests = truth
    for name, seed, model in wanted(out, Path(), []):
        found = []
        for windows in trainings(Path())[name].plans:
            files = {run: out / "rows" / model.stem / f"{title(windows)}-{run}.json" for run in truth}
            if not all(file.exists() for file in files.values()):
                continue
            rows = {run: json.loads(file.read_text()) for run, file in files.items()}
            picks = {
                run: {n: Picks(np.array(z).reshape(-1, 3), np.array(s)) for n, (z, s) in row["picks"].items()}
                for run, row in rows.items()
            }
            limits = steady_thresholds([(picks[held_out], truth[held_out])], project.species)
            sure = {run: apply_thresholds(picks[run], limits) for run in tests}
            flattered = best_thresholds([(picks[run], truth[run]) for run in tests], project.species)[1]
            middle = {
                k: float(np.median([row[k] for row in rows.values()])) for k in ("predicting", "reading", "flops")
            }
            found.append(
                Result(
                    plan=title(windows),
                    f4=score(sure, truth, project.species).weighted,
                    best=flattered.weighted,
                    runs=[score({run: sure[run]}, truth, project.species).weighted for run in tests],
                    **middle,
                )
            )
        if found:
            yield f"{name}, seed {seed}", found


def table(out: Path) -> None:
    """A row a plan of each net; "against" and "times" hold it against the net's first."""
    print("| net | windows | F4 | against | runs | best | s | times | kflop a voxel |")
    print("| --- | --- | ---: | ---: | --- | ---: | ---: | ---: | ---: |")
    for net, (first, *others) in results(out, open_project(out / "project")):
        for r in (first, *others):
            print(
                f"| {net} | {r.plan} | {r.f4:.3f} | {r.f4 - first.f4:+.3f} | {' '.join(f'{v:.3f}' for v in r.runs)} | "
                f"{r.best:.3f} | {r.predicting:.1f} | {first.predicting / r.predicting:.1f} | {r.flops / 1e3:.0f} |"
            )


def draw(out: Path, path: Path) -> None:
    """F4 against seconds, a line a net, from its slowest plan to its fastest."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    for net, found in results(out, open_project(out / "project")):
        rows = sorted(found, key=lambda r: r.predicting)
        axes.plot([r.predicting for r in rows], [r.f4 for r in rows], marker="o", label=net)
    axes.set(xscale="log", xlabel="CPU seconds for a tomogram of 48 x 448 x 448, one thread", ylabel="weighted F4")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    torch.set_num_threads(1)
    command, out = sys.argv[1], Path(sys.argv[2])
    if command == "simulate":
        simulate(out)
    elif command == "train":
        train_all(out, Path(sys.argv[3]), sys.argv[4:])
    elif command == "measure":
        measure_all(out, sys.argv[3:])
    elif command == "table":
        table(out)
    elif command == "figure":
        draw(out, Path(sys.argv[3]))
