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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

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


def plan(depth: int, size: int, z_stride: int, stride: int) -> WindowPlan:
    """Windows that are square in the plane."""
    return WindowPlan(shape=(depth, size, size), stride=(z_stride, stride, stride), weighting="pyramid")


CORE = [plan(16, 128, 8, 48), plan(16, PLANE, 8, PLANE), plan(16, PLANE, 16, PLANE), plan(32, PLANE, 16, PLANE),
        plan(16, 128, 8, 64)]  # fmt: skip
"""Plans of the nets that were trained on 16 slices; the first is the paper's."""
FURTHER = [plan(16, 128, 8, 96), plan(16, 128, 8, 128), plan(16, 128, 16, 64)]
"""What else is tried with the ordinary net."""


def label_plan(size: int, stride: int) -> WindowPlan:
    """As deep as the tomogram, as the 8th place's windows nearly are."""
    return plan(48, size, 48, stride).model_copy(update={"weighting": "gaussian", "border": "inside"})


LINEAR = plan(16, 128, 8, 64).model_copy(update={"weighting": "linear"})
"""What the small nets of windows of 128 are validated with."""
SEEING = CORE[1].model_copy(update={"neighbours": True})
"""Whole planes whose first and last slices see their neighbours in z."""
LABELS = [label_plan(384, 288), label_plan(PLANE, PLANE), label_plan(224, 224), label_plan(96, 72)]
"""Plans of B; the first is the 8th place's."""


def trainings() -> dict[str, tuple[TrainingRecipe, list[WindowPlan]]]:
    """What is trained, by name, and the plans that it is picked with; the first is what the others are held against.

    Where the name ends in `OF_PLANES` nothing is trained: the net is the name's beginning's, its norms are of planes.
    """
    ordinary = {"crop_shape": None, "batch_size": 4, "norm_crops": 0, "windows": LINEAR}
    small = TrainingRecipe.read("small").model_copy(
        update={**ordinary, "epochs": 2, "validate_every": 2, "warmup_epochs": 0.3}
    )
    large = {"crop_shape": (16, 256, 256), "batch_size": 1}
    b = TrainingRecipe(
        net=UNet3dRecipe(channels=(16, 32, 64, 64), residual_units=1, dropout=0.1), loss=LossRecipe(name="dice"),
        augmentation=AugmentationRecipe(affine_chance=0.0, intensity_chance=0.0), windows=label_plan(192, 192),
        crop_shape=(48, 96, 96), crops_per_tomogram=48, epochs=1, warmup_epochs=0.1, batch_size=4,
        learning_rate=3e-3, average_decay=0.9,
    )  # fmt: skip
    return {
        "small": (small, CORE + FURTHER),
        "small, crops of 256": (small.model_copy(update=large), CORE),
        "small" + OF_PLANES: (small, CORE),
        "small, crops of 256" + OF_PLANES: (small, [*CORE[:3], SEEING]),
        "B": (b, LABELS),
    }


def simulate(out: Path, _: list[str]) -> None:
    """Make the project."""
    simulation = SimulationRecipe.read("simulated").model_copy(update={"shape": (48, PLANE, PLANE)})
    simulate_project(SimulateCommand(out=out / "project", runs=RUNS, seed=SIMULATION_SEED, simulation=simulation))


def train_all(out: Path, names: list[str]) -> None:
    """Train what is missing."""
    project = open_project(out / "project")
    data = AnnotatedData(runs=tuple(project.runs[: TRAINED + 1]))
    for name, seed, model in wanted(out, names):
        if not model.exists():
            if name.endswith(OF_PLANES):
                base = model.with_name(f"{name.removesuffix(OF_PLANES)}-{seed}.safetensors")
                if base.exists():
                    with_norms_of_planes(load(base), project).save(model)
                continue
            folder = model.with_suffix(".training")
            begun = (folder / "last.ckpt").is_file()
            recipe = trainings()[name][0].model_copy(update={"seed": seed})
            train(project, recipe, fold=TRAINED, folder=folder, data=data, resume=begun).save(model)


def with_norms_of_planes(checkpoint: Checkpoint, project: Project) -> Checkpoint:
    """The same net with the statistics that its batch norms have in whole planes of the runs it was trained on."""
    recipe = TrainingRecipe.of(checkpoint.history[-1]["recipe"], source="history")
    planes = recipe.model_copy(update={"crop_shape": (16, PLANE, PLANE), "crops_per_epoch": None})
    runs = AnnotatedData(runs=tuple(checkpoint.history[-1]["runs"]))
    examples = normalised(read_examples(project, runs), checkpoint.normalisation)
    return with_statistics(checkpoint, Crops(examples, checkpoint.species, planes))


def wanted(out: Path, names: list[str]) -> Iterator[tuple[str, int, Path]]:
    """Name, seed and file of every model: a whole round of names before the next seed."""
    for seed, name in product(SEEDS, names or trainings()):
        yield name, seed, out / "models" / f"{name}-{seed}.safetensors"


def measure_all(out: Path, names: list[str]) -> None:
    """Pick the held-out and the test runs with each plan of what is trained, a file each, and say what it took."""
    project = open_project(out / "project")
    for name, _, model in wanted(out, names):
        for windows, run in product(trainings()[name][1] if model.exists() else [], project.runs[TRAINED:RUNS]):
            path = row_file(out, model, windows, run)
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(row := measure(project, run, replace(load(model), windows=windows))))
                print(model.stem, path.stem, f"{row['predicting']:.1f} s", flush=True)


def measure(project: Project, run: str, checkpoint: Checkpoint) -> dict[str, Any]:
    """Pick a run: CPU seconds of the net's part, operations a voxel, picks."""
    volume = select_tomogram(project, run, DataRecipe()).read()
    began = time.process_time()
    output = ensemble_heatmap(volume, [checkpoint])
    seconds = time.process_time() - began
    picks = read_picks(output, [checkpoint], plan=PickingPlan())
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        checkpoint.net()(torch.zeros(1, 1, *checkpoint.windows.shape))
    count = len(window_regions(volume.shape, checkpoint.windows))
    return {
        "predicting": seconds,
        "flops": counter.get_total_flops() * count / volume.data.numel(),
        "picks": {n: [p.zyx.round(1).tolist(), p.score.round(5).tolist()] for n, p in picks.items()},
    }


def row_file(out: Path, model: Path, windows: WindowPlan, run: str) -> Path:
    """Where a net's picks of a run by a plan are kept: named for window and stride along z, then in the plane."""
    (z, y, _), (dz, dy, _) = windows.shape, windows.stride
    plane = "whole planes" if y == PLANE else f"{y} at {dy}"
    beyond = ", neighbours" if windows.neighbours else ""
    return out / "rows" / model.stem / f"{z} at {dz}, {plane}{beyond}-{run}.json"


@dataclass(frozen=True)
class Result:
    """A plan of a net: F4 over the test runs together and of each; CPU seconds and operations for a tomogram.

    `best` is F4 with the thresholds that are best on the test runs: it flatters, but thresholds add no noise to it.
    """

    plan: str
    f4: float
    runs: list[float]
    best: float
    seconds: float
    flops: float


def results(out: Path) -> Iterator[tuple[str, list[Result]]]:
    """Each net that is measured, with its plans in their order."""
    project = open_project(out / "project")
    truth = {run: read_truth(project, run) for run in project.runs[TRAINED:RUNS]}
    for name, seed, model in wanted(out, []):
        files = [{run: row_file(out, model, p, run) for run in truth} for p in trainings()[name][1]]
        found = [result(by_run, truth, project.species) for by_run in files if all(f.exists() for f in by_run.values())]
        if found:
            yield f"{name}, seed {seed}", found


def result(files: Mapping[str, Path], truth: PicksByRun, species: Sequence[Species]) -> Result:
    """What the rows of a plan come to; the first run of the truth sets the thresholds."""
    held_out, *tests = truth
    rows = {run: json.loads(file.read_text()) for run, file in files.items()}
    picks = {
        run: {n: Picks(np.array(zyx).reshape(-1, 3), np.array(s)) for n, (zyx, s) in row["picks"].items()}
        for run, row in rows.items()
    }
    limits = steady_thresholds([(picks[held_out], truth[held_out])], species)
    sure = {run: apply_thresholds(picks[run], limits) for run in tests}
    return Result(
        plan=files[held_out].stem.rsplit("-", 1)[0],
        f4=score(sure, truth, species).weighted,
        runs=[score({run: sure[run]}, truth, species).weighted for run in tests],
        best=best_thresholds([(picks[run], truth[run]) for run in tests], species)[1].weighted,
        seconds=float(np.median([row["predicting"] for row in rows.values()])),
        flops=rows[held_out]["flops"],
    )


def table(out: Path, _: list[str]) -> None:
    """A row a plan of each net; "against" and "times" hold it against the net's first."""
    print("| net | windows | F4 | against | runs | best | s | times | kflop a voxel |")
    print("| --- | --- | ---: | ---: | --- | ---: | ---: | ---: | ---: |")
    for net, found in results(out):
        for r in found:
            print(
                f"| {net} | {r.plan} | {r.f4:.3f} | {r.f4 - found[0].f4:+.3f} | {' '.join(f'{v:.2f}' for v in r.runs)} "
                f"| {r.best:.3f} | {r.seconds:.1f} | {found[0].seconds / r.seconds:.1f} | {r.flops / 1e3:.0f} |"
            )


def draw(out: Path, paths: list[str]) -> None:
    """F4 against seconds, a colour a net: windows as a line with dots, whole planes as a dashed one with squares."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    for i, (net, found) in enumerate(results(out)):
        for whole, style in ((False, "o-"), (True, "s--")):
            rows = sorted((r for r in found if ("planes" in r.plan) == whole), key=lambda r: r.seconds)
            places = [r.seconds for r in rows], [r.f4 for r in rows]
            axes.plot(*places, style, color=f"C{i}", label=None if whole else net)
    axes.set(xscale="log", xlabel="CPU seconds for a tomogram of 48 x 448 x 448, one thread", ylabel="weighted F4")
    axes.set_xticks(ticks := [4, 6, 8, 10, 15, 20, 30], ticks)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, title="dots: windows; squares: whole planes")
    figure.savefig(paths[0], dpi=100)


if __name__ == "__main__":
    torch.set_num_threads(1)
    commands = {"simulate": simulate, "train": train_all, "measure": measure_all, "table": table, "figure": draw}
    commands[sys.argv[1]](Path(sys.argv[2]), sys.argv[3:])
