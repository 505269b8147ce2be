"""F4 against time: which windows cost how much, for nets trained on small crops and on large ones.

    python runs/plans.py simulate OUT
    python runs/plans.py train OUT [NAME ...]            # trains what is missing in OUT
    python runs/plans.py measure OUT [NAME ...]          # picks with every plan what is trained
    python runs/plans.py table OUT                       # prints the table of docs/speed-plans.md
    python runs/plans.py figure OUT docs/plans.png

NAME is a key of `trainings`, all by default. Each can be stopped and started again: every row is a file.

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
from tomosoup.io.tables import PicksByRun
from tomosoup.recipes.commands import SimulateCommand
from tomosoup.recipes.data import AnnotatedData, DataRecipe
from tomosoup.recipes.nets import UNet3dRecipe
from tomosoup.recipes.picking import PickingPlan, WindowPlan
from tomosoup.recipes.simulation import SimulationRecipe
from tomosoup.recipes.training import AugmentationRecipe, LossRecipe, TrainingRecipe
from tomosoup.simulation.projects import simulate_project
from tomosoup.soups import with_statistics
from tomosoup.training import train
from tomosoup.types import Picks, Species
from tomosoup.windows import window_regions

RUNS, TRAINED, SIMULATION_SEED = 9, 5, 21
SEEDS = (0, 1)
OF_PLANES = ", norms of planes"
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
    plan(16, PLANE, 8, PLANE),
    plan(16, PLANE, 16, PLANE),
    plan(32, PLANE, 16, PLANE),
    plan(16, 128, 8, 64),
    plan(16, 256, 8, 128),
]
"""Plans of the nets that were trained on 16 slices; the first is the paper's."""
FURTHER = [
    plan(16, 128, 8, 96),
    plan(16, 128, 8, 128),
    plan(16, 128, 16, 64),
    plan(16, 192, 8, 96),
    plan(16, 256, 8, 192),
]
"""What else is tried with the ordinary net."""


def label_plan(size: int, stride: int) -> WindowPlan:
    """As deep as the tomogram, as the 8th place's windows nearly are."""
    return plan(48, size, 48, stride, "gaussian").model_copy(update={"border": "inside"})


LABELS = [label_plan(384, 288), label_plan(PLANE, PLANE), label_plan(224, 168), label_plan(224, 224),
          label_plan(96, 72), label_plan(96, 96)]  # fmt: skip
"""Plans of B; the first is the 8th place's."""


@dataclass(frozen=True)
class Training:
    """What is trained, and the plans that it is picked with; the first is what the others are held against.

    Where the name ends in `OF_PLANES` nothing is trained: it is the net of the name's beginning, its batch norms with
    their statistics in whole planes.
    """

    recipe: TrainingRecipe
    plans: Sequence[WindowPlan] = tuple(CORE)
    seeds: tuple[int, ...] = SEEDS


def trainings() -> dict[str, Training]:
    """What is trained, by name."""
    small = TrainingRecipe.read("small").model_copy(update={"epochs": 2, "validate_every": 2})
    large = {"crop_shape": (16, 256, 256), "batch_size": 1}
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
        "small" + OF_PLANES: Training(small),
        "small, crops of 256" + OF_PLANES: Training(small, CORE[:4]),
        "B": Training(b, LABELS, (0,)),
    }


def simulate(out: Path) -> None:
    """Make the project."""
    simulation = SimulationRecipe.read("simulated").model_copy(update={"shape": (48, PLANE, PLANE)})
    simulate_project(SimulateCommand(out=out / "project", runs=RUNS, seed=SIMULATION_SEED, simulation=simulation))


def train_all(out: Path, names: list[str]) -> None:
    """Train what is missing."""
    project = open_project(out / "project")
    data = AnnotatedData(runs=tuple(project.runs[: TRAINED + 1]))
    for name, seed, model in wanted(out, names):
        if not model.exists():
            wish = trainings()[name]
            recipe = wish.recipe.model_copy(update={"seed": seed})
            if name.endswith(OF_PLANES):
                base = model.with_name(f"{name.removesuffix(OF_PLANES)}-{seed}.safetensors")
                if base.exists():
                    with_norms_of_planes(load(base), project).save(model)
                continue
            folder = model.with_suffix(".training")
            begun = (folder / "last.ckpt").is_file()
            train(project, recipe, fold=TRAINED, folder=folder, data=data, resume=begun).save(model)
            print(model.stem, "trained", flush=True)


def with_norms_of_planes(checkpoint: Checkpoint, project: Project) -> Checkpoint:
    """The same net with the statistics that its batch norms have in whole planes of the runs it was trained on."""
    recipe = TrainingRecipe.of(checkpoint.history[-1]["recipe"], source="history")
    planes = recipe.model_copy(update={"crop_shape": (16, PLANE, PLANE), "crops_per_epoch": None})
    runs = AnnotatedData(runs=tuple(checkpoint.history[-1]["runs"]))
    examples = normalised(read_examples(project, runs), checkpoint.normalisation)
    return with_statistics(checkpoint, Crops(examples, checkpoint.species, planes))


def wanted(out: Path, names: list[str]) -> Iterator[tuple[str, int, Path]]:
    """Name, seed and file of every model: a whole round of names before the next seed."""
    known = trainings()
    for seed, name in product(SEEDS, names or known):
        if seed in known[name].seeds:
            yield name, seed, out / "models" / f"{name}-{seed}.safetensors"


def measure_all(out: Path, names: list[str]) -> None:
    """Measure what is trained and not yet measured."""
    project = open_project(out / "project")
    for name, _, model in wanted(out, names):
        if model.exists():
            measure(out, project, load(model), model.stem, trainings()[name].plans)


def measure(out: Path, project: Project, checkpoint: Checkpoint, stem: str, plans: Sequence[WindowPlan]) -> None:
    """Pick the held-out and the test runs with each plan, a file each, and say what it took."""
    for windows, run in product(plans, project.runs[TRAINED:RUNS]):
        path = row_file(out / "rows" / stem, windows, run)
        if path.exists():
            continue
        volume = select_tomogram(project, run, DataRecipe()).read()
        model = replace(checkpoint, windows=windows)
        began = time.process_time()
        output = ensemble_heatmap(volume, [model])
        seconds = time.process_time() - began
        picks = read_picks(output, [model], plan=PickingPlan())
        row = {
            "predicting": seconds,
            "flops": flops(model) * len(window_regions(volume.shape, windows)) / volume.data.numel(),
            "picks": {n: [p.zyx.round(1).tolist(), p.score.round(5).tolist()] for n, p in picks.items()},
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(row))
        print(stem, title(windows), run, f"{seconds:.1f} s", flush=True)


def flops(model: Checkpoint) -> int:
    """Floating-point operations for a window."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.net()(torch.zeros(1, 1, *model.windows.shape))
    return int(counter.get_total_flops())


def title(windows: WindowPlan) -> str:
    """A plan's name: window and stride along z, then in the plane."""
    (z, y, _), (dz, dy, _) = windows.shape, windows.stride
    return f"{z} at {dz}, {'whole planes' if y == PLANE else f'{y} at {dy}'}"


def row_file(folder: Path, windows: WindowPlan, run: str) -> Path:
    """Where a net's picks of a run by a plan are kept."""
    return folder / f"{title(windows)}-{run}.json"


@dataclass(frozen=True)
class Result:
    """A plan of a net: F4 over the test runs together and of each; CPU seconds and operations for a tomogram."""

    plan: str
    f4: float
    runs: list[float]
    best: float
    """F4 with the thresholds that are best on the test runs themselves: it flatters, but thresholds add no noise."""
    seconds: float
    flops: float


def results(out: Path) -> Iterator[tuple[str, list[Result]]]:
    """Each net that is measured, with its plans in their order."""
    project = open_project(out / "project")
    truth = {run: read_truth(project, run) for run in project.runs[TRAINED:RUNS]}
    for name, seed, model in wanted(out, []):
        folder = out / "rows" / model.stem
        measured = [p for p in trainings()[name].plans if all(row_file(folder, p, run).exists() for run in truth)]
        if measured:
            yield f"{name}, seed {seed}", [result(folder, p, truth, project.species) for p in measured]


def result(folder: Path, windows: WindowPlan, truth: PicksByRun, species: Sequence[Species]) -> Result:
    """What the rows of a plan come to; the first run of the truth sets the thresholds."""
    held_out, *tests = truth
    rows = {run: json.loads(row_file(folder, windows, run).read_text()) for run in truth}
    picks = {
        run: {n: Picks(np.array(zyx).reshape(-1, 3), np.array(s)) for n, (zyx, s) in row["picks"].items()}
        for run, row in rows.items()
    }
    limits = steady_thresholds([(picks[held_out], truth[held_out])], species)
    sure = {run: apply_thresholds(picks[run], limits) for run in tests}
    return Result(
        plan=title(windows),
        f4=score(sure, truth, species).weighted,
        runs=[score({run: sure[run]}, truth, species).weighted for run in tests],
        best=best_thresholds([(picks[run], truth[run]) for run in tests], species)[1].weighted,
        seconds=float(np.median([row["predicting"] for row in rows.values()])),
        flops=float(np.median([row["flops"] for row in rows.values()])),
    )


def table(out: Path) -> None:
    """A row a plan of each net; "against" and "times" hold it against the net's first."""
    print("| net | windows | F4 | against | runs | best | s | times | kflop a voxel |")
    print("| --- | --- | ---: | ---: | --- | ---: | ---: | ---: | ---: |")
    for net, found in results(out):
        for r in found:
            print(
                f"| {net} | {r.plan} | {r.f4:.3f} | {r.f4 - found[0].f4:+.3f} | {' '.join(f'{v:.2f}' for v in r.runs)} "
                f"| {r.best:.3f} | {r.seconds:.1f} | {found[0].seconds / r.seconds:.1f} | {r.flops / 1e3:.0f} |"
            )


def draw(out: Path, path: Path) -> None:
    """F4 against seconds, a line a net, from its fastest plan to its slowest."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    for net, found in results(out):
        rows = sorted(found, key=lambda r: r.seconds)
        axes.plot([r.seconds for r in rows], [r.f4 for r in rows], marker="o", alpha=0.8, label=net)
    axes.set(xscale="log", xlabel="CPU seconds for a tomogram of 48 x 448 x 448, one thread", ylabel="weighted F4")
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    torch.set_num_threads(1)
    command, out, *rest = sys.argv[1:]
    if command == "figure":
        draw(Path(out), Path(rest[0]))
    elif command in ("train", "measure"):
        {"train": train_all, "measure": measure_all}[command](Path(out), rest)
    else:
        {"simulate": simulate, "table": table}[command](Path(out))
