"""Measures F4 against clicks: boxes with the most expected corrections, against boxes in random order.

    python -m runs.quality.annotation simulate OUT
    python -m runs.quality.annotation measure OUT       # what is missing in OUT; can be stopped and started again
    python -m runs.quality.annotation table OUT         # prints a row for each fine-tuning
    python -m runs.quality.annotation figure OUT PICTURE.png

There are three species: ribosomes, which the default model knows, and the barrel and the ring of
`runs.quality.fine_tuning`, which it does not. A tomogram (64 x 256 x 256 voxels of 10 Å, microscope of the recipe
`contest`) holds six of each. It is divided into 32 boxes of 32 x 64 x 64 voxels. Each seed annotates three tomograms of
its own. Three others are scored.

The simulated annotator sees the model's picks in a box, adds what is missing, deletes what is false, and confirms. Each
of these is a click. After 8, 16 and 32 boxes the default model is fine-tuned on all confirmed boxes (480 updates, the
encoder frozen), and picks again. The orders: "suggested" takes the boxes with the most expected corrections, "random"
any boxes.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
from matplotlib.figure import Figure

import tomosoup
from runs.quality.fine_tuning.projects import NEW
from runs.shared.command import print_progress, run_step
from runs.shared.saved_picks import write_json
from tomosoup.core.runtime import keep_freed_memory
from tomosoup.core.types import PicksBySpecies
from tomosoup.data.options import DataOptions
from tomosoup.data.project import open_project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.data.truth import read_truth
from tomosoup.models.checkpoint import load
from tomosoup.models.window_plan import WindowPlan
from tomosoup.review.annotate.boxes import Box
from tomosoup.review.annotate.ranking import view_picks
from tomosoup.review.annotate.session import AnnotationSession
from tomosoup.scoring.matching import MATCH_RADII, match
from tomosoup.scoring.score import score
from tomosoup.simulation.options.recipe import SimulationRecipe
from tomosoup.simulation.specimen.built_in import rendered
from tomosoup.training.options import TrainingRecipe

SHAPE, BOX, EACH = (64, 256, 256), (32, 64, 64), 6
NEW_SPECIES = ("barrel", "ring")
ANNOTATED, SCORED, SEED = 3, 3, 281
SEEDS, ORDERS, BOXES = (0, 1), ("suggested", "random"), (8, 16, 32)
WINDOWS = WindowPlan(shape=(16, 1024, 1024), stride=(16, 768, 768), border="inside")
CHANGES = {"encoder_rate": 0.0, "crops_per_epoch": 120, "windows": WINDOWS}
"""Of the recipe `finetune`, small enough for one core: the encoder is frozen, and windows do not overlap."""


def simulate(out: Path) -> None:
    """Simulate the tomograms."""
    out.mkdir(parents=True, exist_ok=True)
    maps = {}
    for number, name in enumerate(NEW_SPECIES):
        maps[name] = out / f"{name}.mrc"
        with mrcfile.new(maps[name], overwrite=True) as file:
            file.set_data(rendered(NEW[name], voxel_size=10.0, seed=number).astype(np.float32))
            file.voxel_size = 10.0
    per_volume = EACH / (np.prod(SHAPE) * 1e-9)  # µm³
    recipe = SimulationRecipe.read("contest").model_copy(update={
        "shape": SHAPE, "maps": maps, "map_mass": {name: NEW[name].mass_kda for name in NEW_SPECIES},
        "concentration": dict.fromkeys(("ribosome", *NEW_SPECIES), per_volume),
        "layout": type(SimulationRecipe().layout)(),
    })  # fmt: skip
    runs = len(SEEDS) * ANNOTATED + SCORED
    tomosoup.simulate(out / "project", recipe, runs=runs, seed=SEED, progress=print_progress)


def measure(out: Path) -> None:
    """Annotate in each order with each seed."""
    for seed in SEEDS:
        for order in ORDERS:
            annotate(out, order, seed)


def annotate(out: Path, order: str, seed: int) -> None:
    """Write a row for each fine-tuning: boxes, clicks, particles in the boxes, F4. Resumes after the last one."""
    project = open_project(out / "project")
    own = tuple(project.runs[seed * ANNOTATED : (seed + 1) * ANNOTATED])
    others = project.runs[len(SEEDS) * ANNOTATED :][:SCORED]
    truth = {run: read_truth(project, run) for run in project.runs}
    work = AnnotationSession(
        project,
        load("default"),
        folder=out / f"{order}-{seed}",
        data=DataOptions(runs=own),
        box=BOX,
        order="corrections",
    )
    recipe = TrainingRecipe.read("finetune").model_copy(update=CHANGES | {"seed": seed})
    for left in work.folder.glob("*.training"):
        if not left.with_suffix(".safetensors").exists():
            shutil.rmtree(left)  # a training that was killed
    file, by_name = out / f"{order}-{seed}.json", {str(box): box for box in work.boxes}
    done = json.loads(file.read_text()) if file.exists() else []
    for name in done[-1]["confirmed"] if done else ():
        work.confirm(by_name[name], truth[by_name[name].run])
    clicks, particles = (done[-1]["clicks"], done[-1]["particles"]) if done else (0, 0)
    work.pick(load(work.folder / f"round-{len(done)}.safetensors") if done else None)
    for number, boxes in enumerate(BOXES):
        random = np.random.default_rng((seed, number))
        if number < len(done):
            continue
        left = [one.box for one in work.suggestions()]
        if order == "random":
            left = [left[i] for i in random.permutation(len(left))]
        for box in left[: boxes - len(work.confirmed)]:
            clicks += clicks_for(work, box, truth[box.run])
            particles += work.confirm(box, truth[box.run])
        work.pick(work.fine_tune(recipe=recipe))
        row = {"order": order, "seed": seed, "boxes": boxes, "clicks": clicks, "particles": particles}
        done.append(row | scored(work, others, truth) | {"confirmed": list(map(str, work.confirmed))})
        write_json(file, done)
        print(json.dumps(done[-1]), flush=True)


def clicks_for(work: AnnotationSession, box: Box, truth: PicksBySpecies) -> int:
    """What a user clicks in a box: missed particles, false picks, and once to confirm."""
    grid = work.tomograms[box.run]
    shown, true = box.kept(work.shown(box.run), grid), box.kept(truth, grid)
    matches = [match(shown[s.name], true[s.name], distance=MATCH_RADII * s.radius) for s in work.project.species]
    return 1 + sum(m.fp + m.fn for m in matches)


def scored(work: AnnotationSession, runs: list[str], truth: dict[str, PicksBySpecies]) -> dict[str, float]:
    """F4 of the session's model on other runs."""
    tomograms = {run: select_tomogram(work.project, run, DataOptions()) for run in runs}
    picks = {
        run: work.model.keep(view_picks(tomogram, work.model, "identity", nets=work.nets))
        for run, tomogram in tomograms.items()
    }
    found = score(picks, {run: truth[run] for run in runs}, work.project.species)
    return {"f4": found.weighted, **{name: m.f_beta() for name, m in found.species.items()}}


def rows(out: Path) -> list[dict[str, Any]]:
    """All rows that are there."""
    files = [out / f"{order}-{seed}.json" for seed in SEEDS for order in ORDERS]
    return [row for file in files if file.exists() for row in json.loads(file.read_text())]


def table(out: Path) -> None:
    """Print a row for each fine-tuning."""
    print("| order | seed | boxes | particles in them | clicks | F4 | ribosome | barrel | ring |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for row in rows(out):
        numbers = [str(row[name]) for name in ("seed", "boxes", "particles", "clicks")]
        f4 = [f"{row[name]:.3f}" for name in ("f4", "ribosome", *NEW_SPECIES)]
        print(f"| {' | '.join([row['order'], *numbers, *f4])} |")


def figure(out: Path, picture: Path) -> None:
    """Draw F4 against clicks."""
    drawing = Figure(figsize=(6, 4), layout="constrained")
    axes = drawing.subplots()
    for colour, order in enumerate(ORDERS):
        for seed in SEEDS:
            own = [row for row in rows(out) if row["order"] == order and row["seed"] == seed]
            label = f"{order} boxes" if seed == SEEDS[0] else None
            line = {"color": f"C{colour}", "marker": "o", "linestyle": ("-", "--")[seed], "label": label}
            axes.plot([row["clicks"] for row in own], [row["f4"] for row in own], **line)
    axes.set(xlabel="clicks", ylabel="weighted F4 on three other tomograms")
    axes.legend(loc="lower right")
    drawing.savefig(picture, dpi=110)


if __name__ == "__main__":
    keep_freed_memory()
    run_step({"simulate": simulate, "measure": measure, "table": table, "figure": figure}, description=__doc__)
