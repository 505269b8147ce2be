"""Where another program counts positions from, worked out by hand; rows of words; what formats need to know."""

from pathlib import Path

import numpy as np
import pytest

from tomosoup.core.errors import InputError
from tomosoup.core.types import Grid, Species
from tomosoup.data.formats.base import Details, Frame, placed
from tomosoup.data.formats.tables.text import finite, read_text

GRID = Grid(10.0, (5.0, 15.0, -5.0), (20, 30, 41))
INDEX = np.array([[0.0, 0.0, 0.0], [3.0, 7.0, 2.0], [19.0, 29.0, 40.0]])
ZYX = GRID.to_angstrom(INDEX)


def test_a_frame_without_a_first_voxel_is_the_projects() -> None:
    np.testing.assert_array_equal(Frame().there(ZYX, None), ZYX)
    np.testing.assert_array_equal(Frame().here(ZYX, None), ZYX)


@pytest.mark.parametrize(("unit", "scale"), [("voxel", 1.0), ("Å", 10.0), ("pixel", 4.0)])
def test_positions_count_from_the_first_voxel_in_the_programs_unit(unit: str, scale: float) -> None:
    frame = Frame(unit, (1.0, 0.5, 0.0))
    expected = (INDEX + np.array([1.0, 0.5, 0.0])) * scale
    np.testing.assert_allclose(frame.there(ZYX, GRID, pixel_size=2.5), expected)


def test_a_centred_frame_counts_from_half_the_size_odd_or_even() -> None:
    expected = (INDEX - [10.0, 15.0, 20.5]) * 10
    np.testing.assert_allclose(Frame("Å", (0, 0, 0), centred=True).there(ZYX, GRID), expected)


@pytest.mark.parametrize("centred", [False, True])
def test_fractions_are_of_the_tomograms_size_along_each_axis(centred: bool) -> None:
    there = (INDEX + 0.5 - (np.array([10.0, 15.0, 20.5]) if centred else 0)) / [20, 30, 41]
    frame = Frame("voxel", (0.5, 0.5, 0.5), centred=centred)
    np.testing.assert_allclose(frame.here(there, GRID, fractions=True), ZYX)


def test_voxels_of_another_size_are_scaled_where_the_file_says_their_size() -> None:
    there = INDEX * 10 / 4.0  # the same places in voxels of 4 Å
    np.testing.assert_allclose(Frame("voxel", (0, 0, 0)).here(there, GRID, pixel_size=4.0), ZYX)
    in_angstrom = Frame("Å", (0, 0, 0))
    np.testing.assert_allclose(in_angstrom.here(in_angstrom.there(ZYX, GRID), GRID, pixel_size=4.0), ZYX)


def test_a_first_voxel_that_is_number_one_stays_number_one_in_voxels_of_another_size() -> None:
    frame = Frame("voxel", (0, 0, 0), counted_from=1)
    np.testing.assert_allclose(frame.there(ZYX, GRID), INDEX + 1)
    np.testing.assert_allclose(frame.here(INDEX * 10 / 4 + 1, GRID, pixel_size=4.0), ZYX)
    assert frame.with_first_voxel(0.5) == Frame("voxel", (0.5, 0.5, 0.5))


def test_another_first_voxel_is_for_all_axes_and_none_changes_nothing() -> None:
    frame = Frame("voxel", (1.0, 2.0, 3.0))
    assert frame.with_first_voxel(None) is frame
    assert frame.with_first_voxel(0.0).first_voxel == (0.0, 0.0, 0.0)


def test_a_frame_that_needs_voxels_says_what_to_give() -> None:
    with pytest.raises(InputError, match=r"`project`.*`voxel_size`"):
        Frame("voxel", (0, 0, 0)).there(ZYX, None)
    with pytest.raises(InputError, match=r"`project`.*`voxel_size`"):
        Frame("Å", (0, 0, 0)).here(ZYX, None)


def test_a_frame_that_needs_the_size_says_what_to_give() -> None:
    shapeless = Grid(10.0, (0.0, 0.0, 0.0))
    with pytest.raises(InputError, match="`shape`"):
        Frame("Å", (0, 0, 0), centred=True).there(ZYX, shapeless)
    with pytest.raises(InputError, match="`shape`"):
        Frame("voxel", (0, 0, 0)).here(ZYX, shapeless, fractions=True)
    Frame("voxel", (0, 0, 0)).there(ZYX, shapeless)


@pytest.mark.parametrize("size", [None, 0.0])
def test_pixels_of_the_tilt_series_need_their_size(size: float | None) -> None:
    with pytest.raises(InputError, match="`pixel_size`"):
        Frame("pixel", (0, 0, 0)).there(ZYX, GRID, pixel_size=size)


def test_rows_of_words_become_numbers() -> None:
    np.testing.assert_array_equal(finite([["1", "2.5"], [3, "-4e1"]], where="t", columns=2), [[1, 2.5], [3, -40]])
    assert finite([], where="t", columns=3).shape == (0, 3)


@pytest.mark.parametrize("row", [["1"], ["1", "2", "3"], ["1", "x"], ["1", "nan"], ["inf", "1"], ["1", None]])
def test_the_first_row_that_is_no_numbers_is_counted_from_one(row: list[object]) -> None:
    with pytest.raises(InputError, match=r"t\.star, row 2: expected 2 numbers"):
        finite([["1", "2"], row, ["still", "worse"]], where="t.star", columns=2)


def test_a_long_row_is_shown_in_part() -> None:
    with pytest.raises(InputError) as error:
        finite([["x" * 500]], where="t", columns=1)
    assert len(str(error.value)) < 150


def test_picks_of_a_program_without_scores_have_score_one() -> None:
    picks = placed(ZYX)
    np.testing.assert_array_equal(picks.score, [1, 1, 1])
    assert picks.rotations is None
    np.testing.assert_array_equal(placed(ZYX, np.array([0.1, 0.2, 0.3])).score, [0.1, 0.2, 0.3])


def test_radii_and_colours_are_those_of_the_list_of_species() -> None:
    details = Details(species=(Species("a", 60.0), Species("b", 75.0)))
    assert details.radius("b") == 75.0
    assert [details.number(name) for name in ("a", "b", "strange")] == [0, 1, 0]
    with pytest.raises(InputError, match=r"radius of c.*known: a, b.*`radii`"):
        details.radius("c")


def test_a_file_that_is_no_text_is_said_to_be_none_of_its_kind(tmp_path: Path) -> None:
    (tmp_path / "a.star").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "b.star").write_text("Å", encoding="utf-8")
    assert read_text(tmp_path / "b.star", kind="STAR") == "Å"
    for name, why in (("a.star", "is not text in UTF-8; expected STAR"), ("gone.star", "cannot be read as STAR")):
        with pytest.raises(InputError, match=f"{name} {why}"):
            read_text(tmp_path / name, kind="STAR")
