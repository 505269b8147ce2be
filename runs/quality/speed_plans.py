"""F4 against time: what fewer and larger windows, and bf16, cost a net of each kind.

    python -m runs.quality.speed_plans simulate OUT
    python -m runs.quality.speed_plans train OUT [NAME ...]            # trains what is missing in OUT
    python -m runs.quality.speed_plans measure OUT [NAME ...]          # picks in every way what is trained
    python -m runs.quality.speed_plans table OUT                       # prints the table of docs/speed-plans.md
    python -m runs.quality.speed_plans figure OUT docs/plans.png

NAME is a key of `trainings`, all by default. Each can be stopped and started again: every row is a file.

Twelve simulated tomograms (recipe `simulated`, 48 x 448 x 448 voxels of 10 Å): five to train on, one held out, which
sets the thresholds (`steady_thresholds`, picked in the same way), six to score. A training has one validation, at its
end, so that nothing is chosen by it. Seconds are CPU seconds of one thread, so that other work on the machine does not
count.
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from matplotlib.figure import Figure
from torch.utils.flop_counter import FlopCounterMode

from tomosoup.cli.options.commands import SimulateCommand
from tomosoup.core.thresholds import apply_thresholds
from tomosoup.core.types import Picks, PicksByRun, Species
from tomosoup.data.options import AnnotatedData, DataOptions
from tomosoup.data.project import Project, open_project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.data.truth import read_truth
from tomosoup.inference.engines.net_cache import Nets
from tomosoup.inference.ensemble import ensemble_heatmap, read_picks
from tomosoup.inference.options.hardware import InferenceOptions
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.inference.tiling.windows import window_regions
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.models.nets.options import UNet3dOptions
from tomosoup.models.window_plan import WindowPlan
from tomosoup.scoring.score import score
from tomosoup.scoring.thresholds import best_thresholds, steady_thresholds
from tomosoup.simulation.options import SimulationRecipe
from tomosoup.simulation.project import simulate_project
from tomosoup.training.options import AugmentationOptions, LossOptions, TrainingRecipe
from tomosoup.training.train import train

RUNS, TRAINED, SIMULATION_SEED = 12, 5, 21
SEEDS = (0,)
PLANE = 448
"""Voxels of a tomogram along y and x."""


@dataclass(frozen=True)
class Way:
    """Windows and the arithmetic of the net in them."""

    windows: WindowPlan
    precision: Literal["fp32", "bf16"] = "bf16"

    @property
    def name(self) -> str:
        """Window and stride along z, then in the plane; then the arithmetic."""
        (z, y, _), (dz, dy, _) = self.windows.shape, self.windows.stride
        plane = "whole planes" if y == PLANE else f"{y} at {dy}"
        return f"{z} at {dz}, {plane}, {self.precision}"


def ways(depth: int) -> list[Way]:
    """The paper's windows, in fp32 and in bf16; fewer; larger ones; whole planes with and without overlap in z."""
    half = depth // 2
    sizes = [(half, 128, 48), (half, 128, 64), (half, PLANE, PLANE), (depth, PLANE, PLANE), (half, 256, 96),
             (half, 256, 192)]  # fmt: skip
    plans = [
        WindowPlan(
            shape=(depth, wide, wide),
            stride=(dz, step, step),
            weighting="pyramid",
            border="inside" if wide == 256 else "zeros",
        )
        for dz, wide, step in sizes
    ]
    return [Way(plans[0], "fp32"), *map(Way, plans)]


PLANES = WindowPlan(shape=(16, 1024, 1024), stride=(8, 768, 768), border="inside")
"""What the nets that predict heatmaps are validated in, and have the norms of."""
LABELS = [
    Way(WindowPlan(shape=(48, wide, wide), stride=(48, step, step), weighting="gaussian", border="inside"), precision)
    for wide, step, precision in [(384, 288, "fp32"), (384, 288, "bf16"), (PLANE, PLANE, "bf16"), (224, 168, "bf16")]
]
"""Ways of B, as deep as the tomogram, as the 8th place's nearly are; the first is theirs."""


def trainings() -> dict[str, tuple[TrainingRecipe, list[Way]]]:
    """What is trained, by name, and the ways that it is picked in; the first is what the others are held against.

    The recipes `small`, `yu4u`, `tattaka` and `soup-tiny` with smaller nets, from scratch, for 450 updates (B: 120);
    those that predict heatmaps on large crops with norms of planes.
    """
    small = TrainingRecipe.read("small").model_copy(
        update={"epochs": 2, "validate_every": 2, "warmup_epochs": 0.3, "windows": PLANES}
    )
    a1 = small.net.model_copy(update={"backbone": "tf_efficientnet_lite0", "decoder_widths": (128, 96, 64)})
    a2 = small.net.model_copy(update={
        "name": "pyramid_unet", "backbone": "resnet10t", "input_slices": 1, "depth_stride_limit": 4,
        "depth_mixing": True, "decoder_widths": (32, 48, 32, 16),
    })  # fmt: skip
    deep = {"shape": (32, *small.windows.shape[1:]), "stride": (16, *small.windows.stride[1:])}
    b = TrainingRecipe(
        net=UNet3dOptions(channels=(16, 32, 64, 64), residual_units=1, dropout=0.1), loss=LossOptions(name="dice"),
        augmentation=AugmentationOptions(affine_probability=0.0, intensity_probability=0.0), windows=LABELS[0].windows,
        crop_shape=(48, 96, 96), crops_per_tomogram=96, epochs=1, warmup_epochs=0.1, batch_size=4,
        learning_rate=3e-3, average_decay=0.9,
    )  # fmt: skip
    return {
        "small": (small, ways(16)),
        "A1": (small.model_copy(update={"net": a1}), ways(16)),
        "A2": (
            small.model_copy(update={
                "net": a2, "loss": LossOptions(name="balanced"), "sigma_by_radius": 0.5, "sigma": None,
                "crop_shape": (32, 192, 192), "windows": small.windows.model_copy(update=deep),
            }),
            ways(32),
        ),
        "B": (b, LABELS),
    }  # fmt: skip


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
            folder = model.with_suffix(".training")
            begun = (folder / "last.ckpt").is_file()
            recipe = trainings()[name][0].model_copy(update={"seed": seed})
            train(project, recipe, fold=TRAINED, folder=folder, data=data, resume=begun).save(model)


def wanted(out: Path, names: list[str]) -> Iterator[tuple[str, int, Path]]:
    """Name, seed and file of every model: a whole round of names before the next seed."""
    for seed, name in product(SEEDS, names or trainings()):
        yield name, seed, out / "models" / f"{name}-{seed}.safetensors"


def measure_all(out: Path, names: list[str]) -> None:
    """Pick the held-out and the test runs in each way with what is trained, a file each, and say what it took."""
    project = open_project(out / "project")
    for name, _, model in wanted(out, names):
        for way, run in product(trainings()[name][1] if model.exists() else [], project.runs[TRAINED:RUNS]):
            path = row_file(out, model, way, run)
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(row := measure(project, run, load(model), way)))
                print(model.stem, path.stem, f"{row['predicting']:.1f} s", flush=True)


def measure(project: Project, run: str, model: Checkpoint, way: Way) -> dict[str, Any]:
    """Pick a run: CPU seconds of the net's part, operations a voxel, picks."""
    checkpoint = replace(model, windows=way.windows)
    volume = select_tomogram(project, run, DataOptions()).read()
    nets = Nets(InferenceOptions(engine="torch", device="cpu", precision=way.precision))
    began = time.process_time()
    output = ensemble_heatmap(volume, [checkpoint], nets=nets)
    seconds = time.process_time() - began
    picks = read_picks(output, [checkpoint], plan=PickingPlan())
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        checkpoint.net()(torch.zeros(1, 1, *way.windows.shape))
    count = len(window_regions(volume.shape, way.windows))
    return {
        "predicting": seconds,
        "flops": counter.get_total_flops() * count / volume.data.numel(),
        "picks": {n: [p.zyx.round(1).tolist(), p.score.round(5).tolist()] for n, p in picks.items()},
    }


def row_file(out: Path, model: Path, way: Way, run: str) -> Path:
    """Where a net's picks of a run are kept."""
    return out / "rows" / model.stem / f"{way.name}-{run}.json"


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
        files = [{run: row_file(out, model, way, run) for run in truth} for way in trainings()[name][1]]
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
    axes.set_xticks(ticks := [1.5, 2, 3, 4, 6, 8, 10, 15, 20, 30, 40, 60], ticks)
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, title="dots: windows; squares: whole planes")
    figure.savefig(paths[0], dpi=100)


if __name__ == "__main__":
    torch.set_num_threads(1)
    commands = {"simulate": simulate, "train": train_all, "measure": measure_all, "table": table, "figure": draw}
    commands[sys.argv[1]](Path(sys.argv[2]), sys.argv[3:])
