"""The bootstrap: resamples are made of what was there, whole runs at a time, the same ones for the same seed."""

import numpy as np
import pytest

from tomosoup.core.types import Picks
from tomosoup.scoring.bootstrap import bootstrap, interval
from tomosoup.scoring.matched_picks import MatchedPicks


def run_of(hits: list[float], false: list[float], missed: int = 0) -> MatchedPicks:
    """A run with particles that are hit at these scores, false picks of these scores, and missed particles."""
    particles = np.arange(len(hits) + missed)[:, None] * [1000.0, 0.0, 0.0]
    far = np.full((len(false), 3), -5000.0)
    picks = Picks(np.concatenate([particles[: len(hits)], far]), np.array([*hits, *false], dtype=float))
    return MatchedPicks.of(picks, Picks.of(particles), distance=10.0)


def test_a_seed_gives_the_same_resamples_and_another_gives_others() -> None:
    runs = [[run_of([0.9, 0.8, 0.7], [0.5, 0.4])], [run_of([0.6], [0.3], missed=2)]]
    one, again, other = ([r.score.tolist() for r in bootstrap(runs, resamples=5, seed=s)] for s in (1, 1, 2))
    assert len(one) == 5
    assert one == again != other


def test_a_resample_holds_only_scores_that_were_there_and_keeps_hits_and_false_picks_apart() -> None:
    runs = [[run_of([0.9, 0.8], [0.5, 0.4])], [run_of([0.7], [0.3], missed=1)]]
    for resample in bootstrap(runs, resamples=50, seed=0):
        assert set(resample.score[resample.gain > 0]) <= {0.9, 0.8, 0.7}
        assert set(resample.score[resample.gain == 0]) <= {0.5, 0.4, 0.3}
        assert (np.diff(resample.score) <= 0).all()
        assert resample.particles == 4  # two in each of the two runs that are drawn


def test_false_picks_keep_their_number_and_particles_theirs_in_a_single_run() -> None:
    runs = [[run_of([0.9, 0.8, 0.7], [0.5, 0.4, 0.3, 0.2], missed=2)]]
    for resample in bootstrap(runs, resamples=20, seed=0):
        assert resample.particles == 5
        assert int((resample.gain == 0).sum()) == 4
        assert int((resample.gain > 0).sum()) <= 5


def test_missed_particles_are_drawn_as_often_as_any_other() -> None:
    runs = [[run_of([0.9] * 30, [], missed=10)]]
    found = [float(resample.gain.sum()) for resample in bootstrap(runs, resamples=400, seed=0)]
    assert np.mean(found) == pytest.approx(30, abs=5 * np.sqrt(40 * 0.75 * 0.25 / 400))
    assert np.std(found) == pytest.approx(np.sqrt(40 * 0.75 * 0.25), rel=0.15)


def test_whole_runs_come_and_go() -> None:
    runs = [[run_of([0.9], [])], [run_of([0.1], [])]]
    kinds = {tuple(resample.score) for resample in bootstrap(runs, resamples=60, seed=0)}
    assert kinds == {(0.9, 0.9), (0.9, 0.1), (0.1, 0.1)}


def test_views_of_a_run_are_no_new_data_all_get_the_same_particles() -> None:
    view = run_of([0.9, 0.8, 0.7, 0.6, 0.5], [0.3, 0.2, 0.1])
    for resample in bootstrap([[view, view]], resamples=20, seed=0):
        assert resample.particles == 10
        for scores in (resample.score[resample.gain > 0], resample.score[resample.gain == 0]):
            np.testing.assert_array_equal(scores[::2], scores[1::2])


def test_a_view_with_fewer_false_picks_gets_those_of_the_same_rank() -> None:
    many, few = run_of([], [0.4, 0.3, 0.2, 0.1], missed=1), run_of([], [0.35, 0.15], missed=1)
    for resample in bootstrap([[many, few]], resamples=20, seed=0):
        assert int(np.isin(resample.score, [0.4, 0.3, 0.2, 0.1]).sum()) == 4
        assert int(np.isin(resample.score, [0.35, 0.15]).sum()) == 2


def test_runs_without_anything_are_resampled_too() -> None:
    for resample in bootstrap([[run_of([], [])]], resamples=3, seed=0):
        assert resample.particles == 0
        assert len(resample.score) == 0


def test_an_interval_holds_the_middle_nineteen_twentieths() -> None:
    assert interval(np.arange(1001.0)) == pytest.approx((25.0, 975.0))
    assert interval(np.array([2.0])) == (2.0, 2.0)


@pytest.mark.parametrize("nothing", [np.inf, -np.inf, np.nan])
def test_resamples_that_hit_nothing_do_not_count(nothing: float) -> None:
    assert interval(np.append(np.arange(1001.0), [nothing] * 500)) == pytest.approx((25.0, 975.0))
