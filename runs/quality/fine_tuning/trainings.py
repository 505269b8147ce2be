"""Trains in each way and scores; each result is a file."""

import json
from collections.abc import Iterator
from pathlib import Path
from time import process_time

import numpy as np

from runs.quality.fine_tuning.projects import EACH, TRAINED, parts
from runs.shared.command import Words
from runs.shared.saved_picks import write_json
from tomosoup.core.errors import InputError
from tomosoup.core.thresholds import apply_thresholds
from tomosoup.core.types import Array, Picks, PicksBySpecies
from tomosoup.data.formats.tables.picks_csv import write_csv
from tomosoup.data.options import AnnotatedData, DataOptions
from tomosoup.data.project import open_project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.data.truth import read_truth
from tomosoup.inference.engines.net_cache import Nets
from tomosoup.inference.options.hardware import InferenceOptions
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.inference.pick import pick_with
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.scoring.score import score
from tomosoup.training.options import Execution, TrainingRecipe
from tomosoup.training.run.folds import as_start
from tomosoup.training.train import train as train_model

PARTICLES = (10, 30, 100, 300)
SEEDS = (0, 1)
LARGE = {"crop_shape": (16, 256, 256), "crops_per_epoch": 40, "encoder_rate": 1.0, "freeze_norms": False}
"""As the recipe `best` trains: large crops, and all of the network learns."""
WAYS = {
    "default": {},
    "scratch": LARGE,
    "large crops": LARGE,
    "encoder": {"encoder_rate": 1.0},
    "own norms": {"freeze_norms": False},
    "2 x": {"crops_per_epoch": 240},
    "4 x, encoder": {"crops_per_epoch": 480, "encoder_rate": 1.0},
    "simulated": {},
    "half missing": {},
    "tenth wrong": {},
}
"""What the recipe `finetune` is changed by. "scratch" starts from random weights."""
WRONG = {"half missing": (0.5, 0.0), "tenth wrong": (0.0, 0.1)}
"""The fractions of a species' labels that are missing and that name another species, in all tomograms of a training."""
PLAN = PickingPlan(noise_correction=0.0)
"""All tomograms have the same noise, so scores need no correction."""


def first_weights(out: Path, way: str) -> Checkpoint | None:
    """What a training starts from."""
    if way.startswith("scratch"):
        return None
    if way != "simulated":
        return load("default")
    if not (file := out / "simulated.safetensors").exists():
        recipe = TrainingRecipe.read("finetune").for_pretraining()
        as_start(train_model(out / "simulated", recipe, folder=out / "simulated-first", start=load("default"))).save(
            file
        )
    return load(file)


def rows() -> Iterator[tuple[str, int, int]]:
    """Every way, number of particles and seed."""
    yield from (("default", n, seed) for n in PARTICLES for seed in SEEDS)
    yield from (("simulated", n, seed) for n, seed in ((0, 0), (10, 0), (10, 1)))
    yield from ((way, 10, seed) for way in ("own norms", "encoder") for seed in SEEDS)
    yield from ((way, 10, 0) for way in ("scratch", "large crops", "2 x"))
    yield "4 x, encoder", 300, 0
    yield from ((way, n, seed) for way in WRONG for n in (10, 100) for seed in SEEDS)


def train(out: Path, *names: Words) -> None:
    """Train and score what is missing. Raises `InputError` for names of no row."""
    known = ["-".join(map(str, row)) for row in rows()]
    if unknown := [name for name in names if name not in known]:
        raise InputError(f"No row is named {' or '.join(unknown)}: take some of {', '.join(known)}.")
    project, nets = open_project(out / "project"), Nets(InferenceOptions(engine="torch"))
    *_, scored = parts(tuple(project.runs))
    truth = {run: read_truth(project, run) for run in scored}
    for way, n, seed in rows():
        name = f"{way}-{n}-{seed}"
        if (out / f"{name}.json").exists() or (names and name not in names):
            continue
        trained, seconds = train_one(out, way, n, seed)
        picks = {
            run: pick_with(nets, select_tomogram(project, run, DataOptions()), [trained], plan=PLAN) for run in scored
        }
        kept = {run: apply_thresholds(found, trained.thresholds) for run, found in picks.items()}
        result = score(kept, truth, trained.species)
        row = {
            "way": way, "particles": n, "seed": seed, "f4": result.weighted, "seconds": seconds,
            "species": {kind: m.f_beta() for kind, m in result.species.items()},
        }  # fmt: skip
        write_json(out / f"{name}.json", row)
        print(json.dumps(row), flush=True)


def train_one(out: Path, way: str, n: int, seed: int) -> tuple[Checkpoint, float]:
    """Train in one way on tomograms with `n` particles a species; the checkpoint and the CPU seconds."""
    project, folder = open_project(out / "project"), out / f"{way}-{n}-{seed}"
    to_train, chooses, _ = parts(tuple(project.runs))
    recipe = TrainingRecipe.read("finetune").model_copy(update={"seed": seed, **WAYS[way]})
    annotated = to_train[(first := seed * n // EACH % TRAINED) : first + n // EACH]
    runs = [*annotated, chooses]
    start = first_weights(out, way)
    if start is not None and not annotated:
        return start, 0.0
    truth = None
    if way in WRONG:
        random, truth = np.random.default_rng(seed), str(folder.with_suffix(".csv"))
        write_csv(Path(truth), {run: with_errors(read_truth(project, run), *WRONG[way], random=random) for run in runs})
    begun = process_time()
    trained = train_model(
        project, recipe, fold=len(annotated), folder=folder, data=AnnotatedData(runs=tuple(runs), truth=truth),
        start=start, execution=Execution(resume=(folder / "last.ckpt").is_file()),
    )  # fmt: skip
    return trained, process_time() - begun


def with_errors(
    truth: PicksBySpecies, missing: float, wrong: float, *, random: np.random.Generator
) -> dict[str, Picks]:
    """The true picks without a fraction `missing` of each species, and with a fraction `wrong` named as another one."""
    given: dict[str, list[Array]] = {name: [] for name in truth}
    for name, picks in truth.items():
        labelled = random.permutation(picks.zyx)[round(missing * len(picks)) :]
        swapped = round(wrong * len(labelled))
        given[name].append(labelled[swapped:])
        for zyx in labelled[:swapped]:
            given[random.choice([other for other in truth if other != name])].append(zyx[None])
    return {name: Picks.of(np.concatenate(parts)) for name, parts in given.items()}
