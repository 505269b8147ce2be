"""Any error becomes one sentence."""

import pytest

from tomosoup.core.errors import InputError, as_sentence, counted, first_line, shortened


def test_an_input_error_is_said_as_it_is() -> None:
    assert as_sentence(InputError("Expected this, got that: do so.")) == "Expected this, got that: do so."


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        MemoryError("Unable to allocate 12 GiB"),
        OSError(28, "No space left on device"),
        FileNotFoundError(2, "No such file or directory", "/a/b"),
        KeyError("name"),
        RuntimeError("first\nsecond\nthird"),
        ValueError(),
    ],
)
def test_every_error_ends_as_one_line_with_a_full_stop(error: Exception) -> None:
    sentence = as_sentence(error)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    assert not sentence.endswith("..")


def test_memory_that_ran_out_comes_with_what_to_do() -> None:
    assert "smaller windows" in as_sentence(MemoryError("Unable to allocate 12 GiB"))


def test_the_operating_systems_words_and_the_file_are_kept() -> None:
    said = as_sentence(PermissionError(13, "Permission denied", "/a/b"))
    assert "Permission denied" in said
    assert "/a/b" in said
    assert "PermissionError" not in said


def test_other_errors_keep_their_class_and_first_line() -> None:
    said = as_sentence(RuntimeError("shapes differ\nat torch/x.cpp:12"))
    assert "RuntimeError: shapes differ" in said
    assert "x.cpp" not in said


def test_an_error_without_words_is_shown_by_its_class() -> None:
    assert first_line(ValueError()) == "ValueError()"
    assert first_line(ValueError("\nsecond")) == repr(ValueError("\nsecond"))
    assert first_line(ValueError("one\ntwo")) == "one"
    assert len(first_line(ValueError("x" * 10**6))) < 400


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, ""), (1, "r0"), (3, "r0, r1, r2"), (4, "r0, r1, r2 and 1 more"), (9, "r0, r1, r2 and 6 more")],
)
def test_long_lists_are_counted(count: int, expected: str) -> None:
    assert shortened([f"r{i}" for i in range(count)], most=3) == expected


def test_twelve_names_are_shown_and_thirteen_are_not() -> None:
    assert "more" not in shortened(["x"] * 12)
    assert shortened(["x"] * 13).endswith("and 1 more")


def test_an_input_error_is_a_value_error_for_those_who_catch_them() -> None:
    assert issubclass(InputError, ValueError)


def test_one_is_singular_and_all_other_numbers_are_plural() -> None:
    assert [counted(n, "true pick") for n in (0, 1, 2)] == ["0 true picks", "1 true pick", "2 true picks"]
