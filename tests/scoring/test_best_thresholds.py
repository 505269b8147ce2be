"""Thresholds from known picks, against trying every one of them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tomosoup.core.types import Picks, Species
from tomosoup.scoring.matched_picks import RankedPicks
from tomosoup.scoring.thresholds import UNTUNED, best_threshold, best_thresholds, steady_threshold, steady_thresholds

ranked_picks = st.lists(
    st.tuples(st.integers(1, 9).map(lambda n: n / 10), st.sampled_from([0.0, 1.0, 2.0])), min_size=1, max_size=12
).map(lambda pairs: RankedPicks.sorted(*map(np.array, zip(*pairs, strict=True)), particles=25))


def f_beta(picks: RankedPicks, threshold: float, beta: float) -> float:
    """By precision and recall, as textbooks have it, with a pick of two particles counted as two."""
    passed = picks.score >= threshold
    tp, false = picks.gain[passed].sum(), passed.sum() - picks.gain[passed].sum()
    if tp == 0:
        return 0.0
    precision, recall = tp / (tp + false), tp / picks.particles
    return float((1 + beta**2) * precision * recall / (beta**2 * precision + recall))


@given(picks=ranked_picks, beta=st.sampled_from([0.5, 1.0, 4.0]))
@settings(max_examples=60, deadline=None)
def test_no_other_threshold_does_better(picks: RankedPicks, beta: float) -> None:
    best = best_threshold(picks, beta=beta)
    if not picks.gain.any():
        assert best == math.inf
        return
    assert best in picks.score
    reached = f_beta(picks, best, beta)
    assert all(f_beta(picks, other, beta) <= reached + 1e-12 for other in picks.score)


def test_a_higher_beta_asks_for_more_picks() -> None:
    picks = RankedPicks.sorted(np.array([0.9, 0.8, 0.7, 0.6]), np.array([1.0, 0.0, 0.0, 1.0]), 2)
    assert best_threshold(picks, beta=0.5) == 0.9
    assert best_threshold(picks, beta=4.0) == 0.6


def test_equal_scores_pass_or_fail_together() -> None:
    picks = RankedPicks.sorted(np.array([0.9] + [0.5] * 21), np.array([1.0, 1.0] + [0.0] * 20), 2)
    assert best_threshold(picks, beta=1.0) == 0.9
    assert best_threshold(picks, beta=4.0) == 0.5


@given(picks=ranked_picks)
@settings(max_examples=25, deadline=None)
def test_a_steady_threshold_lies_between_the_lowest_and_the_highest_score(picks: RankedPicks) -> None:
    steady = steady_threshold(picks)
    if picks.gain.any():
        assert picks.score.min() * (1 - 1e-9) <= steady <= picks.score.max() * (1 + 1e-9)
    else:
        assert steady == math.inf


def test_thresholds_grow_with_the_scores() -> None:
    score, gain = np.array([0.9, 0.8, 0.5, 0.3, 0.2]), np.array([1.0, 0.0, 1.0, 0.0, 0.0])
    small, large = (RankedPicks.sorted(score * scale, gain, 3) for scale in (1.0, 7.0))
    assert best_threshold(large) == pytest.approx(7 * best_threshold(small))
    assert steady_threshold(large) == pytest.approx(7 * steady_threshold(small))


def test_scores_that_no_threshold_reaches_change_no_steady_threshold() -> None:
    score, gain = np.array([0.9, 0.8, 0.5]), np.array([1.0, 0.0, 1.0])
    picks = RankedPicks.sorted(score, gain, 4)
    with_others = RankedPicks.sorted(np.append(score, [0.0, -0.2]), np.append(gain, [1.0, 0.0]), 4)
    assert steady_threshold(with_others) == steady_threshold(picks)
    assert steady_threshold(RankedPicks.sorted(np.array([0.0, -0.2]), np.ones(2), 4)) == math.inf


def test_without_a_margin_the_steady_threshold_is_as_good_as_the_best() -> None:
    picks = RankedPicks.sorted(np.linspace(0.9, 0.1, 17), np.array([1.0, 0.0] * 8 + [0.0]), 10)
    steady = steady_threshold(picks, margin=1e-4)
    assert f_beta(picks, steady, 4.0) == pytest.approx(f_beta(picks, best_threshold(picks), 4.0))


def test_the_less_sure_a_score_is_the_lower_the_steady_threshold() -> None:
    picks = RankedPicks.sorted(np.array([0.9, 0.85, 0.8, 0.3, 0.29, 0.28]), np.array([1.0] * 3 + [0.0] * 3), 3)
    steady = [steady_threshold(picks, margin=margin) for margin in (0.01, 0.1, 0.3)]
    assert steady[0] > steady[1] > steady[2]


RIBOSOME, CAPSID = Species("ribosome", 100.0, 1.0), Species("capsid", 50.0, 0.0)
TRUTH = {"ribosome": Picks.of([[0, 0, 0], [0, 0, 500]]), "capsid": Picks.of([[0, 0, 0]])}


def found(*pairs: tuple[float, float]) -> Picks:
    """Picks at (x, score)."""
    return Picks(np.array([[0.0, 0.0, x] for x, _ in pairs]), np.array([score for _, score in pairs]))


def test_each_species_is_matched_within_half_its_own_radius() -> None:
    picks = {"ribosome": found((50, 0.9), (551, 0.8)), "capsid": found((26, 0.7), (25, 0.6))}
    thresholds, score = best_thresholds([(picks, TRUTH)], [RIBOSOME, CAPSID])
    assert thresholds == {"ribosome": 0.9, "capsid": 0.6}
    assert (score.species["ribosome"].tp, score.species["ribosome"].fn) == (1, 1)
    assert (score.species["capsid"].tp, score.species["capsid"].fp) == (1, 1)


def test_species_without_a_hit_have_the_untuned_threshold_in_a_new_tomogram() -> None:
    picks = {"ribosome": found((0, 0.9), (500, 0.9))}
    thresholds = steady_thresholds([(picks, TRUTH)], [RIBOSOME, CAPSID])
    assert thresholds["capsid"] == UNTUNED
    assert thresholds["ribosome"] == pytest.approx(0.9)


def test_tomograms_are_pooled_and_not_averaged() -> None:
    rich = {"ribosome": Picks.of([[0, 0, 1000.0 * i] for i in range(20)])}
    poor = {"ribosome": Picks.of([[0, 0, 0]])}
    picks_rich = {"ribosome": found(*[(1000.0 * i, 0.8) for i in range(20)])}
    picks_poor = {"ribosome": found((0, 0.2), *[(5000.0 + i, 0.3) for i in range(200)])}
    thresholds, score = best_thresholds([(picks_rich, rich), (picks_poor, poor)], [RIBOSOME])
    assert thresholds["ribosome"] == 0.8
    assert (score.species["ribosome"].tp, score.species["ribosome"].fn) == (20, 1)
