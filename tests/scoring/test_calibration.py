"""Scores of different nets on one scale."""

import numpy as np
import pytest
import torch

from tomosoup.core.types import Picks, Species
from tomosoup.scoring.calibration import (
    Calibration,
    fit_calibration,
    mean_calibrations,
    metadata_of,
    read_calibrations,
)
from tomosoup.scoring.thresholds import calibrate


def drawn(truth: Calibration, *, size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores, and whether each came out right, with the chances that a calibration gives them."""
    random = np.random.default_rng(seed)
    score = random.uniform(0.02, 1.0, size)
    chance = truth.apply(torch.from_numpy(score)).numpy()
    return score, (random.random(size) < chance).astype(float)


@pytest.mark.parametrize("truth", [Calibration(0.3, 4.0), Calibration(0.6, 8.0), Calibration(0.1, 1.5)])
def test_a_fit_finds_the_calibration_that_made_the_data(truth: Calibration) -> None:
    found = fit_calibration(*drawn(truth, size=20000))
    assert found is not None
    assert found.centre == pytest.approx(truth.centre, rel=0.05)
    assert found.steepness == pytest.approx(truth.steepness, rel=0.1)


def test_the_middle_is_worth_a_half_and_the_order_is_kept() -> None:
    values = Calibration(0.3, 4.0).apply(torch.tensor([-1.0, 0.0, 0.15, 0.3, 0.6, 1e30]))
    torch.testing.assert_close(values, torch.tensor([0.0, 0.0, 1 / 17, 0.5, 16 / 17, 1.0]))
    assert (values.diff() >= 0).all()


def test_two_nets_of_different_height_come_to_one_scale() -> None:
    score, right = drawn(Calibration(0.4, 5.0), size=20000)
    high, low = fit_calibration(score, right), fit_calibration(score * 0.01, right)
    assert high is not None
    assert low is not None
    at = torch.tensor([0.1, 0.4, 0.8])
    torch.testing.assert_close(high.apply(at), low.apply(at * 0.01), atol=0.02, rtol=0)


def test_few_picks_give_no_certainty_and_no_hit_gives_nothing() -> None:
    found = fit_calibration(np.array([0.5, 0.6]), np.array([1.0, 1.0]))
    assert found is not None
    assert float(found.apply(torch.tensor(0.6))) < 0.85
    assert fit_calibration(np.array([0.5, 0.6]), np.zeros(2)) is None
    assert fit_calibration(np.empty(0), np.empty(0)) is None


def test_only_the_best_of_two_picks_of_a_particle_is_right() -> None:
    truth = Picks.of([[0.0, 0.0, 0.0]])
    picks = Picks(np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]), np.array([0.9, 0.2]))
    species = [Species("a", 20.0), Species("b", 20.0)]
    found = calibrate([({"a": picks}, {"a": truth})] * 20, species)
    assert list(found) == ["a"]  # of b there is nothing to learn from
    assert 0.2 < found["a"].centre < 0.9


def tomogram(random: np.random.Generator, *, particles: int, others: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores of candidates, and which are particles: both kinds score alike in every tomogram, in logarithms."""
    score = np.exp(np.concatenate([random.normal(-0.7, 0.4, particles), random.normal(-1.7, 0.5, others)]))
    return score, np.concatenate([np.ones(particles), np.zeros(others)])


def test_the_expected_fraction_of_false_picks_is_the_true_one() -> None:
    random = np.random.default_rng(1)
    fitted = fit_calibration(*tomogram(random, particles=200, others=400))
    assert fitted is not None
    score, right = tomogram(random, particles=2000, others=4000)
    for rate in (0.05, 0.2):
        kept = score >= fitted.threshold(score, max_fdr=rate)
        assert (1 - fitted.probabilities(score[kept])).mean() == pytest.approx(rate, abs=0.01)
        assert (1 - right[kept]).mean() == pytest.approx(rate, abs=0.06)


def test_no_pick_is_kept_where_none_is_likely_enough() -> None:
    assert Calibration(0.3, 4.0).threshold(np.array([0.2, 0.25]), max_fdr=0.1) == np.inf
    assert Calibration(0.3, 4.0).threshold(np.empty(0), max_fdr=0.1) == np.inf


def test_more_picks_are_kept_for_a_higher_rate() -> None:
    calibration, score = Calibration(0.3, 4.0), np.random.default_rng(0).uniform(0.05, 1, 300)
    thresholds = [calibration.threshold(score, max_fdr=rate) for rate in (0.01, 0.05, 0.1, 0.2)]
    assert thresholds == sorted(thresholds, reverse=True)
    assert len(set(thresholds)) == 4


def test_equal_scores_pass_together_or_not_at_all() -> None:
    scores = np.array([0.9, 0.3, 0.3, 0.3])
    assert Calibration(0.3, 4.0).threshold(scores, max_fdr=0.3) == 0.9  # all four would have 0.38
    assert Calibration(0.3, 4.0).threshold(scores, max_fdr=0.4) == 0.3


def test_several_models_have_their_mean_and_files_keep_all() -> None:
    one, other = Calibration(0.2, 2.0), Calibration(0.8, 8.0)
    mean = mean_calibrations([{"a": one, "b": one}, {"a": other}])
    assert (mean["a"].centre, mean["a"].steepness) == pytest.approx((0.4, 4.0))
    assert read_calibrations(metadata_of(mean)) == mean
