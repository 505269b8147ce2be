"""The script of docs/scoring/limits.md, on one small simulated level."""

import json
from pathlib import Path

import pytest

import tomosoup
from runs.quality.detection_limits import matched_filters
from runs.quality.detection_limits.error_classes import errors
from runs.quality.detection_limits.levels import LEVELS, Level, chosen_levels
from tomosoup.core.errors import InputError
from tomosoup.simulation.options.recipe import SimulationRecipe

LEVEL = Level("dose", 80.0, 45.0)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a measurement that holds the project of one level."""
    folder = tmp_path_factory.mktemp("limits")
    contest = SimulationRecipe.read("contest")
    changes = {
        "shape": (64, 96, 96), "concentration": dict.fromkeys(contest.concentration, 8000.0),
        "reconstruction": contest.reconstruction.model_copy(update={"tomo_types": ("denoised", "wbp")}),
    }  # fmt: skip
    tomosoup.simulate(folder / LEVEL.name, contest.model_copy(update=changes), runs=1, seed=3)
    return folder


def test_matched_filters_answer_more_at_particles_than_elsewhere(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matched_filters, "LEVELS", [LEVEL])
    monkeypatch.setattr(matched_filters, "MATCHED_RUNS", 1)
    matched_filters.matched(out)
    found = json.loads((out / "matched" / f"{LEVEL.name}-run_000.json").read_text())
    signals = [signal for species in found.values() for signal, _ in species["particles"]]
    assert len(signals) >= 3
    assert max(signals) > matched_filters.LEAST_SIGNAL


def test_errors_of_each_classification_add_up(out: Path) -> None:
    errors(out, "default", str(out / LEVEL.name))
    found = json.loads((out / "errors" / f"default-{LEVEL.name}.json").read_text())
    groups = found["groups"]
    missed = sum(case["is_particle"] for case in found["cases"])
    assert missed > 0
    for way in ("species", "error", "neighbour"):
        assert sum(group["missed"] for group in groups[way]) == missed


def test_a_level_that_is_not_there_is_refused() -> None:
    assert chosen_levels() == LEVELS
    assert chosen_levels(LEVEL.name) == [LEVEL]
    with pytest.raises(InputError, match="got dose-81"):
        chosen_levels("dose-81")
