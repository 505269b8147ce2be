"""F4 and seconds from the files of `measure`, as a table and as a figure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from runs.quality.speed_plans.measure import RUNS, TRAINED, row_file, wanted
from runs.quality.speed_plans.trainings import trainings
from runs.shared.saved_picks import picks_from_json
from tomosoup.core.thresholds import apply_thresholds
from tomosoup.core.types import PicksByRun, Species
from tomosoup.data.project import open_project
from tomosoup.data.truth import read_truth
from tomosoup.scoring.score import score
from tomosoup.scoring.thresholds import best_thresholds, steady_thresholds


@dataclass(frozen=True)
class Result:
    """A plan of a network: F4 over the test runs together and of each; CPU seconds and operations for a tomogram.

    `best` is F4 with the thresholds that are best on the test runs: it flatters, but thresholds add no noise to it.
    """

    plan: str
    f4: float
    runs: list[float]
    best: float
    seconds: float
    flops: float


def results(out: Path) -> Iterator[tuple[str, list[Result]]]:
    """Each network that is measured, with its plans in their order."""
    project = open_project(out / "project")
    truth = {run: read_truth(project, run) for run in project.runs[TRAINED:RUNS]}
    for name, seed, model in wanted(out, ()):
        files = [{run: row_file(out, model, way, run) for run in truth} for way in trainings()[name][1]]
        found = [result(by_run, truth, project.species) for by_run in files if all(f.exists() for f in by_run.values())]
        if found:
            yield f"{name}, seed {seed}", found


def result(files: Mapping[str, Path], truth: PicksByRun, species: Sequence[Species]) -> Result:
    """Score the rows of a plan; the first run of the truth sets the thresholds."""
    held_out, *tests = truth
    rows = {run: json.loads(file.read_text()) for run, file in files.items()}
    picks = {run: picks_from_json(row["picks"]) for run, row in rows.items()}
    thresholds = steady_thresholds([(picks[held_out], truth[held_out])], species)
    kept = {run: apply_thresholds(picks[run], thresholds) for run in tests}
    return Result(
        plan=files[held_out].stem.rsplit("-", 1)[0],
        f4=score(kept, truth, species).weighted,
        runs=[score({run: kept[run]}, truth, species).weighted for run in tests],
        best=best_thresholds([(picks[run], truth[run]) for run in tests], species)[1].weighted,
        seconds=float(np.median([row["predicting"] for row in rows.values()])),
        flops=rows[held_out]["flops"],
    )


def table(out: Path) -> None:
    """Print a row for each plan of each network; "against" and "times" compare it with the first plan."""
    print("| net | windows | F4 | against | runs | best | s | times | kflop per voxel |")
    print("| --- | --- | ---: | ---: | --- | ---: | ---: | ---: | ---: |")
    for net, found in results(out):
        for r in found:
            print(
                f"| {net} | {r.plan} | {r.f4:.3f} | {r.f4 - found[0].f4:+.3f} | {' '.join(f'{v:.2f}' for v in r.runs)} "
                f"| {r.best:.3f} | {r.seconds:.1f} | {found[0].seconds / r.seconds:.1f} | {r.flops / 1e3:.0f} |"
            )


def draw(out: Path, picture: Path) -> None:
    """Draw F4 against seconds, one colour per network: dots for windows, squares for whole planes."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    for i, (net, found) in enumerate(results(out)):
        for whole, style in ((False, "o-"), (True, "s--")):
            rows = sorted((r for r in found if ("planes" in r.plan) == whole), key=lambda r: r.seconds)
            points = [r.seconds for r in rows], [r.f4 for r in rows]
            axes.plot(*points, style, color=f"C{i}", label=None if whole else net)
    axes.set(
        xscale="log", xlabel="CPU seconds for a tomogram of 48 x 448 x 448 voxels, one thread", ylabel="weighted F4"
    )
    axes.set_xticks(ticks := [1.5, 2, 3, 4, 6, 8, 10, 15, 20, 30, 40, 60], ticks)
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, title="dots: windows, squares: whole planes")
    figure.savefig(picture, dpi=100)
