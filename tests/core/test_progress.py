"""Progress: every item is told once, the parts of some work fill it without gaps and never go back."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tomosoup.core.progress import no_log, no_progress, part, tracked

Said = list[tuple[str, int, int]]


def fractions(said: Said) -> list[Fraction]:
    return [Fraction(done, total) for _, done, total in said]


def test_items_come_in_order_and_each_is_told_before_it_is_worked_on() -> None:
    said: Said = []
    seen = [(item, said[-1]) for item in tracked(lambda *args: said.append(args), "Counting", "abc")]
    assert seen == [("a", ("Counting", 0, 3)), ("b", ("Counting", 1, 3)), ("c", ("Counting", 2, 3))]
    assert said[-1] == ("Counting", 3, 3)
    assert len(said) == 4


def test_no_items_are_told_as_none_of_none() -> None:
    said: Said = []
    assert list(tracked(lambda *args: said.append(args), "Counting", [])) == []
    assert said == [("Counting", 0, 0)]


def test_work_that_is_broken_off_is_never_told_as_done() -> None:
    said: Said = []
    for item in tracked(lambda *args: said.append(args), "Counting", [1, 2, 3]):
        if item == 2:
            break
    assert max(fractions(said)) == Fraction(1, 3)


@given(of=st.integers(1, 6), totals=st.lists(st.integers(1, 9), min_size=6, max_size=6))
@settings(max_examples=30, deadline=None)
def test_parts_of_any_lengths_fill_the_whole_and_never_go_back(of: int, totals: list[int]) -> None:
    said: Said = []
    for number in range(of):
        report = part(lambda *args: said.append(args), number, of)
        for done in range(totals[number] + 1):
            report("Part", done, totals[number])
        assert fractions(said)[-1] == Fraction(number + 1, of)
    assert fractions(said) == sorted(fractions(said))
    assert fractions(said)[0] == 0


@pytest.mark.parametrize(("number", "of", "size"), [(0, 3, 2), (1, 3, 2), (2, 7, 5), (3, 4, 1)])
def test_a_part_of_several_shares_begins_and_ends_at_its_shares(number: int, of: int, size: int) -> None:
    said: Said = []
    report = part(lambda *args: said.append(args), number, of, size=size)
    report("Part", 0, 10)
    report("Part", 10, 10)
    assert fractions(said) == [Fraction(number, of), Fraction(number + size, of)]


def test_a_part_of_a_part_is_where_it_is_in_the_whole() -> None:
    said: Said = []
    part(part(lambda *args: said.append(args), 1, 2), 1, 3)("Inner", 1, 2)
    assert fractions(said) == [Fraction(1, 2) + (Fraction(1, 3) + Fraction(1, 6)) / 2]


def test_a_part_is_called_what_it_calls_itself_unless_it_is_given_a_name() -> None:
    said: Said = []
    part(lambda *args: said.append(args), 0, 2)("Own", 1, 2)
    part(lambda *args: said.append(args), 0, 2, what="Given")("Own", 1, 2)
    assert [what for what, _, _ in said] == ["Own", "Given"]


def test_what_shows_nothing_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    no_progress("Counting", 1, 2)
    no_log("something")
    assert capsys.readouterr() == ("", "")
