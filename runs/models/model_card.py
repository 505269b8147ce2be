"""Prints what models find in tomograms with a known truth: the tables of the model card.

    python -m runs.models.model_card PROJECT OUT [WAY ...]

PROJECT is a copick project with the contest's species, such as those of `runs.models.default_model` and `runs.others`.
OUT holds the models; those that it lacks are the bundled ones. A way names models, plan and tomogram type (`WAYS`).

F4 is at the thresholds of the models. Intervals are from a bootstrap over runs, and over particles and false picks in
them. Then come the fractions of picks that are expected to be false, and that are; without probabilities the first is
nan. The last three columns are for picks by a false-discovery rate of `MAX_FDR` in place of thresholds.
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
from tomosoup.core.thresholds import MaxFdr
from tomosoup.core.types import PicksBySpecies
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
from tomosoup.scoring.matching import MATCH_RADII, Matches
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


WAYS = {
    "default": Way(),
    "ctfdeconvolved": Way(tomo_type="ctfdeconvolved"),
    "wbp": Way(tomo_type="wbp"),
    "only-type": Way(tomo_type=None),
    "not-denoised": Way(tomo_type=None, plan={"denoise": "never"}),
    "denser-windows": Way(plan={"stride": (4, 768, 768)}),
    "views": Way(plan={"views": FLIPS}),
    "maps": Way(plan={"templates": {}}),
    "default-soup": Way(("default-soup",)),
    "both": Way(("default", "default-soup")),
}


MAX_FDR = 0.1


def print_card(project: Path, out: Path, *ways: Words) -> None:
    """Print the tables of some ways, or of all."""
    opened = open_project(project)
    truth = {run: read_truth(opened, run) for run in opened.runs}
    for name in ways or WAYS:
        way = WAYS[name]
        models = [load(own if (own := out / f"{file}.safetensors").exists() else file) for file in way.models]
        found, seconds = pick_runs(opened, models, way, maps=out / "maps")
        species = models[0].species
        result, clean = score(found.kept, truth, species), score(found.clean, truth, species)
        print(f"| {name} | F4 | 95 % | hit | false | missed | expected | true | F4 | expected | true |")
        print(f"| --- |{' ---: |' * 10}")
        for kind in species:
            distance = MATCH_RADII * kind.radius
            matched = [
                [MatchedPicks.of(p[kind.name], truth[r][kind.name], distance=distance)] for r, p in found.kept.items()
            ]
            drawn = bootstrap(matched, resamples=1000, seed=0)
            low, high = interval(np.array([sample.at(0.0).f_beta() for sample in drawn]))
            m, c = result.species[kind.name], clean.species[kind.name]
            rates = [
                f"{n.get(kind.name, np.nan) / max(1, m.tp + m.fp):.2f}"
                for n, m in ((found.false, m), (found.clean_false, c))
            ]
            words = [f"{m.f_beta():.3f}", f"{low:.3f}-{high:.3f}", m.tp, m.fp, m.fn, rates[0], true_rate(m)]
            print(f"| {kind.name} | {' | '.join(map(str, [*words, f'{c.f_beta():.3f}', rates[1], true_rate(c)]))} |")
        each = " ".join(f"{score({run: picks}, truth, species).weighted:.2f}" for run, picks in found.kept.items())
        print(f"| **weighted** | **{result.weighted:.3f}** | runs {each} |{' |' * 5} {clean.weighted:.3f} | | |")
        print(f"\n{seconds:.0f} CPU seconds a tomogram\n", flush=True)


def true_rate(matches: Matches) -> str:
    """The fraction of picks that are false."""
    picks = matches.tp + matches.fp
    return f"{matches.fp / picks:.2f}" if picks else ""


@dataclass(frozen=True)
class Found:
    """Picks of some runs, by the thresholds of the models and by a false-discovery rate."""

    kept: dict[str, PicksBySpecies] = field(default_factory=dict)
    clean: dict[str, PicksBySpecies] = field(default_factory=dict)
    false: Counter[str] = field(default_factory=Counter)
    """How many of those kept are expected to be false, by species."""
    clean_false: Counter[str] = field(default_factory=Counter)


def pick_runs(project: Project, models: list[Checkpoint], way: Way, *, maps: Path) -> tuple[Found, float]:
    """The picks, and CPU seconds a tomogram."""
    changes = {**way.plan, "templates": {"folder": maps}} if "templates" in way.plan else way.plan
    plan = PickingPlan.of(changes, source="The way")
    densities, nets = chosen_maps(plan, models), Nets(InferenceOptions(engine="torch"))
    begun, found = process_time(), Found()
    for run in project.runs:
        volume = select_tomogram(project, run, DataOptions(tomo_type=way.tomo_type))
        picks = pick_with(nets, volume, models, plan=plan)
        known = calibrations_for(picks, models)
        limits = [all_thresholds(models), limits_for(picks, models, MaxFdr(MAX_FDR))]
        for into, false, thresholds in zip(
            (found.kept, found.clean), (found.false, found.clean_false), limits, strict=True
        ):
            into[run] = chosen(picks, volume, models, thresholds=thresholds, plan=plan, maps=densities)
            false.update(expected_false(into[run], known))
    return found, (process_time() - begun) / len(project.runs)


if __name__ == "__main__":
    keep_freed_memory()
    run_script(print_card, description=__doc__)
