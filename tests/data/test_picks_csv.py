"""CSV tables of picks: x is the last axis, nothing is invented, and a bad line is counted as an editor counts it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tomosoup.core.errors import InputError
from tomosoup.core.types import Picks
from tomosoup.data.formats.tables.picks_csv import read_csv, write_csv

ONE = Picks(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), np.array([0.25, 0.75]))
OTHER = Picks(np.array([[7.0, 8.0, 9.0]]), np.array([0.5]))
HEADER = "experiment,particle_type,x,y,z\n"


def written(folder: Path, text: str) -> Path:
    (folder / "t.csv").write_text(text)
    return folder / "t.csv"


def test_a_row_has_x_before_y_before_z(tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", {"r": {"ribosome": ONE}})
    assert (tmp_path / "t.csv").read_text().splitlines() == [
        "experiment,particle_type,x,y,z,score",
        "r,ribosome,3,2,1,0.25",
        "r,ribosome,6,5,4,0.75",
    ]


def test_the_contests_table_has_rising_ids_over_all_runs_and_no_scores(tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", {"r": {"a": ONE}, "s": {"a": OTHER, "b": OTHER}}, scores=False)
    lines = (tmp_path / "t.csv").read_text().splitlines()
    assert lines[0] == "id,experiment,particle_type,x,y,z"
    assert [line.split(",")[0] for line in lines[1:]] == ["0", "1", "2", "3"]
    assert lines[3] == "2,s,a,9.000,8.000,7.000"


def test_no_picks_are_a_table_with_a_header(tmp_path: Path) -> None:
    for nothing in ({}, {"r": {}}, {"r": {"a": Picks.of([])}}):
        write_csv(tmp_path / "t.csv", nothing)
        assert (tmp_path / "t.csv").read_text() == "experiment,particle_type,x,y,z,score\n"
        assert read_csv(tmp_path / "t.csv") == {}


def test_runs_may_come_one_by_one_and_the_table_is_the_same(tmp_path: Path) -> None:
    runs = {"r": {"a": ONE}, "s": {"a": OTHER}}
    write_csv(tmp_path / "whole.csv", runs)
    write_csv(tmp_path / "parts.csv", iter(runs.items()))
    assert (tmp_path / "whole.csv").read_bytes() == (tmp_path / "parts.csv").read_bytes()


def test_a_table_that_fails_half_way_leaves_the_old_one(tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", {"r": {"a": ONE}})
    before = (tmp_path / "t.csv").read_bytes()

    def broken_off() -> Iterator[tuple[str, dict[str, Picks]]]:
        yield "s", {"a": OTHER}
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_csv(tmp_path / "t.csv", broken_off())
    assert (tmp_path / "t.csv").read_bytes() == before


def test_distances_to_a_mask_come_back_and_may_be_unknown(tmp_path: Path) -> None:
    places, known = np.zeros((3, 3)), np.array([12.5, np.nan, -3.0])
    write_csv(tmp_path / "t.csv", {"r": {"a": Picks(places, np.ones(3), None, known), "b": Picks.of(places)}})
    found = read_csv(tmp_path / "t.csv")["r"]
    np.testing.assert_array_equal(found["a"].mask_distance, known)
    np.testing.assert_array_equal(found["b"].mask_distance, [np.nan] * 3)


def test_a_name_with_a_comma_or_a_quote_comes_back(tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", {'run, "one"': {"a": ONE}})
    assert list(read_csv(tmp_path / "t.csv")) == ['run, "one"']


@pytest.mark.parametrize("run", ["001", "1e5", "NA_1", "true"])
def test_a_run_that_looks_like_a_number_stays_a_name(tmp_path: Path, run: str) -> None:
    assert list(read_csv(written(tmp_path, f"{HEADER}{run},a,1,2,3\n"))) == [run]


def test_columns_may_stand_in_any_order_among_others(tmp_path: Path) -> None:
    picks = read_csv(written(tmp_path, "score,z,note,particle_type,y,experiment,x\n0.5,1,hm,a,2,r,3\n"))["r"]["a"]
    np.testing.assert_array_equal(picks.zyx, [[1, 2, 3]])
    np.testing.assert_array_equal(picks.score, [0.5])


def test_without_a_score_each_pick_counts_one(tmp_path: Path) -> None:
    picks = read_csv(written(tmp_path, f"{HEADER}r,a,1,2,3\nr,a,4,5,6\n"))["r"]["a"]
    np.testing.assert_array_equal(picks.score, [1, 1])


def test_rows_of_one_species_that_stand_apart_are_joined_in_their_order(tmp_path: Path) -> None:
    table = read_csv(written(tmp_path, f"{HEADER}r,a,0,0,1\ns,a,0,0,2\nr,b,0,0,3\nr,a,0,0,4\n"))
    np.testing.assert_array_equal(table["r"]["a"].zyx[:, 0], [1, 4])
    assert {run: sorted(species) for run, species in table.items()} == {"r": ["a", "b"], "s": ["a"]}


@pytest.mark.parametrize("line", ["r,a,1,2,x", "r,a,1,2,", "r,a,inf,2,3", "r,,1,2,3", ",a,1,2,3", "r,a,1,nan,3"])
def test_a_bad_line_is_counted_with_the_header(tmp_path: Path, line: str) -> None:
    with pytest.raises(InputError, match=r"line 3: expected a (run and a species|number in the column [xyz])"):
        read_csv(written(tmp_path, f"{HEADER}r,a,1,2,3\n{line}\nr,a,1,2,worse\n"))


def test_a_bad_score_is_a_bad_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="line 2"):
        read_csv(written(tmp_path, "experiment,particle_type,x,y,z,score\nr,a,1,2,3,high\n"))


def test_columns_that_are_missing_are_all_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lacks the columns experiment, z; expected experiment, particle_type"):
        read_csv(written(tmp_path, "particle_type,x,y\na,1,2\n"))


@pytest.mark.parametrize("name", ["..", "a/b", "x" * 101])
def test_names_that_could_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="name of a run"):
        read_csv(written(tmp_path, f"{HEADER}{name},a,1,2,3\n"))
    with pytest.raises(InputError, match="name of a species"):
        read_csv(written(tmp_path, f"{HEADER}r,{name},1,2,3\n"))
