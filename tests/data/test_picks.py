"""Picks and tomograms in Python: the same positions as on the command line, and what is written is read back."""

import json
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import torch
from conftest import copied

import tomosoup
from tomosoup.cli.main import main
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.data.new_project import SimulatedRun, new_project, picks_project
from tomosoup.data.pick_store.beside import project_with_picks, project_with_tomograms

VOXEL = 13.48
SHAPE = (6, 9, 12)
PICKS = {
    "a": {"ribosome": tomosoup.Picks(np.array([[10.0, 20.0, 30.0], [40.0, 50.0, 60.0]]), np.array([0.25, 0.75]))},
    "b": {"apo-ferritin": tomosoup.Picks(np.array([[1.5, 2.5, 3.5]]), np.array([0.5]))},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copick project with the runs a and b, true picks of both."""
    volume = tomosoup.Volume(torch.arange(float(np.prod(SHAPE))).reshape(SHAPE), VOXEL)
    with new_project(tmp_path / "p", CONTEST_SPECIES) as project:
        for run, picks in PICKS.items():
            project.add_run(run, SimulatedRun({"denoised": volume}, picks))
    return tmp_path


def same(found: tomosoup.Picks, expected: tomosoup.Picks) -> None:
    np.testing.assert_allclose(found.zyx, expected.zyx, atol=1e-3)
    np.testing.assert_allclose(found.score, expected.score)


def test_python_and_the_command_line_put_picks_at_the_same_positions(
    model: Path, project_folder: Path, tmp_path: Path
) -> None:
    """Of one MRC file: opened by tomosoup, or given as the array that mrcfile reads."""
    voxels = tomosoup.open_tomogram(project_folder, "run_000").read().data.numpy()
    tomograms = tmp_path / "tomograms"
    tomograms.mkdir()
    with mrcfile.new(tomograms / "t.mrc", voxels) as file:
        file.voxel_size = 10.0
    (tomograms / "species.csv").write_text("name,radius,weight\napo-ferritin,60,1\nbeta-amylase,65,0\n")
    main(f"pick {tomograms} --model {model} --threshold 0 --output {tmp_path}/picks.csv".split())
    table = tomosoup.read_picks(tmp_path / "picks.csv")["t"]
    assert sum(map(len, table.values())) > 10
    array = mrcfile.read(tomograms / "t.mrc")
    for source in (tomosoup.Volume(array, 10.0), tomosoup.open_tomogram(tomograms, "t")):
        found = tomosoup.pick(source, tomosoup.load(model))
        for name, expected in table.items():
            np.testing.assert_allclose(found[name].zyx, expected.zyx, atol=0.01)


def test_a_tomogram_is_opened_by_its_run_and_type_in_the_projects_frame(folder: Path) -> None:
    tomogram = tomosoup.open_tomogram(folder / "p", "a")
    assert (tomogram.shape, tomogram.tomo_type) == (SHAPE, "denoised")
    assert tomogram.voxel_size == pytest.approx(VOXEL)
    np.testing.assert_allclose(tomogram.to_angstrom([1, 2, 3]), VOXEL * np.array([1.5, 2.5, 3.5]), rtol=1e-4)
    np.testing.assert_allclose(tomogram.to_voxel(tomogram.to_angstrom([1, 2, 3])), [1, 2, 3])
    assert tomogram.read().data[1, 2, 3] == 1 * 9 * 12 + 2 * 12 + 3
    other = tomosoup.open_tomogram(folder / "p", "a", voxel_size=10.0, first_voxel=-0.5, invert=True)
    np.testing.assert_allclose(other.read().to_angstrom([0, 0, 0]), [-5, -5, -5])
    assert other.read().data[1, 2, 3] == -tomogram.read().data[1, 2, 3]


def test_picks_that_are_written_are_read_back(folder: Path) -> None:
    tomosoup.write_picks(PICKS, folder / "picks.csv")
    tomosoup.write_picks(PICKS, folder / "p", user="me", session="7")
    for found in (tomosoup.read_picks(folder / "picks.csv"), tomosoup.read_picks(folder / "p", "me/7")):
        assert {run: list(species) for run, species in found.items()} == {"a": ["ribosome"], "b": ["apo-ferritin"]}
        same(found["a"]["ribosome"], PICKS["a"]["ribosome"])
        same(found["b"]["apo-ferritin"], PICKS["b"]["apo-ferritin"])
    same(tomosoup.read_truth(folder / "p", "a", "me/7")["ribosome"], PICKS["a"]["ribosome"])


def test_a_submission_has_the_contests_columns(folder: Path) -> None:
    tomosoup.write_picks(PICKS, folder / "s.csv", scores=False)
    lines = (folder / "s.csv").read_text().splitlines()
    assert lines[:2] == ["id,experiment,particle_type,x,y,z", "0,a,ribosome,30.000,20.000,10.000"]
    assert lines[-1].startswith("2,b,apo-ferritin,")


def test_picks_replace_others_only_where_it_is_asked_for(folder: Path) -> None:
    for output, options in ((folder / "picks.csv", {}), (folder / "p", {"user": "me"})):
        tomosoup.write_picks(PICKS, output, **options)
        with pytest.raises(tomosoup.InputError, match="`overwrite=True`"):
            tomosoup.write_picks(PICKS, output, **options)
        fewer = {"a": {"ribosome": PICKS["a"]["ribosome"].above(0.5)}}
        tomosoup.write_picks(fewer, output, overwrite=True, **options)
        found = tomosoup.read_picks(output, "me/0" if options else None)
        assert len(found["a"]["ribosome"]) == 1


@pytest.mark.parametrize(
    ("picks", "options", "says"),
    [
        (PICKS, {}, "add `user=NAME`"),
        (PICKS, {"user": "a_b"}, "copick does not accept the"),
        ({"c": PICKS["a"]}, {"user": "me"}, "has no run c"),
        ({"a": {"dot": PICKS["a"]["ribosome"]}}, {"user": "me"}, "has no particle dot"),
    ],
)
def test_picks_that_a_project_cannot_hold_are_refused(
    folder: Path, picks: dict[str, dict[str, tomosoup.Picks]], options: dict[str, str], says: str
) -> None:
    with pytest.raises(tomosoup.InputError, match=says):
        tomosoup.write_picks(picks, folder / "p", **options)


def test_picks_in_memory_are_exported_and_come_back(folder: Path) -> None:
    options = tomosoup.ExportOptions(project=folder / "p")
    (file,) = tomosoup.export_picks(
        PICKS, folder / "a.star", "warp", species=["ribosome"], thresholds=tomosoup.Thresholds(0.75), options=options
    )
    found = tomosoup.import_picks(file, "warp", species="ribosome", options=tomosoup.FrameOptions(project=folder / "p"))
    assert list(found) == ["a"]
    same(found["a"]["ribosome"], PICKS["a"]["ribosome"].above(0.75))


def test_among_several_sets_of_picks_one_must_be_chosen(folder: Path) -> None:
    copy = copied(folder / "p", folder / "q")
    for session in ("0", "1"):
        tomosoup.write_picks(PICKS, copy, user="tomosoup", session=session)
    with pytest.raises(tomosoup.InputError, match="tomosoup/0, tomosoup/1: choose one with `picks_set=USER/SESSION`"):
        tomosoup.read_picks(copy)
    assert list(tomosoup.read_picks(copy, "tomosoup/1")) == ["a", "b"]
    with pytest.raises(tomosoup.InputError, match="holds no picks nobody/1"):
        tomosoup.read_picks(copy, "nobody/1")
    with pytest.raises(tomosoup.InputError, match="Expected a set of picks as USER/SESSION, got 'nobody'"):
        tomosoup.read_picks(copy, "nobody")


def folder_of_mrc_files(path: Path) -> Path:
    path.mkdir()
    with mrcfile.new(path / "a.mrc", np.random.default_rng(0).normal(size=(8, 8, 8)).astype(np.float32)) as file:
        file.voxel_size = VOXEL
    return path


def test_the_picks_of_mrc_files_are_found_beside_their_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pick` makes PICKS.copick beside PICKS.csv; thresholds are then applied to the folder of the tomograms."""
    project = tomosoup.open_project(folder_of_mrc_files(tmp_path / "tomograms"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(tomosoup.InputError, match=r"not found beside it.*give the .copick folder .* as `project`"):
        project_with_picks(project)
    picks_project(tmp_path / "picks.copick", project.species, ["a"], static=project.path / "static")
    picks_project(tmp_path / "others.copick", project.species, ["a"], static=tmp_path / "elsewhere" / "static")
    assert project_with_picks(project).path.parent == tmp_path / "picks.copick"
    assert project_with_tomograms(project_with_picks(project)).path == project.path
    tomosoup.write_picks({"a": PICKS["a"]}, tmp_path / "picks.copick", user="tomosoup", session="0-candidates")
    main(["threshold", "tomograms", "--threshold", "0.5", "--output", "kept.csv"])
    same(tomosoup.read_picks("kept.csv")["a"]["ribosome"], PICKS["a"]["ribosome"].above(0.5))
    inside = np.zeros((8, 8, 8), np.int8)
    inside[:, 3:] = 1
    mrcfile.write(tmp_path / "mask.mrc", inside, voxel_size=VOXEL)
    main(["threshold", "picks.copick", "--threshold", "0", "--mask", "mask.mrc", "--output", "inside.csv"])
    kept = tomosoup.read_picks("inside.csv")["a"]["ribosome"]
    np.testing.assert_allclose(kept.zyx, PICKS["a"]["ribosome"].zyx[1:])
    picks_project(tmp_path / "more.copick", project.species, ["a"], static=project.path / "static")
    with pytest.raises(tomosoup.InputError, match=r"several folders \(.*more.copick, .*picks.copick\)"):
        project_with_picks(project)


def test_a_missing_list_of_species_is_said_and_named(tmp_path: Path) -> None:
    project = folder_of_mrc_files(tmp_path / "tomograms")
    tomosoup.write_picks({"a": {"dot": PICKS["a"]["ribosome"]}}, project / "picks.csv")
    said = {f.species: f.text for f in tomosoup.check(project).findings if f.check == "species"}
    assert said.keys() == {None, "dot"}
    assert f"{project / 'species.csv'} is missing, so the species are the contest's six" in said[None]
    assert f"to {project / 'species.csv'} (a new file with the columns name,radius,weight), or" in said["dot"]
    (project / "species.csv").write_text("name,radius\nspot,60\n")
    (text,) = {f.text for f in tomosoup.check(project).findings if f.check == "species" and f.species == "dot"}
    assert f"add it with a radius to {project / 'species.csv'} (columns name,radius,weight), or" in text


def test_candidates_are_read_only_where_they_are_named(folder: Path) -> None:
    more = {"a": {"ribosome": tomosoup.Picks.of(np.arange(9.0).reshape(3, 3))}}
    tomosoup.write_picks(PICKS, folder / "p", user="tomosoup")
    tomosoup.write_picks(more, folder / "p", user="tomosoup", session="0-candidates")
    same(tomosoup.read_picks(folder / "p")["a"]["ribosome"], PICKS["a"]["ribosome"])
    assert len(tomosoup.read_picks(folder / "p", "tomosoup/0-candidates")["a"]["ribosome"]) == 3


def test_a_pick_of_copick_stands_at_its_location_plus_its_translation_with_score_1_unless_it_says(
    tmp_path: Path,
) -> None:
    transform = np.eye(4)
    transform[:3, 3] = 1.0, 2.0, 3.0
    point = {"location": {"x": 10.0, "y": 20.0, "z": 30.0}, "transformation_": transform.tolist(), "instance_id": 0}
    content = {"pickable_object_name": "ribosome", "user_id": "u", "session_id": "0", "run_name": "a"}
    points = [point, point | {"score": 0.25}]
    (tmp_path / "a.json").write_text(json.dumps({**content, "unit": "angstrom", "points": points}))
    found = tomosoup.import_picks(tmp_path / "a.json", "copick")["a"]["ribosome"]
    np.testing.assert_allclose(found.zyx, [[33.0, 22.0, 11.0]] * 2)
    np.testing.assert_allclose(found.score, [1.0, 0.25])
