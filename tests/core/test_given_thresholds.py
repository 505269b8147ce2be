"""`Thresholds`: words become numbers, later ones win, what is not said is left to others."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tomosoup.core.errors import InputError
from tomosoup.core.thresholds import Thresholds, apply_thresholds
from tomosoup.core.types import Picks

SPECIES = ("ribosome", "ferritin", "capsid")
scores = st.floats(0, 1, allow_nan=False)
by_species = st.dictionaries(st.sampled_from(SPECIES), scores)


def test_without_a_word_nothing_is_set() -> None:
    assert Thresholds.read([]).over({"ribosome": 0.2}, SPECIES) == {"ribosome": 0.2}


def test_a_number_is_for_every_species() -> None:
    assert Thresholds.read(["0.3"]).over({}, SPECIES) == dict.fromkeys(SPECIES, 0.3)


def test_a_number_for_one_species_leaves_the_others_to_what_was_set() -> None:
    others = {"ribosome": 0.1, "ferritin": 0.2}
    assert Thresholds.read(["ribosome=0.4"]).over(others, SPECIES) == {"ribosome": 0.4, "ferritin": 0.2}


def test_a_number_for_one_species_goes_before_the_one_for_all() -> None:
    given_ = Thresholds.read(["0.3", "capsid=0.9"]).over({"capsid": 0.5}, SPECIES)
    assert given_ == {"ribosome": 0.3, "ferritin": 0.3, "capsid": 0.9}


def test_a_later_number_for_all_takes_back_the_earlier_ones_of_species() -> None:
    assert Thresholds.read(["capsid=0.9", "0.3"]).over({}, SPECIES)["capsid"] == 0.3


def test_of_two_numbers_for_one_species_the_later_is_meant() -> None:
    assert Thresholds.read(["capsid=0.9", "capsid=0.1"]).by_species == {"capsid": 0.1}


def test_a_threshold_of_zero_is_a_threshold() -> None:
    assert Thresholds.read(["0"]).over({"capsid": 0.5}, SPECIES) == dict.fromkeys(SPECIES, 0.0)
    assert Thresholds.read(["capsid=0"]).over({"capsid": 0.5}, SPECIES) == {"capsid": 0.0}


def test_a_name_may_hold_an_equals_sign() -> None:
    assert Thresholds.read(["a=b=0.5"]).by_species == {"a=b": 0.5}


@pytest.mark.parametrize("word", ["", "ribosome", "ribosome=", "=", "ribosome=high", "nan", "ribosome=nan", "0,3"])
def test_anything_else_is_refused_with_both_forms_in_the_message(word: str) -> None:
    with pytest.raises(InputError) as error:
        Thresholds.read(["0.1", word])
    assert "0.3" in str(error.value)
    assert "ribosome=0.4" in str(error.value)


def test_an_unknown_species_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(InputError, match=r"'virus'.*ribosome, ferritin, capsid"):
        Thresholds.read(["virus=0.5"]).over({}, SPECIES)


def test_what_others_have_set_stays_as_it_was() -> None:
    others = {"ribosome": 0.1}
    Thresholds.read(["0.7"]).over(others, SPECIES)
    assert others == {"ribosome": 0.1}


@given(default=scores, own=by_species, others=by_species)
@settings(max_examples=30, deadline=None)
def test_the_most_special_word_wins_for_each_species(
    default: float, own: dict[str, float], others: dict[str, float]
) -> None:
    found = Thresholds(default, own).over(others, SPECIES)
    assert found == {name: own.get(name, default) for name in SPECIES}
    without = Thresholds(None, own).over(others, SPECIES)
    assert without == {name: own[name] if name in own else others[name] for name in {*own, *others}}


def picks(*score: float) -> Picks:
    return Picks(np.arange(3.0 * len(score)).reshape(-1, 3), np.array(score))


def test_a_pick_at_the_threshold_is_kept() -> None:
    kept = apply_thresholds({"ribosome": picks(0.2, 0.5, 0.5000001, 0.4999999)}, {"ribosome": 0.5})["ribosome"]
    np.testing.assert_array_equal(kept.score, [0.5, 0.5000001])
    np.testing.assert_array_equal(kept.zyx, [[3, 4, 5], [6, 7, 8]])


def test_species_without_a_threshold_keep_all_their_picks() -> None:
    kept = apply_thresholds({"ribosome": picks(-3.0, 0.0), "capsid": picks(0.1)}, {"capsid": 0.5})
    assert {name: len(found) for name, found in kept.items()} == {"ribosome": 2, "capsid": 0}


def test_a_species_that_loses_all_its_picks_stays_in_the_list() -> None:
    assert set(apply_thresholds({"capsid": picks(0.1)}, {"capsid": math.inf})) == {"capsid"}
