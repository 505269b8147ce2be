"""A project appears whole or not at all, and nothing of the user's is ever replaced."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tomosoup.core.errors import InputError
from tomosoup.core.types import Picks, Species, Volume
from tomosoup.data.new_project import MARKER, NewProject, SimulatedRun, new_project, picks_project, unfinished
from tomosoup.data.project import open_project
from tomosoup.data.tomogram import open_tomogram
from tomosoup.data.truth import read_truth

SPECIES = [Species("ribosome", 150.0, 2.0), Species("capsid", 135.0)]
VOLUME = Volume(torch.arange(64.0).reshape(4, 4, 4), 10.0, (0.0, 0.0, 0.0))
RUN = SimulatedRun({"denoised": VOLUME}, {"ribosome": Picks.of([[10.0, 20.0, 30.0]])})


class StoppedError(Exception):
    """What ends a block early."""


def make(folder: Path, *runs: str, stop: bool = False, **options: object) -> NewProject:
    with new_project(folder, SPECIES, **options) as project:  # type: ignore[arg-type]
        for run in runs:
            project.add_run(run, RUN)
        if stop:
            raise StoppedError
    return project


def stopped(folder: Path, *runs: str, **options: object) -> None:
    with pytest.raises(StoppedError):
        make(folder, *runs, stop=True, **options)


def test_a_project_appears_once_it_is_whole(tmp_path: Path) -> None:
    with new_project(tmp_path / "p", SPECIES) as project:
        project.add_run("a", RUN)
        assert not (tmp_path / "p").exists()
        assert project.runs == ["a"]
    assert open_project(tmp_path / "p").runs == ["a"]
    assert not unfinished(tmp_path / "p").exists()


def test_its_species_have_their_radii_and_weights(tmp_path: Path) -> None:
    make(tmp_path / "p", "a")
    assert list(open_project(tmp_path / "p").species) == SPECIES


def test_a_run_is_in_the_projects_frame_whatever_frame_it_was_made_in(tmp_path: Path) -> None:
    shifted = SimulatedRun(
        {"denoised": Volume(VOLUME.data, 10.0, (100.0, 200.0, 300.0))},
        {"ribosome": Picks.of([[110.0, 220.0, 330.0]])},  # voxel (1, 2, 3), as in RUN
    )
    for contest in (False, True):
        folder = tmp_path / str(contest)
        with new_project(folder, SPECIES, contest=contest) as project:
            project.add_run("a", RUN)
            project.add_run("b", shifted)
        for run in "ab":
            tomogram = open_tomogram(folder, run)
            truth = "contest/0" if contest else None
            at = tomogram.to_voxel(read_truth(folder, run, truth)["ribosome"].zyx)
            np.testing.assert_allclose(at, [[1, 2, 3]], atol=1e-9)
            assert tomogram.origin == pytest.approx(((-5.0 if contest else 5.0),) * 3)


def test_what_a_run_was_made_with_lies_beside_it(tmp_path: Path) -> None:
    with new_project(tmp_path / "p", SPECIES) as project:
        project.add_run("a", SimulatedRun({"denoised": VOLUME}, {}, parameters={"tilt": 3.0}))
    assert json.loads((tmp_path / "p/static/ExperimentRuns/a/simulation.json").read_text()) == {"tilt": 3.0}


def test_a_run_that_fails_leaves_no_part_of_itself(tmp_path: Path) -> None:
    with new_project(tmp_path / "p", SPECIES) as project:
        project.add_run("a", RUN)
        with pytest.raises(TypeError):
            project.add_run("b", SimulatedRun({"denoised": VOLUME}, {}, parameters={"not": object()}))
        assert project.runs == ["a"]
        assert {path.name for path in project.folder.iterdir()} == {MARKER, "static"}
    assert open_project(tmp_path / "p").runs == ["a"]


def test_a_block_that_is_stopped_is_resumed_with_its_whole_runs(tmp_path: Path) -> None:
    stopped(tmp_path / "p", "a", settings={"seed": 1})
    assert not (tmp_path / "p").exists()
    with new_project(tmp_path / "p", SPECIES, settings={"seed": 1}) as project:
        assert project.runs == ["a"]
        project.add_run("b", RUN)
    assert open_project(tmp_path / "p").runs == ["a", "b"]


def test_a_block_that_wrote_no_run_leaves_nothing(tmp_path: Path) -> None:
    stopped(tmp_path / "p")
    assert list(tmp_path.iterdir()) == []


def test_with_other_settings_nothing_is_resumed_and_nothing_dropped_unasked(tmp_path: Path) -> None:
    stopped(tmp_path / "p", "a", settings={"seed": 1})
    with pytest.raises(InputError, match=r"unfinished project with other settings.*`overwrite=True`"):
        make(tmp_path / "p", settings={"seed": 2})
    assert (unfinished(tmp_path / "p") / "static/ExperimentRuns/a").is_dir()
    assert make(tmp_path / "p", "b", settings={"seed": 2}, overwrite=True)
    assert open_project(tmp_path / "p").runs == ["b"]


def test_what_a_killed_process_was_writing_is_gone_in_the_end(tmp_path: Path) -> None:
    with new_project(tmp_path / "p", SPECIES) as project:
        (project.folder / ".x.123" / "ExperimentRuns").mkdir(parents=True)
        project.add_run("a", RUN)
    assert not list((tmp_path / "p").glob(".*"))


def test_a_project_of_ours_is_replaced_only_where_that_is_asked_for(tmp_path: Path) -> None:
    make(tmp_path / "p", "a")
    with pytest.raises(InputError, match=r"exists already.*`overwrite=True`"):
        make(tmp_path / "p", "b")
    assert open_project(tmp_path / "p").runs == ["a"]
    make(tmp_path / "p", "b", overwrite=True)
    assert open_project(tmp_path / "p").runs == ["b"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_the_users_is_never_replaced(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.txt").write_text("precious")
    with pytest.raises(InputError, match=r"exists already: choose another folder\.$"):
        make(tmp_path / "data", "a", overwrite=overwrite)
    assert (tmp_path / "data" / "thesis.txt").read_text() == "precious"


def test_an_empty_folder_may_be_filled(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    make(tmp_path / "p", "a")
    assert open_project(tmp_path / "p").runs == ["a"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_and_the_current_folder_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    (tmp_path / "file").write_text("precious")
    with pytest.raises(InputError, match="exists already"):
        make(tmp_path / "file", overwrite=overwrite)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(InputError, match="cannot replace the current folder"):
        make(Path(), overwrite=overwrite)


def test_a_place_where_no_folder_can_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"Cannot make the folder .*file/p \(.*\): choose another place"):
        make(tmp_path / "file" / "p")


def test_a_project_for_picks_alone_grows_by_runs_and_keeps_the_old_ones(tmp_path: Path) -> None:
    for runs in (["a"], ["b"]):
        picks_project(tmp_path / "picks", SPECIES, runs, static=tmp_path / "tomograms")
    project = open_project(tmp_path / "picks")
    assert project.runs == ["a", "b"]
    assert list(project.species) == SPECIES
    config = json.loads((tmp_path / "picks" / "copick_config.json").read_text())
    assert config["static_root"] == f"local://{tmp_path / 'tomograms'}"
