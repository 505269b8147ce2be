"""`PickSet`: copick's user and session, and the candidates that belong to a set."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tomosoup.core.errors import InputError
from tomosoup.data.pick_store.pick_set import OWN_USER, PickSet

names = st.text("abc-019", min_size=1, max_size=8)


@given(user=names, session=names)
@settings(max_examples=30, deadline=None)
def test_a_set_is_read_as_it_is_written(user: str, session: str) -> None:
    assert PickSet.of(str(PickSet(user, session))) == PickSet(user, session)


@given(user=names, session=names)
@settings(max_examples=30, deadline=None)
def test_the_candidates_of_a_set_lead_back_to_it(user: str, session: str) -> None:
    own = PickSet(user, session)
    assert own.candidates != own
    assert own.candidates.user == user
    assert own.candidates.holds_candidates
    assert own.candidates.passing == own.passing


def test_a_set_that_holds_no_candidates_is_its_own_passing_one() -> None:
    own = PickSet("tomosoup", "1")
    assert not own.holds_candidates
    assert own.passing == own


def test_only_the_end_of_a_session_tells_candidates() -> None:
    assert not PickSet("tomosoup", "candidates-1").holds_candidates
    assert PickSet("tomosoup", "candidates-1").passing.session == "candidates-1"


@pytest.mark.parametrize("text", ["", "tomosoup", "/", "tomosoup/", "/0", "a/b/c", "a//b"])
def test_any_other_text_is_refused_and_shown(text: str) -> None:
    with pytest.raises(InputError, match=r"USER/SESSION") as error:
        PickSet.of(text)
    assert repr(text) in str(error.value)


def test_the_programs_own_sets_are_told_by_their_user_alone() -> None:
    assert PickSet(OWN_USER, "anything").own
    assert PickSet(OWN_USER, "0").candidates.own
    assert not PickSet("curator", OWN_USER).own


def test_sets_are_sorted_by_user_then_session() -> None:
    sets = [PickSet("b", "0"), PickSet("a", "1"), PickSet("a", "0")]
    assert [str(s) for s in sorted(sets)] == ["a/0", "a/1", "b/0"]
