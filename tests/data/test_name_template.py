"""Names as templates: what is made of a run leads back to it, and never out of a folder."""

import pytest

from tomosoup.core.errors import InputError
from tomosoup.data.formats.name_template import Template, by_number, run_numbers


def test_a_field_that_stands_twice_is_filled_twice_and_must_be_the_same_to_match() -> None:
    template = Template("{run}/{run}.rec", "name")
    assert template.fill(run="TS_1") == "TS_1/TS_1.rec"
    assert template.match("TS_1/TS_1.rec") == {"run": "TS_1"}
    assert template.match("TS_1/TS_2.rec") is None


def test_what_stands_beside_a_field_is_taken_literally() -> None:
    template = Template("{run}_10.00Apx(1)", "name")
    assert template.match("a_10.00Apx(1)") == {"run": "a"}
    assert template.match("a_10x00Apx(1)") is None
    assert template.match("a_10.00Apx(1)b") is None


def test_a_text_without_fields_names_nothing() -> None:
    template = Template("all.star", "output")
    assert not template.names("run")
    assert not template.names("species")
    assert template.fill(run="a", species="b") == "all.star"
    assert template.match("all.star") == {}


def test_it_is_known_which_fields_a_text_has() -> None:
    template = Template("{species}.star", "output")
    assert template.names("species")
    assert not template.names("run")


def test_where_several_runs_could_be_meant_it_is_the_longest() -> None:
    assert Template("{run}_{species}", "name").match("a_b_c") == {"run": "a_b", "species": "c"}


@pytest.mark.parametrize("path", ["/data/TS_1.mrc", "C:\\data\\TS_1.mrc", "TS_1.mrc", "../TS_1.mrc"])
def test_of_a_path_its_last_part_counts(path: str) -> None:
    assert Template("{run}.mrc", "name").match(path) == {"run": "TS_1"}


def test_a_field_is_never_empty_and_never_a_path() -> None:
    template = Template("{run}.mrc", "name")
    assert template.match(".mrc") is None
    assert Template("x{run}", "name").match("xa/b") is None


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "a\nb", "x" * 101])
def test_a_name_that_could_lead_elsewhere_is_refused_as_it_is_filled_in(name: str) -> None:
    with pytest.raises(InputError, match="Expected the name of a species"):
        Template("{species}.star", "output").fill(species=name)


def test_a_name_that_could_lead_elsewhere_is_refused_as_it_is_found() -> None:
    with pytest.raises(InputError, match="Expected the name of a run"):
        Template("{run}.mrc", "name").match("x" * 101 + ".mrc")


@pytest.mark.parametrize("text", ["{Run}", "{run }", "{run}{", "{{run}}", "{}", "a{x}b"])
def test_any_other_brace_is_refused_with_the_argument_and_the_text(text: str) -> None:
    with pytest.raises(InputError) as error:
        Template(text, "output")
    assert "`output`" in str(error.value)
    assert text in str(error.value)
    assert "{run} and {species}" in str(error.value)


@pytest.mark.parametrize(
    ("runs", "numbers"),
    [
        (["TS_03", "x/rec_TS_12_10.00Apx.mrc"], [3, 12]),
        (["TS_3", "TS_03"], [1, 2]),
        (["TS_3", "cell"], [1, 2]),
        (["TS_0", "TS_1"], [1, 2]),
        (["TS_12345678", "TS_1"], [1, 2]),
    ],
)
def test_runs_have_the_numbers_that_they_end_in_or_their_order(runs: list[str], numbers: list[int]) -> None:
    assert list(run_numbers(runs).values()) == numbers
    own = numbers != [1, 2]
    assert [by_number(f"{number:02d}", runs) for number in numbers] == (runs if own else [None, None])
