"""Prints what models find in tomograms with a known truth: the tables of the model card.

    python -m runs.models.model_card PROJECT OUT [WAY ...]

PROJECT is a copick project with the contest's species, such as those of `runs.models.default_model` and `runs.others`.
OUT holds the models; those that it lacks are the bundled ones. A way names models, plan and tomogram type (`WAYS`).

F4 is at the thresholds of the models. Intervals are from a bootstrap over runs, and over particles and false picks in
them. The last columns are the fractions of picks that are expected to be false, and that are; without probabilities the
first is nan.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from runs.shared.command import Words, run_script
from tomosoup.core.runtime import keep_freed_memory
from tomosoup.core.thresholds import Limits, MaxFdr
from tomosoup.core.types import PicksByRun
from tomosoup.data.options import DataOptions
from tomosoup.data.project import Project, open_project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.data.truth import read_truth
from tomosoup.inference.engines.net_cache import Nets
from tomosoup.inference.ensemble import all_thresholds
from tomosoup.inference.options.hardware import InferenceOptions
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.inference.pick import calibrations_for, chosen, chosen_maps, limits_for, pick_with
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.scoring.bootstrap import bootstrap, interval
from tomosoup.scoring.calibration import expected_false
from tomosoup.scoring.matched_picks import MatchedPicks
from tomosoup.scoring.matching import MATCH_RADII
from tomosoup.scoring.score import score

FLIPS = ("flip_x", "flip_y", "flip_z")


@dataclass(frozen=True)
class Way:
    """A way to pick the test runs."""

    models: tuple[str, ...] = ("default",)
    """Two pick together, on their common scale."""
    plan: Mapping[str, Any] = field(default_factory=dict)
    """Changes of the plan; the folder of its templates is that of OUT."""
    tomo_type: str | None = "denoised"
    """None is the only one of the project."""
    max_fdr: float | None = None
    """Pick by this false-discovery rate in place of thresholds."""


WAYS = {
    "default": Way(),
    "ctfdeconvolved": Way(tomo_type="ctfdeconvolved"),
    "wbp": Way(tomo_type="wbp"),
    "max-fdr": Way(max_fdr=0.1),
    "only-type": Way(tomo_type=None),
    "denser-windows": Way(plan={"stride": (4, 768, 768)}),
    "views": Way(plan={"views": FLIPS}),
    "maps": Way(plan={"templates": {}}),
    "default-soup": Way(("default-soup",)),
    "both": Way(("default", "default-soup")),
}


def print_card(project: Path, out: Path, *ways: Words) -> None:
    """Print the tables of some ways, or of all."""
    opened = open_project(project)
    truth = {run: read_truth(opened, run) for run in opened.runs}
    for name in ways or WAYS:
        way = WAYS[name]
        models = [load(own if (own := out / f"{file}.safetensors").exists() else file) for file in way.models]
        kept, false, seconds = pick_runs(opened, models, way, maps=out / "maps")
        species = models[0].species
        result = score(kept, truth, species)
        print(f"| {name} | F4 | 95 % | hit | false | missed | expected | true |\n| --- |{' ---: |' * 7}")
        for kind in species:
            distance = MATCH_RADII * kind.radius
            matched = [[MatchedPicks.of(kept[r][kind.name], truth[r][kind.name], distance=distance)] for r in kept]
            drawn = bootstrap(matched, resamples=1000, seed=0)
            low, high = interval(np.array([sample.at(0.0).f_beta() for sample in drawn]))
            m = result.species[kind.name]
            picks = max(1, m.tp + m.fp)
            rates = f"{false.get(kind.name, np.nan) / picks:.2f} | {m.fp / picks:.2f}"
            print(f"| {kind.name} | {m.f_beta():.3f} | {low:.3f}-{high:.3f} | {m.tp} | {m.fp} | {m.fn} | {rates} |")
        each = [score({run: kept[run]}, truth, species).weighted for run in kept]
        print(f"| **weighted** | **{result.weighted:.3f}** | runs {' '.join(f'{v:.2f}' for v in each)} |{' |' * 5}")
        print(f"\n{seconds:.0f} CPU seconds a tomogram\n", flush=True)


def pick_runs(
    project: Project, models: list[Checkpoint], way: Way, *, maps: Path
) -> tuple[PicksByRun, dict[str, float], float]:
    """Picks, how many of each species are expected to be false, and CPU seconds a tomogram."""
    changes = {**way.plan, "templates": {"folder": maps}} if "templates" in way.plan else way.plan
    plan = PickingPlan.of(changes, source="The way")
    densities, nets = chosen_maps(plan, models), Nets(InferenceOptions(engine="torch"))
    given: Limits = MaxFdr(way.max_fdr) if way.max_fdr else all_thresholds(models)
    begun, kept, false = process_time(), {}, Counter[str]()
    for run in project.runs:
        volume = select_tomogram(project, run, DataOptions(tomo_type=way.tomo_type))
        picks = pick_with(nets, volume, models, plan=plan)
        limits = limits_for(picks, models, given)
        kept[run] = chosen(picks, volume, models, thresholds=limits, plan=plan, maps=densities)
        false.update(expected_false(kept[run], calibrations_for(picks, models)))
    return kept, dict(false), (process_time() - begun) / len(kept)


if __name__ == "__main__":
    keep_freed_memory()
    run_script(print_card, description=__doc__)
