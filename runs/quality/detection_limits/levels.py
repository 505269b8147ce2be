"""The levels of dose and missing wedge: a simulated project each, all with the same particles."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomosoup
from runs.shared.command import Words, print_progress
from runs.shared.density_maps import MAP_SCALE, density_maps
from tomosoup.core.errors import InputError
from tomosoup.simulation.options.recipe import CONCENTRATION, SimulationRecipe

RUNS, MATCHED_RUNS, SEED = 3, 2, 903
"""Runs of a level, those that matched filters search; every level has the same scenes."""
USUAL = (80.0, 45.0)
"""Electrons per Å² and degrees, about the centre of the recipe `contest`."""
SEEN_IN_TRAINING = {"dose": (50, 140), "tilt": (40, 60)}
"""What the model that ships with tomosoup was trained on (runs/models/default_model.py)."""
NO_NOISE = 1280
"""Where the figure shows `CLEAN`."""
CLEAN = 1e5
"""Electrons per Å², without damage: counts without noise."""


@dataclass(frozen=True)
class Level:
    """The dose and the tilts of one project; all projects show the same particles."""

    axis: str
    dose: float
    tilt: float
    damage: bool = True

    @property
    def name(self) -> str:
        """Its folder."""
        return f"dose-{self.dose:g}-tilt-{self.tilt:g}"


LEVELS = [
    *(Level("dose", dose, USUAL[1]) for dose in (2.5, 5, 10, 20, 40, 80, 160, 320)),
    Level("dose", CLEAN, USUAL[1], damage=False),
    *(Level("tilt", USUAL[0], tilt) for tilt in (30, 39, 51, 60, 69, 87)),
]


def usual(level: Level) -> bool:
    """Whether it is the level that both axes share."""
    return (level.dose, level.tilt) == USUAL


def recipe(level: Level, data: Path) -> SimulationRecipe:
    """The recipe `contest`, smaller and crowded, with one value in place of each range."""
    contest = SimulationRecipe.read("contest")
    microscope = contest.microscope.model_copy(
        update={
            "tilt_limit": (level.tilt, level.tilt), "dose": (level.dose, level.dose), "damage": level.damage,
            "defocus": (3.0, 3.0), "astigmatism": (0.05, 0.05),
        }
    )  # fmt: skip
    return contest.model_copy(
        update={
            "maps": density_maps(data / "maps_10A"),
            "map_scale": MAP_SCALE,
            "shape": (96, 320, 320),
            "concentration": {name: 0.7 * n for name, n in CONCENTRATION.items()},
            "sample": contest.sample.model_copy(
                update={"thickness": (1500, 1500), "background_proteins": (40_000, 40_000)}
            ),
            "microscope": microscope,
            "reconstruction": contest.reconstruction.model_copy(
                update={"tomo_types": ("denoised", "wbp"), "stretch": (1.0, 1.0)}
            ),
        }
    )


def chosen_levels(*names: str) -> list[Level]:
    """The levels of these names, or all. Raises `InputError` for a name that no level has."""
    known = [level.name for level in LEVELS]
    if wrong := [name for name in names if name not in known]:
        raise InputError(f"Expected levels among {', '.join(known)}, got {', '.join(wrong)}.")
    return [level for level in LEVELS if not names or level.name in names]


def simulate(out: Path, data: Path, *levels: Words) -> None:
    """Simulate the project of every level that is missing, or of those of these names."""
    for level in chosen_levels(*levels):
        if not (out / level.name).exists():
            tomosoup.simulate(out / level.name, recipe(level, data), runs=RUNS, seed=SEED, progress=print_progress)


def simulation_of(project: Path, run: str) -> dict[str, Any]:
    """What a run of a simulated project was made with: recipe, sample, tilt series, processing."""
    found: dict[str, Any] = json.loads((project / "static" / "ExperimentRuns" / run / "simulation.json").read_text())
    return found
