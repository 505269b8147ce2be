"""Labels with an annotator's errors stand beside the exact ones and are used only where they are named."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from tomosoup.core.types import Picks
from tomosoup.data.project import open_project
from tomosoup.data.truth import read_truth
from tomosoup.simulation.annotator import TWICE, annotated
from tomosoup.simulation.options.microscope import MicroscopeOptions
from tomosoup.simulation.options.recipe import SimulationRecipe
from tomosoup.simulation.options.specimen import LabelOptions
from tomosoup.simulation.project import simulate


def scattered(n: int, seed: int) -> Picks:
    return Picks.of(np.random.default_rng(seed).random((n, 3)) * 20000)


TRUTH = {"a": scattered(1000, 0), "b": scattered(500, 1)}


def labelled(**errors: float) -> dict[str, Picks]:
    found = annotated(TRUTH, LabelOptions.model_validate(errors), random=np.random.default_rng(3))
    assert found is not None
    return found


def test_an_annotator_without_errors_makes_no_set() -> None:
    assert annotated(TRUTH, LabelOptions(), random=np.random.default_rng(0)) is None


def test_so_many_particles_are_missing_and_the_others_as_they_were() -> None:
    found = labelled(missing=0.3)
    for name, picks in found.items():
        assert len(picks) / len(TRUTH[name]) == pytest.approx(0.7, abs=0.06)
        assert set(map(tuple, picks.zyx)) <= set(map(tuple, TRUTH[name].zyx))
        assert picks.rotations is None


def test_labels_are_off_by_as_much_as_is_said() -> None:
    found = labelled(shift=12.0)
    for name, picks in found.items():
        off = picks.zyx - TRUTH[name].zyx
        np.testing.assert_allclose(off.std(axis=0), 12.0, rtol=0.12)


def test_second_labels_are_near_and_of_another_species() -> None:
    found = labelled(duplicates=0.1)
    for name, other in (("a", "b"), ("b", "a")):
        again = np.array([p for p in found[other].zyx if (p != TRUTH[other].zyx).any(axis=1).all()])
        distance = cKDTree(TRUTH[name].zyx).query(again)[0]
        assert len(again) / len(TRUTH[name]) == pytest.approx(0.1, abs=0.04)
        assert distance.min() >= 0.25 * TWICE
        assert distance.max() <= TWICE
    alone = annotated({"a": TRUTH["a"]}, LabelOptions(duplicates=0.1), random=np.random.default_rng(0))
    assert alone is not None
    assert 1050 < len(alone["a"]) < 1150


@pytest.mark.parametrize("contest", [False, True])
def test_a_project_has_both_sets_and_the_exact_one_is_the_truth(tmp_path: Path, contest: bool) -> None:
    recipe = SimulationRecipe(
        shape=(24, 64, 64),
        concentration={"apo-ferritin": 60000.0, "beta-amylase": 60000.0},
        labels=LabelOptions(shift=10.0),
        microscope=MicroscopeOptions(tilt_step=20.0),
    )
    project = simulate(tmp_path / "p", recipe, runs=1, contest=contest)
    exact = simulate(tmp_path / "q", recipe.model_copy(update={"labels": LabelOptions()}), runs=1, contest=contest)
    erroneous = read_truth(project, "run_000", "simulated-annotator/0")
    for name, picks in read_truth(project, "run_000").items():
        np.testing.assert_array_equal(picks.zyx, read_truth(exact, "run_000")[name].zyx)
        off = np.abs(erroneous[name].zyx - picks.zyx)
        assert 0 < off.max() < 50
    assert len(open_project(tmp_path / "q").pick_sets("run_000")) == 1
