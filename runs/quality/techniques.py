"""Measures what techniques add to the default model's training, in short trainings that start from it.

    python -m runs.quality.techniques simulate OUT DATA                    # DATA holds maps_10A/
    python -m runs.quality.techniques train OUT DATA [ROW ...] [--worker I/N]
    python -m runs.quality.techniques table OUT
    python -m runs.quality.techniques denoised OUT MODEL ...               # finished models, such as `default`
    python -m runs.quality.techniques thresholds OUT MODEL ...             # the same

OUT/train is the project of that name of `runs.models.default_model`, OUT/acryo and OUT/cryojax those of `runs.others`
(links will do). `train` makes what is missing; it can be stopped and started again. A row changes the recipe
`finetune`: 1200 updates of one crop, of all weights, on ten crowded tomograms. With seed s they start at tomogram 5 s.

Every model picks sets that neither it nor the default model was trained on: two crowded tomograms of the recipe
`any-microscope`, as in training, two of the recipe `contest`, the same two of the type `wbp`, two of each other
simulator as it makes them, and three real planes (DATA/real_slices_full; each repeated along z, as in
`runs.checks.real_slices models`). The score is average precision, which needs no threshold: the mean over the species
with weight, and in the planes over those with three particles or more.

`denoised` scores finished models on the tomograms as they are, and after `tomosoup denoise` with and without its change
of the spectrum; also on full-size tomograms with as few particles as the contest's. `thresholds` prints F4 of `tomosoup
pick` with the thresholds of a model, and with those that `tomosoup tune --all-runs` finds on the other half of a set's
tomograms.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import tomosoup
from runs.checks.real_slices.transfer import found_by, ratings
from runs.models.default_model import recipes
from runs.shared.command import Words, print_progress, run_step, share_of
from runs.shared.saved_picks import write_json
from tomosoup.core.errors import InputError
from tomosoup.core.runtime import keep_freed_memory
from tomosoup.core.types import PicksByRun, PicksBySpecies, Species
from tomosoup.data.options import AnnotatedData, DataOptions, TuningData
from tomosoup.data.project import open_project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.data.truth import read_truth
from tomosoup.inference.engines.net_cache import Nets
from tomosoup.inference.options.hardware import InferenceOptions
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.inference.pick import pick_project, pick_with
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.scoring.matched_picks import MatchedPicks
from tomosoup.scoring.matching import MATCH_RADII
from tomosoup.scoring.score import score
from tomosoup.simulation.denoising.apply import denoise_volume
from tomosoup.simulation.denoising.options import STRENGTH
from tomosoup.simulation.denoising.weights import Denoiser, shipped_denoiser
from tomosoup.training.options import TrainingRecipe
from tomosoup.training.train import train as train_model
from tomosoup.training.tune import tune

SEEDS, UPDATES, TRAINED = (0, 1, 2), 1200, 10
CROWDED, UNSEEN = tuple(f"run_{i:03}" for i in range(20)), ("run_000", "run_001")
"""Tomograms of OUT/train to choose from; those that are picked in the other projects."""
BASELINE: dict[str, Any] = {"epochs": 1, "crops_per_epoch": UPDATES, "warmup_epochs": 0.1, "encoder_rate": 1.0}
ROWS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "all tomogram types": {"extra_tomo_types": ("ctfdeconvolved", "wbp")},
    "mixup": {"batch_size": 2, "crops_per_epoch": 2 * UPDATES, "augmentation": {"mixup_probability": 0.5}},
    "batches of two": {"batch_size": 2, "crops_per_epoch": 2 * UPDATES},
    "balanced loss": {"loss": {"name": "balanced"}},
    "weights not averaged": {"average_decay": 0.0},
    "encoder frozen": {"encoder_rate": 0.0},
}
"""Changes of the baseline. Mixup needs two crops an update, so it stands against "batches of two"."""
SETS = {
    "any-microscope": ("any-microscope", "denoised"),
    "contest": ("contest", "denoised"),
    "contest, wbp": ("contest", "wbp"),
    "acryo": ("acryo", "ctfdeconvolved"),
    "cryoJAX": ("cryojax", "wbp"),
}
"""Projects in OUT, and the tomogram type that is picked."""
SPARSE = "-sparse"
"""Full-size projects with the contest's concentrations have this after their names."""
MORE_SETS = SETS | {
    "any-microscope, ctfdeconvolved": ("any-microscope", "ctfdeconvolved"),
    "any-microscope, wbp": ("any-microscope", "wbp"),
    "contest, ctfdeconvolved": ("contest", "ctfdeconvolved"),
}
"""Those that `denoised` and `thresholds` pick."""
SPARSE_SETS = {
    f"{name}, the contest's concentrations, {kind}": (f"{name}{SPARSE}", kind)
    for name in ("contest", "any-microscope")
    for kind in ("denoised", "wbp")
}
"""Those that `denoised` picks, too."""
PLANES = "real planes"


def simulate(out: Path, data: Path) -> None:
    """Simulate tomograms of the recipes `any-microscope` and `contest`, with the same maps: crowded, and sparse."""
    crowded, _, test = recipes(data)
    dense = {"shape": (96, 320, 320), "concentration": crowded.concentration, "layout": crowded.layout}
    sparse = {"shape": test.shape, "concentration": test.concentration}
    for name, recipe, seed, changed in (
        ("any-microscope", crowded, 931, dense),
        ("contest", test, 932, dense),
        (f"contest{SPARSE}", test, 904, sparse),
        (f"any-microscope{SPARSE}", crowded, 905, sparse),
    ):
        if not (out / name).exists():
            own = recipe.model_copy(update=changed)
            tomosoup.simulate(out / name, own, runs=len(UNSEEN), seed=seed, progress=print_progress)


def train(out: Path, data: Path, *rows: Words, worker: str = "0/1") -> None:
    """Train and score what is missing of this worker's share. Raises `InputError` for names of no row."""
    if unknown := [row for row in rows if row not in ROWS]:
        raise InputError(f"No row is named {' or '.join(unknown)}: take some of {', '.join(ROWS)}.")
    torch.set_num_threads(1)
    number, workers = share_of(worker)
    jobs = [(row, seed) for seed in SEEDS for row in rows or ROWS]
    for row, seed in jobs[number::workers]:
        if not (file := out / f"{row}-{seed}.json").exists():
            write_json(file, {"row": row, "seed": seed, **scored(trained(out, row, seed), out, data)})
            print(file.read_text(), flush=True)


def trained(out: Path, row: str, seed: int) -> Checkpoint:
    """The model of a row, trained if it is not there."""
    file = out / f"{row}-{seed}.safetensors"
    if not file.exists():
        recipe = TrainingRecipe.read("finetune").model_dump()
        changes = BASELINE | ROWS[row] | {"seed": seed}
        merged = {
            name: recipe[name] | value if isinstance(value, Mapping) else value for name, value in changes.items()
        }
        options = TrainingRecipe.of(recipe | merged, source="The row")
        runs = [CROWDED[(5 * seed + i) % len(CROWDED)] for i in range(TRAINED + 1)]  # the last one is held out
        of_runs = AnnotatedData(runs=tuple(runs), tomo_type="denoised")
        folder = file.with_suffix(".training")
        held_out = sorted(runs).index(runs[-1])
        train_model(
            open_project(out / "train"), options, fold=held_out, folder=folder, data=of_runs, start=load("default")
        ).save(file)
    return load(file)


def scored(model: Checkpoint, out: Path, data: Path) -> dict[str, dict[str, float]]:
    """Average precision of each species, by set."""
    planes = found_by(model, data)
    return {
        **{name: precisions(model, out, *where) for name, where in SETS.items()},
        PLANES: {str(i): float(p) for i, p in enumerate(planes.precision) if planes.counted[i]},
    }


def precisions(
    model: Checkpoint, out: Path, folder: str, tomo_type: str, *, denoiser: Denoiser | None = None
) -> dict[str, float]:
    """Average precision of each species with weight, in a project's tomograms as they are, or denoised first."""
    nets, plan = Nets(InferenceOptions(engine="torch", device="cpu")), PickingPlan(denoise="never")
    project, options = open_project(out / folder), DataOptions(tomo_type=tomo_type)
    truth, picks = {run: read_truth(project, run) for run in UNSEEN}, {}
    for run in UNSEEN:
        volume = select_tomogram(project, run, options).read()
        shown = denoise_volume(denoiser, volume) if denoiser else volume
        picks[run] = pick_with(nets, shown, [model], plan=plan)
    return {s.name: precision(picks, truth, s) for s in model.species if s.weight}


def precision(picks: PicksByRun, truth: PicksByRun, species: Species) -> float:
    """Average precision of a species, over all runs together."""
    matched = [
        MatchedPicks.of(found[species.name], truth[run][species.name], distance=MATCH_RADII * species.radius)
        for run, found in picks.items()
    ]
    pairs = [(float(s), bool(g)) for m in matched for s, g in zip(m.score, m.gain, strict=True)]
    return ratings(pairs, sum(len(m.truth) for m in matched))[0]


def table(out: Path) -> None:
    """Print a row for each change: the baseline's scores, and the differences from it with the same seed."""
    found: dict[str, dict[int, dict[str, float]]] = {}
    for file in sorted(out.glob("*.json")):
        saved = json.loads(file.read_text())
        means = {name: float(np.mean(list(saved[name].values()))) for name in (*SETS, PLANES)}
        found.setdefault(saved["row"], {})[saved["seed"]] = means
    print(f"| row | {' | '.join((*SETS, PLANES))} |")
    print("| --- |" + " ---: |" * (len(SETS) + 1))
    for row in (row for row in ROWS if row in found):
        first = "batches of two" if row == "mixup" else "baseline"
        own, base = found[row], found.get(first, {})
        seeds = sorted(own if row == "baseline" else own.keys() & base.keys())
        values = [
            [own[s][name] - (0 if row == "baseline" else base[s][name]) for s in seeds] for name in (*SETS, PLANES)
        ]
        print(f"| {row} | {' | '.join(said(v, signed=row != 'baseline') for v in values)} |")


def denoised(out: Path, *models: Words) -> None:
    """Print the mean average precision of finished models, a row for each set and a column for each way to denoise."""
    matching = replace(shipped_denoiser(), strength=STRENGTH)
    ways = {"as it is": None, "denoised, spectrum kept": replace(matching, spectrum=None), "denoised": matching}
    for model in map(load, models):
        print(f"| set | {' | '.join(ways)} |")
        print("| --- |" + " ---: |" * len(ways))
        for name, where in (MORE_SETS | SPARSE_SETS).items():
            rated = (precisions(model, out, *where, denoiser=denoiser) for denoiser in ways.values())
            means = [f"{np.mean(list(each.values())):.3f}" for each in rated]
            print(f"| {name} | {' | '.join(means)} |", flush=True)


def thresholds(out: Path, *models: Words) -> None:
    """Print F4 with the thresholds of finished models, and with those that each half of a set gives the other half."""
    for model in map(load, models):
        print("| set | of the model | of the other half |\n| --- | ---: | ---: |")
        for name, (folder, tomo_type) in MORE_SETS.items():
            project, kept = open_project(out / folder), [dict[str, PicksBySpecies](), dict[str, PicksBySpecies]()]
            middle = len(project.runs) // 2
            halves = [tuple(project.runs[:middle]), tuple(project.runs[middle:])]
            for own, other in (halves, halves[::-1]):
                (tuned,) = tune(project, [model], data=TuningData(tomo_type=tomo_type, runs=other, all_runs=True))
                for into, checkpoint in zip(kept, (model, tuned), strict=True):
                    into |= pick_project(project, checkpoint, data=DataOptions(tomo_type=tomo_type, runs=own))
            truth = {run: read_truth(project, run) for run in project.runs}
            found = [f"{score(picks, truth, model.species).weighted:.3f}" for picks in kept]
            print(f"| {name} | {' | '.join(found)} |", flush=True)


def said(values: Sequence[float], *, signed: bool) -> str:
    """The mean, and each value."""
    sign = "+" if signed else ""
    return f"{np.mean(values):{sign}.3f} ({' '.join(f'{v:{sign}.2f}' for v in values)})" if values else "-"


if __name__ == "__main__":
    keep_freed_memory()
    steps = {
        "simulate": simulate, "train": train, "table": table, "denoised": denoised, "thresholds": thresholds,
    }  # fmt: skip
    run_step(steps, description=__doc__)
