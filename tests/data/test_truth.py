"""Which picks of a project are true: the one set that is not the program's own, or the one that is named."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tomosoup.core.errors import InputError
from tomosoup.core.types import Picks, Species, Volume
from tomosoup.data.copick import files as copick_files
from tomosoup.data.formats.tables.picks_csv import write_csv
from tomosoup.data.new_project import SimulatedRun, new_project
from tomosoup.data.options import AnnotatedData
from tomosoup.data.pick_store.pick_set import OWN_USER, PickSet
from tomosoup.data.project import CopickProject, Project, open_project
from tomosoup.data.truth import read_truth, read_truths, strange_runs

VOLUME = Volume(torch.zeros(4, 4, 4), 10.0, (5.0, 5.0, 5.0))
TRUE = {"ribosome": Picks.of([[15.0, 15.0, 15.0]])}
NONE = dict[str, Picks]()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Runs a and b with true picks, c without."""
    with new_project(tmp_path / "p", [Species("ribosome", 150.0)]) as project:
        for run, truth in (("a", TRUE), ("b", TRUE), ("c", NONE)):
            project.add_run(run, SimulatedRun({"denoised": VOLUME}, truth))
    return open_project(tmp_path / "p")


def add(project: Project, run: str, pick_set: str, *positions: float) -> None:
    """Another set of picks."""
    assert isinstance(project, CopickProject)
    picks = {"ribosome": Picks.of([[p, p, p] for p in positions])}
    copick_files.write_picks(project.root.get_run(run), picks, PickSet.of(pick_set))


def data(*runs: str, truth: str | None = None) -> AnnotatedData:
    return AnnotatedData(runs=runs, truth=truth)


def test_runs_without_true_picks_are_left_out_where_no_run_is_named(project: Project) -> None:
    assert list(read_truths(project, data())) == ["a", "b"]


def test_a_named_run_without_true_picks_is_an_error_that_says_what_it_has(project: Project) -> None:
    with pytest.raises(InputError, match=r"Run c: .*found 0 \(it has none\).*`truth="):
        read_truths(project, data("a", "c"))


def test_what_the_program_picked_is_never_taken_for_true(project: Project) -> None:
    for run in "abc":
        add(project, run, f"{OWN_USER}/1", 25.0, 25.0)
        add(project, run, f"{OWN_USER}/1-candidates", 25.0)
    truths = read_truths(project, data())
    assert list(truths) == ["a", "b"]
    np.testing.assert_array_equal(truths["a"]["ribosome"].zyx, TRUE["ribosome"].zyx)


def test_the_programs_picks_are_true_where_the_user_says_so(project: Project) -> None:
    add(project, "c", f"{OWN_USER}/1", 25.0)
    (picks,) = read_truths(project, data(truth=f"{OWN_USER}/1")).values()
    np.testing.assert_array_equal(picks["ribosome"].zyx, [[25, 25, 25]])


def test_between_two_sets_the_user_chooses(project: Project) -> None:
    add(project, "b", "curator/0", 25.0)
    with pytest.raises(InputError, match=r"Run b: .*found 2 \(it has .*curator/0.*\).*`truth="):
        read_truths(project, data())
    assert list(read_truths(project, data("a"))) == ["a"]
    assert list(read_truths(project, data(truth="curator/0"))) == ["b"]


def test_a_set_is_named_whole_and_not_by_a_part(project: Project) -> None:
    for part in ("simulation", "simulation/", "0", "simulation/00"):
        with pytest.raises(InputError, match=rf"No run of .* has picks {part} \(looked at a, b, c\)"):
            read_truths(project, data(truth=part))


def test_a_table_goes_before_all_sets_and_strange_runs_in_it_do_not_matter(project: Project, tmp_path: Path) -> None:
    other = {"ribosome": Picks.of([[35.0, 25.0, 15.0]])}
    write_csv(tmp_path / "t.csv", {"c": other, "elsewhere": other})
    truths = read_truths(project, data(truth=str(tmp_path / "t.csv")))
    assert list(truths) == ["c"]
    np.testing.assert_array_equal(truths["c"]["ribosome"].zyx, [[35, 25, 15]])


def test_a_named_run_that_a_table_lacks_is_an_error_that_names_both(project: Project, tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", {"c": TRUE})
    with pytest.raises(InputError, match=r"t\.csv has no picks of run a: leave the run out of `runs`"):
        read_truths(project, data("a", "c", truth=str(tmp_path / "t.csv")))


def test_a_table_of_other_runs_is_an_error(project: Project, tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", {"elsewhere": TRUE})
    with pytest.raises(InputError, match=r"runs of .*t\.csv \(elsewhere\) are not in .*, which has a, b, c"):
        read_truths(project, data(truth=str(tmp_path / "t.csv")))


def test_a_run_is_read_by_the_projects_path_as_by_the_project(project: Project) -> None:
    np.testing.assert_array_equal(
        read_truth(project.path, "a")["ribosome"].zyx, read_truth(project, "a", "simulation/0")["ribosome"].zyx
    )


def test_an_unknown_run_is_answered_with_the_runs(project: Project) -> None:
    with pytest.raises(InputError, match=r"no run d; its runs are a, b, c"):
        read_truth(project, "d")


def test_a_folder_whose_table_names_other_runs_is_an_error_and_some_are_known(tmp_path: Path) -> None:
    for run in ("rec_a", "rec_b"):
        (tmp_path / f"{run}.mrc").touch()
    write_csv(tmp_path / "picks.csv", {"a": TRUE, "b": TRUE})
    with pytest.raises(InputError, match=r"picks\.csv \(a, b\) are not in .*, which has rec_a, rec_b: give runs"):
        read_truths(open_project(tmp_path), data())
    write_csv(tmp_path / "picks.csv", {"a": TRUE, "rec_b": TRUE})
    assert strange_runs(open_project(tmp_path), None) == ["a"]
    assert list(read_truths(open_project(tmp_path), data())) == ["rec_b"]
