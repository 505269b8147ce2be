"""F4 against the number of annotated particles: fine-tuned from the default model, and trained from scratch.

    python -m runs.quality.fine_tuning simulate OUT
    python -m runs.quality.fine_tuning train OUT [NAME ...]      # trains and scores what is missing in OUT
    python -m runs.quality.fine_tuning table OUT                 # prints the tables of docs/fine-tuning.md
    python -m runs.quality.fine_tuning figure OUT docs/fine-tuning.png
    python -m runs.quality.fine_tuning chain OUT                 # all of docs/best.md, one after the other

NAME is way-particles-seed (default-10-0), all by default. `train` can be stopped and started again: every row is a
file, and a training that was broken off goes on.

Four species: ribosomes, which the default model knows, and three that it does not: a barrel (730 kDa), a ring (540) and
a rod (340) of our own drawing. Each tomogram (64 x 256 x 256 voxels of 10 Å, microscope of the recipe `contest`) holds
ten of each. 1, 3, 10 or 30 of them are trained on, one more chooses the epoch and the thresholds, six others, 60
particles a species, are scored.

The way "simulated" first trains on five tomograms that are simulated with another microscope (`OTHER`) than the
annotated ones, as a lab's own would be. With 0 particles nothing comes after that. The way "mixed" trains on the
simulated and the annotated ones together, with as many updates as both steps have.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from time import process_time

import mrcfile
import numpy as np
from matplotlib.figure import Figure

from tomosoup.cli.main import main as cli
from tomosoup.cli.options.commands import SimulateCommand
from tomosoup.core.runtime import keep_freed_memory
from tomosoup.core.thresholds import apply_thresholds
from tomosoup.data.options import AnnotatedData, DataOptions
from tomosoup.data.project import Project, open_project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.data.truth import read_truth
from tomosoup.inference.engines.net_cache import Nets
from tomosoup.inference.options.hardware import InferenceOptions
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.inference.pick import pick_with
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.scoring.score import score
from tomosoup.simulation.options import SimulationRecipe
from tomosoup.simulation.project import simulate_project
from tomosoup.simulation.specimen.built_in import Ellipsoid, Shape, rendered
from tomosoup.training.options import TrainingRecipe
from tomosoup.training.run.folds import as_start
from tomosoup.training.train import train as training

EACH = 10
"""Particles of a species in a tomogram."""
TRAINED, SCORED, SEED = 30, 6, 904
PARTICLES = (10, 30, 100, 300)
SEEDS = (0, 1)
LOBES = np.linspace(0, 2 * np.pi, 6, endpoint=False)
NEW = {
    "barrel": Shape(730.0, (Ellipsoid((75, 58, 58), hollow=0.4),), "D2", 3.0),
    "ring": Shape(540.0, tuple(Ellipsoid((34, 26, 26), (0, 52 * np.sin(a), 52 * np.cos(a))) for a in LOBES)),
    "rod": Shape(340.0, (Ellipsoid((24, 24, 60), (0, 0, 55)),), "C2"),
}
WAYS = {
    "scratch": {},
    "default": {},
    "default, 4 x": {},
    "frozen": {"encoder_rate": 0.0},
    "slow": {"encoder_rate": 0.1},
    "low rate": {"learning_rate": 3e-4},
    "simulated": {},
    "mixed": {},
}
"""What the recipe `finetune` is changed by. "scratch" starts from random weights."""
MORE = {"default, 4 x": 4, "mixed": 2}
"""Times as many updates."""
PLAN = PickingPlan(noise_correction=0.0)
"""All tomograms are of one kind: scores need not follow their noise."""
SIMULATED = 5
OTHER = {"tilt_limit": (60.0, 60.0), "dose": (120.0, 120.0), "shift_error": 0.0, "angle_error": 0.0}
"""The microscope of the simulated tomograms: better in every way. The annotated ones have `contest`'s."""


def simulate(out: Path, _: list[str]) -> None:
    """Make both projects, or the one that is missing."""
    out.mkdir(parents=True, exist_ok=True)
    maps = {}
    for number, (name, shape) in enumerate(NEW.items()):
        maps[name] = out / f"{name}.mrc"
        with mrcfile.new(maps[name], overwrite=True) as file:
            file.set_data(rendered(shape, voxel_size=10.0, seed=number).astype(np.float32))
            file.voxel_size = 10.0
    shape = (64, 256, 256)
    per_volume = EACH / (np.prod(shape) * 1e-9)  # µm³
    recipe = SimulationRecipe.read("contest").model_copy(update={
        "shape": shape, "maps": maps, "map_mass": {name: s.mass_kda for name, s in NEW.items()},
        "concentration": dict.fromkeys(("ribosome", *NEW), per_volume), "layout": type(SimulationRecipe().layout)(),
    })  # fmt: skip
    other = recipe.model_copy(update={"microscope": recipe.microscope.model_copy(update=OTHER)})
    for project, runs, seed, its in (
        (out / "project", TRAINED + 1 + SCORED, SEED, recipe),
        (out / "simulated", SIMULATED + 1, SEED + 1, other),
    ):
        if not project.exists():
            simulate_project(SimulateCommand(out=project, runs=runs, seed=seed, simulation=its))


def first_weights(out: Path, way: str) -> Checkpoint | None:
    """What a training starts from."""
    if way.startswith("scratch"):
        return None
    if way != "simulated":
        return load("default")
    if not (file := out / "simulated.safetensors").exists():
        recipe = TrainingRecipe.read("finetune").for_pretraining()
        as_start(training.train(out / "simulated", recipe, folder=out / "simulated-first", start=load("default"))).save(
            file
        )
    return load(file)


def mixed(out: Path) -> Project:
    """A project of the annotated tomograms and, as `simulated_...`, the simulated ones that are trained on."""
    annotated, simulated, folder = ((out / name).resolve() for name in ("project", "simulated", "mixed"))
    if not folder.exists():
        (folder / "overlay").mkdir(parents=True)
        home = Path("static") / "ExperimentRuns"
        (folder / home).mkdir(parents=True)
        for run in (annotated / home).iterdir():
            (folder / home / run.name).symlink_to(run)
        for run in sorted((simulated / home).iterdir())[:SIMULATED]:
            (folder / home / f"simulated_{run.name}").symlink_to(run)
        config = (annotated / "copick_config.json").read_text()
        (folder / "copick_config.json").write_text(config.replace(f"{annotated}/", f"{folder}/"))
    return open_project(folder)


def parts(runs: tuple[str, ...]) -> tuple[list[str], str, list[str]]:
    """Runs to train on, the one that chooses, those that are scored."""
    return list(runs[:TRAINED]), runs[TRAINED], list(runs[TRAINED + 1 :])


def rows() -> Iterator[tuple[str, int, int]]:
    """Every way, number of particles and seed."""
    for seed in SEEDS:
        yield from ((way, n, seed) for n in PARTICLES for way in ("default", "scratch"))
        yield from ((way, 10, seed) for way in ("frozen", "slow", "simulated", "mixed"))
    yield from (("low rate", 10, 0), ("simulated", 0, 0))
    yield from (("default, 4 x", n, 0) for n in (10, 300))


def train(out: Path, names: list[str]) -> None:
    """Train and score what is missing."""
    project = open_project(out / "project")
    to_train, chooses, scored = parts(tuple(project.runs))
    truth = {run: read_truth(project, run) for run in scored}
    nets = Nets(InferenceOptions(engine="torch"))
    for way, n, seed in rows():
        name = f"{way}-{n}-{seed}"
        file = out / f"{name}.json"
        if file.exists() or (names and name not in names):
            continue
        recipe = TrainingRecipe.read("finetune").model_copy(update={"seed": seed, **WAYS[way]})
        crops = MORE.get(way, 1) * (recipe.crops_per_epoch or 0)
        recipe = recipe.model_copy(update={"crops_per_epoch": crops})
        own, its = to_train[(first := seed * n // EACH % TRAINED) : first + n // EACH], project
        runs = [*own, chooses]
        if way == "mixed":
            its = mixed(out)
            runs += its.runs[-SIMULATED:]
        trained, seconds = first_weights(out, way), 0.0
        if own or trained is None:
            begun = process_time()
            trained = training.train(
                its, recipe, fold=len(own), folder=out / name, data=AnnotatedData(runs=tuple(runs)),
                start=trained, resume=(out / name / "last.ckpt").is_file(),
            )  # fmt: skip
            seconds = process_time() - begun
        picks = {
            run: pick_with(nets, select_tomogram(project, run, DataOptions()), [trained], plan=PLAN) for run in scored
        }
        kept = {run: apply_thresholds(found, trained.thresholds) for run, found in picks.items()}
        result = score(kept, truth, trained.species)
        row = {
            "way": way, "particles": n, "seed": seed, "f4": result.weighted, "seconds": seconds,
            "species": {kind: m.f_beta() for kind, m in result.species.items()},
        }  # fmt: skip
        file.write_text(json.dumps(row))
        print(json.dumps(row), flush=True)


def read(out: Path) -> list[dict]:
    """All rows that are there."""
    return [json.loads(file.read_text()) for file in sorted(out.glob("*.json"))]


def table(out: Path, _: list[str]) -> None:
    """Print a row a training."""
    names = ["ribosome", *NEW]
    print(f"| particles a species | way | seed | F4 | {' | '.join(names)} | CPU s |")
    print("| ---: | --- | ---: | ---: |" + " ---: |" * (len(names) + 1))
    for row in sorted(read(out), key=lambda r: (r["particles"], r["way"], r["seed"])):
        each = " | ".join(f"{row['species'][name]:.3f}" for name in names)
        print(
            f"| {row['particles']} | {row['way']} | {row['seed']} | {row['f4']:.3f} | {each} | {row['seconds']:.0f} |"
        )


def chain(out: Path, _: list[str]) -> None:
    """Do what docs/best.md says, from two annotated tomograms and the simulated ones, and score each stage."""
    where, models = str(out / "project"), [str(out / f"chain-fold{fold}.safetensors") for fold in (0, 1)]
    to_train, chooses, scored = parts(tuple(open_project(where).runs))
    first = ["--from", "default", "--pretrain-on", str(out / "simulated")]
    labelled, output = ["--runs", to_train[0], chooses], ["--output", str(out / "chain.safetensors")]
    cli(["train", where, *first, "--all-folds", *labelled, *output, "--overwrite"])
    tune = ["tune", where, *labelled, "--model", *models]
    for stage, used, before, options in (
        ("one-net", models[:1], [], []),
        ("both", models, tune, []),
        ("laxer-thresholds", models, [*tune, "--softness", "0.1"], []),
        ("maps", models, [], ["--templates.folder", str(out)]),
    ):
        if before:
            cli(before)
        picking = ["--runs", *scored, "--model", *used, "--session", stage, "--overwrite"]
        cli(["pick", where, *picking, *options])
        cli(["score", where, where, "--runs", *scored, "--picks-set", f"tomosoup/{stage}"])


SHOWN = {
    "default": "fine-tuned from the default model",
    "scratch": "from scratch, as many updates",
    "simulated": "fine-tuned, simulated tomograms first",
    "default, 4 x": "fine-tuned, four times the updates",
}
"""The curves, from the first colour on."""


def figure(out: Path, paths: list[str]) -> None:
    """Draw the curve."""
    drawing = Figure(figsize=(6, 4), layout="constrained")
    axes = drawing.subplots()
    found = read(out)
    for colour, (way, label) in enumerate(SHOWN.items()):
        mine = [r for r in found if r["way"] == way and r["particles"]]
        ns = sorted({r["particles"] for r in mine})
        mean = [np.mean([r["f4"] for r in mine if r["particles"] == n]) for n in ns]
        axes.plot(ns, mean, f"C{colour}", label=label)
        axes.scatter([r["particles"] for r in mine], [r["f4"] for r in mine], color=f"C{colour}", s=14)
    axes.set(
        xscale="log", xlabel="annotated particles a species", ylabel="weighted F4 on six other runs", ylim=(0.6, 1)
    )
    axes.set_xticks(PARTICLES, list(map(str, PARTICLES)))
    axes.legend(loc="lower right")
    drawing.savefig(paths[0], dpi=150)


if __name__ == "__main__":
    keep_freed_memory()
    {"simulate": simulate, "train": train, "table": table, "figure": figure, "chain": chain}[sys.argv[1]](
        Path(sys.argv[2]), sys.argv[3:]
    )
