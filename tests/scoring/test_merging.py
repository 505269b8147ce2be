"""Several sets of picks become one, and it is known who found what."""

import numpy as np
import pytest

from tomosoup.core.errors import InputError
from tomosoup.core.types import Picks
from tomosoup.scoring.merging import counts_by_sets, merge_picks

FIRST = {"TS_1": {"a": Picks(np.array([[0.0, 0, 0], [0, 0, 100], [0, 0, 200]]), np.array([0.9, 0.2, 0.5]))}}
SECOND = {
    "TS_1": {"a": Picks(np.array([[0.0, 0, 104], [0, 0, 300]]), np.array([20.0, 10.0]))},
    "TS_2": {"a": Picks(np.array([[5.0, 5, 5]]), np.array([30.0]))},
}


def places(at_least: int) -> dict[str, list[float]]:
    merged = merge_picks([FIRST, SECOND], {"a": 10.0}, at_least=at_least)
    return {run: sorted(those["a"].picks.zyx[:, 2].tolist()) for run, those in merged.items()}


def test_one_set_is_the_union_and_all_sets_the_intersection() -> None:
    assert places(1) == {"TS_1": [0, 102, 200, 300], "TS_2": [5]}
    assert places(2) == {"TS_1": [102], "TS_2": []}


def test_a_score_is_the_mean_rank_over_all_sets() -> None:
    merged = merge_picks([FIRST, SECOND], {"a": 10.0})["TS_1"]["a"]
    found = dict(zip(merged.picks.zyx[:, 2].tolist(), merged.picks.score.tolist(), strict=True))
    assert found == pytest.approx({0: 3 / 3 / 2, 102: (1 / 3 + 2 / 3) / 2, 200: 2 / 3 / 2, 300: 1 / 3 / 2})
    assert (np.diff(merged.picks.score) <= 0).all()


def test_it_is_known_which_sets_found_a_particle() -> None:
    merged = merge_picks([FIRST, SECOND], {"a": 10.0})
    assert counts_by_sets(merged, ["mine", "theirs"]) == {("mine",): 2, ("theirs",): 2, ("mine", "theirs"): 1}


def test_a_pick_goes_to_one_particle_alone_and_the_distance_is_inclusive() -> None:
    pair = {"r": {"a": Picks(np.array([[0.0, 0, 0], [0, 0, 12]]), np.array([2.0, 1.0]))}}
    one = {"r": {"a": Picks.of([[0, 0, 6]])}}
    merged = merge_picks([pair, one], {"a": 6.0})["r"]["a"]
    assert sorted(merged.picks.zyx[:, 2].tolist()) == [3, 12]
    assert len(merge_picks([pair, one], {"a": 5.99})["r"]["a"].picks) == 3


def test_the_order_of_the_sets_does_not_move_particles() -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 1000, (200, 3))
    sets = [{"r": {"a": Picks(truth + rng.normal(0, 3, truth.shape), rng.random(200))}} for _ in range(3)]
    forward, backward = (merge_picks(s, {"a": 15.0}, at_least=2)["r"]["a"] for s in (sets, sets[::-1]))
    assert np.allclose(np.sort(forward.picks.zyx, axis=0), np.sort(backward.picks.zyx, axis=0))
    assert len(forward.picks) >= 195
    assert np.array_equal(forward.found_by.sum(1), backward.found_by.sum(1))


@pytest.mark.parametrize("at_least", [0, 3])
def test_more_sets_than_there_are_cannot_agree(at_least: int) -> None:
    with pytest.raises(InputError, match=f"between 1 and the number of sets, 2, got {at_least}"):
        merge_picks([FIRST, SECOND], {"a": 10.0}, at_least=at_least)
