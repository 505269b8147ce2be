"""Where picks are: outside, twice, of two species, in voxels in place of Å."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tomosoup.core.types import Picks, Species
from tomosoup.data.project import MrcFolder
from tomosoup.data.tomogram import Tomogram
from tomosoup.review.check import pick_positions as positions
from tomosoup.review.check.findings import Finding
from tomosoup.review.check.sampling import GreyValues, Survey

GREY = GreyValues(0.0, 1.0, 0.0, 0.0, -1.0, 1.0, 0.0)
SHAPE = (20, 60, 80)
RIBOSOME, CAPSID, NOTHING = Species("ribosome", 100.0), Species("capsid", 60.0), Species("dust", 10.0, 0.0)


def survey(run: str = "r", origin: float = 0.0, **picks: Any) -> Survey:
    """A run of 20 x 60 x 80 voxels of 10 Å with picks at zyx in Å."""
    tomogram = Tomogram(run, "denoised", 10.0, (origin,) * 3, np.zeros(SHAPE))
    return Survey(run, tomogram, GREY, {name: Picks.of(zyx) for name, zyx in picks.items()})


def only(findings: Any) -> Finding:
    (finding,) = findings
    return finding


def test_runs_without_picks_are_named_where_others_have_some() -> None:
    surveys = [survey("a", ribosome=[[1, 1, 1]]), survey("b"), survey("c", ribosome=[])]
    finding = only(positions.missing(surveys, [RIBOSOME]))
    assert (finding.severity, finding.runs) == ("note", ("b", "c"))


def test_without_any_pick_one_note_says_all() -> None:
    finding = only(positions.missing([survey("a"), survey("b")], [RIBOSOME, CAPSID]))
    assert "`truth`" in finding.text
    assert finding.runs == ()


def test_a_species_that_counts_and_is_nowhere_is_named_and_one_that_does_not_count_is_not() -> None:
    finding = only(positions.missing([survey("a", ribosome=[[1, 1, 1]])], [RIBOSOME, CAPSID, NOTHING]))
    assert "capsid" in finding.text
    assert "dust" not in finding.text


def test_species_that_the_project_does_not_list_are_errors_with_their_runs(tmp_path: Path) -> None:
    (tmp_path / "species.csv").write_text("name,radius\nribosome,100\n")
    project = MrcFolder(tmp_path)
    surveys = [survey("a", virus=[[1, 1, 1]]), survey("b", ribosome=[[1, 1, 1]]), survey("c", virus=[[1, 1, 1]])]
    finding = only(positions.unlisted_species(project, surveys))
    assert (finding.severity, finding.species, finding.runs) == ("error", "virus", ("a", "c"))
    assert str(tmp_path / "species.csv") in finding.text


FAR = [[100.0, 300.0, 400.0]] * 30


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(("index", "inside"), [(-0.5, True), (-0.51, False), ("end", True), ("beyond", False)])
def test_a_pick_is_inside_up_to_the_outer_face_of_the_last_voxel(axis: int, index: Any, inside: bool) -> None:
    end = SHAPE[axis] - 0.5
    zyx = np.array([100.0, 300.0, 400.0])
    zyx[axis] = 10 * {"end": end, "beyond": end + 0.01}.get(index, index)
    assert (len(list(positions.outside([survey(ribosome=[*FAR, zyx])]))) == 0) is inside


def test_positions_are_held_against_the_tomograms_own_frame() -> None:
    assert not list(positions.outside([survey(origin=-1000.0, ribosome=[[-950.0, -900.0, -850.0]])]))
    assert list(positions.outside([survey(origin=-1000.0, ribosome=[[100.0, 300.0, 400.0]])]))


def test_a_few_picks_outside_are_a_warning_and_many_are_an_error() -> None:
    out = [100.0, 300.0, 900.0]
    few = only(positions.outside([survey(ribosome=[*FAR, out])]))
    assert (few.severity, few.species, few.runs) == ("warning", "ribosome", ("r",))
    assert few.text.startswith("1 of 31 ")
    many = only(positions.outside([survey(ribosome=[*FAR, out, out])]))
    assert many.severity == "error"
    assert "`voxel_size`" in many.text


def test_exchanged_axes_are_guessed_where_all_would_then_be_inside() -> None:
    exchanged = [[700.0, 300.0, 100.0], [650.0, 100.0, 50.0]]
    assert "z and x are exchanged" in only(positions.outside([survey(ribosome=exchanged)])).text
    assert "exchanged" not in only(positions.outside([survey(ribosome=[*exchanged, [900.0, 0, 900.0]])])).text


def test_positions_in_voxels_are_told_by_their_corner_only_where_there_are_enough() -> None:
    random = np.random.default_rng(0)
    voxels = random.uniform(0, np.array(SHAPE) - 1, (30, 3))
    assert "Å" in only(positions.outside([survey(ribosome=voxels)])).text
    assert not list(positions.outside([survey(ribosome=voxels[:9])]))
    assert not list(positions.outside([survey(ribosome=voxels * 10)]))


def test_two_picks_closer_than_half_a_radius_are_counted_as_a_pair_once() -> None:
    surveys = [survey("a", ribosome=[[0, 0, 0], [0, 0, 49], [0, 0, 100]]), survey("b", ribosome=[[0, 0, 0]])]
    finding = only(positions.twice(surveys, [RIBOSOME]))
    assert finding.text.startswith("1 pair of picks is closer")
    assert (finding.runs, finding.species) == (("a",), "ribosome")
    assert not list(positions.twice([survey(ribosome=[[0, 0, 0], [0, 0, 51]])], [RIBOSOME]))


def test_picks_that_were_written_twice_are_counted_apart() -> None:
    finding = only(positions.twice([survey(ribosome=[[0, 0, 0], [0, 0, 0.05], [0, 0, 40]])], [RIBOSOME]))
    assert finding.text.startswith("3 pairs of picks are closer than half a radius, 1 of them at the same position")


def test_two_species_on_one_particle_are_told_within_half_the_smaller_radius() -> None:
    close = survey(ribosome=[[0, 0, 0], [0, 0, 500]], capsid=[[0, 0, 30], [0, 0, 531]])
    finding = only(positions.of_two_species([close], [RIBOSOME, CAPSID]))
    assert finding.text.startswith("1 particle is also picked as capsid")
    assert finding.species == "ribosome"
    assert not list(positions.of_two_species([close], [RIBOSOME, NOTHING]))
