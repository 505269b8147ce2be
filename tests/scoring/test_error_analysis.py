import numpy as np
import pytest

from tomosoup.core.thresholds import apply_thresholds
from tomosoup.core.types import Picks, Species
from tomosoup.scoring.error_analysis import (
    BESIDE,
    LOW_SCORE,
    MISPLACED,
    ON_NOTHING,
    ON_OTHER,
    OTHER_SPECIES,
    REPEAT,
    UNSEEN,
    Case,
    error_cases,
    error_classes,
    score_of,
)
from tomosoup.scoring.score import score

LARGE, SMALL = Species("large", 100.0), Species("small", 50.0, 2.0)
THRESHOLDS = {"large": 0.5, "small": 0.5}


def at(*x_and_score: tuple[float, float]) -> Picks:
    """Picks on a line along x."""
    table = np.array(x_and_score).reshape(-1, 2)
    return Picks(np.c_[np.zeros((len(table), 2)), table[:, 0]], table[:, 1])


def errors_of(candidates: dict[str, Picks], truth: dict[str, Picks]) -> list[Case]:
    return error_cases("run", candidates, truth, [LARGE, SMALL], thresholds=THRESHOLDS)


def errors(cases: list[Case], *, particles: bool) -> list[str]:
    return [case.error for case in cases if case.is_particle is particles]


def test_each_missed_particle_has_a_reason() -> None:
    truth = {"large": at((0, 1), (1000, 1), (2000, 1), (3000, 1), (4000, 1)), "small": at((9000, 1))}
    large = at((10, 0.9), (1040, 0.3), (2080, 0.9))
    cases = errors_of({"large": large, "small": at((9000, 0.9), (3020, 0.9))}, truth)
    assert errors(cases, particles=True) == ["", LOW_SCORE, MISPLACED, OTHER_SPECIES, UNSEEN, ""]
    assert [case.other for case in cases if case.error == OTHER_SPECIES] == ["small"]


def test_each_false_pick_stands_on_something() -> None:
    truth = {"large": at((0, 1), (1000, 1)), "small": at((3000, 1))}
    cases = errors_of({"large": at((0, 0.9), (30, 0.8), (1080, 0.9), (3040, 0.9), (7000, 0.9))}, truth)
    assert errors(cases, particles=False) == [BESIDE, ON_OTHER, ON_NOTHING, REPEAT]  # by score
    assert [case.other for case in cases if case.error == ON_OTHER] == ["small"]


def test_a_right_pick_of_one_species_is_not_the_reason_why_another_is_missed() -> None:
    cases = errors_of({"small": at((20, 0.9))}, {"large": at((0, 1)), "small": at((20, 1))})
    assert errors(cases, particles=True) == [UNSEEN, ""]


def test_the_nearest_neighbour_of_a_particle_is_of_any_species_but_not_itself() -> None:
    cases = errors_of({}, {"large": at((0, 1), (400, 1)), "small": at((150, 1))})
    assert [case.neighbour for case in cases] == [150.0, 250.0, 150.0]


@pytest.mark.parametrize("seed", range(3))
def test_cases_come_to_the_score_and_all_classes_gone_to_1(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = {s.name: Picks(random.uniform(0, 1500, (12, 3)), np.ones(12)) for s in (LARGE, SMALL)}
    candidates = {
        name: Picks(np.r_[p.zyx[:9] + random.normal(0, 20, (9, 3)), random.uniform(0, 1500, (6, 3))], random.random(15))
        for name, p in truth.items()
    }
    cases, species = errors_of(candidates, truth), [LARGE, SMALL]
    whole = score({"run": apply_thresholds(candidates, THRESHOLDS)}, {"run": truth}, species)
    assert score_of(cases, species).weighted == pytest.approx(whole.weighted)
    everything = error_classes(cases, species, by=lambda _: "all")
    assert whole.weighted + everything[0].cost == pytest.approx(1)
    by_species = error_classes(cases, species, by=lambda case: case.species)
    assert sum(group.cost for group in by_species) == pytest.approx(everything[0].cost)
    assert sum(group.missed for group in by_species) == sum(m.fn for m in whole.species.values())
