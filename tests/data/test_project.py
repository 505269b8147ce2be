"""One face for copick projects, the contest's folders and MRC files."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import copick
import mrcfile
import numpy as np
import pytest
import torch

from tomosoup.core.errors import InputError
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.core.types import Picks, Volume
from tomosoup.data.copick import files as copick_files
from tomosoup.data.copick.roots import open_root
from tomosoup.data.copick.tomograms import write_tomogram
from tomosoup.data.formats.tables.picks_csv import read_csv, write_csv
from tomosoup.data.new_project import SimulatedRun, new_project
from tomosoup.data.options import DataOptions
from tomosoup.data.pick_store.pick_set import PickSet
from tomosoup.data.project import open_project
from tomosoup.data.tomogram import chosen_runs, select_tomogram
from tomosoup.data.truth import read_truth
from tomosoup.data.volumes.zarr.storage import Files, Part

ANY = DataOptions()
VOLUME = Volume(torch.arange(6 * 8 * 10, dtype=torch.float32).reshape(6, 8, 10), 10.0, (5.0, 5.0, 5.0))
PLACES = Picks.of([[15.0, 25.0, 35.0], [45.0, 35.0, 25.0]])
MADE = SimulatedRun({"denoised": VOLUME}, {"ribosome": PLACES})


@pytest.fixture(params=[False, True], ids=["copick", "contest"])
def project_path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    with new_project(tmp_path / "p", CONTEST_SPECIES, contest=request.param) as project:
        for run in ("b_2", "a_1"):
            project.add_run(run, MADE)
    return tmp_path / "p"


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def test_a_particle_stays_on_its_voxel_in_every_layout(project_path: Path) -> None:
    project = open_project(project_path)
    assert project.runs == ["a_1", "b_2"]
    tomogram = select_tomogram(project, "a_1", ANY)
    volume = tomogram.read()
    torch.testing.assert_close(volume.data, VOLUME.data)
    at = volume.to_voxel(read_truth(project, "a_1")["ribosome"].zyx)
    np.testing.assert_allclose(at, VOLUME.to_voxel(PLACES.zyx))


def test_the_contests_layout_has_the_contests_half_voxels(tmp_path: Path) -> None:
    with new_project(tmp_path / "p", CONTEST_SPECIES, contest=True) as project:
        project.add_run("r", MADE)
    file = tmp_path / "p" / "overlay" / "ExperimentRuns" / "r" / "Picks" / "ribosome.json"
    location = json.loads(file.read_text())["points"][0]["location"]
    # Index i is drawn at floor(x / size + 1): voxel (1, 2, 3) holds what stands at (i - 0.5) voxels.
    assert location == {"x": 25.0, "y": 15.0, "z": 5.0}
    assert (tmp_path / "p/static/ExperimentRuns/r/VoxelSpacing10.000/denoised.zarr/0").is_dir()


def test_the_contests_own_pick_files_are_read(real_data: Path, tmp_path: Path) -> None:
    with new_project(tmp_path / "p", CONTEST_SPECIES, contest=True) as project:
        project.add_run("TS_99_9", MADE)
    picks = tmp_path / "p" / "overlay" / "ExperimentRuns" / "TS_99_9" / "Picks"
    shutil.copytree(real_data / "czii_copick_picks" / "TS_99_9", picks, dirs_exist_ok=True)
    before = snapshot(tmp_path / "p")
    truth = read_truth(open_project(tmp_path / "p"), "TS_99_9")
    table = read_csv(real_data / "czii_train_picks.csv")["TS_99_9"]
    assert sum(map(len, truth.values())) == 208
    for name, expected in table.items():
        np.testing.assert_allclose(np.sort(truth[name].zyx, axis=0), np.sort(expected.zyx, axis=0), atol=1e-3)
    assert snapshot(tmp_path / "p") == before


def test_copick_itself_reads_what_we_write(tmp_path: Path) -> None:
    rotations = np.array([[[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]])  # zyx: the map's y goes to -z ... x stays
    with new_project(tmp_path / "p", CONTEST_SPECIES) as project:
        truth = {"ribosome": Picks(PLACES.zyx[:1], np.array([0.5]), rotations)}
        project.add_run("r", SimulatedRun({"wbp": VOLUME}, truth))
    root = copick.from_file(str(tmp_path / "p" / "copick_config.json"))
    picks = root.get_run("r").get_picks(object_name="ribosome", user_id="simulation")[0]
    positions, transforms = picks.numpy()
    np.testing.assert_allclose(positions, [[35.0, 25.0, 15.0]])
    np.testing.assert_allclose(picks.scores(), [0.5])
    # The same turn in xyz: every vector goes to the same place.
    vector_zyx = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(transforms[0, :3, :3] @ vector_zyx[::-1], (rotations[0] @ vector_zyx)[::-1])
    tomogram = root.get_run("r").get_voxel_spacing(10.0).get_tomograms("wbp")[0]
    np.testing.assert_array_equal(tomogram.numpy(), VOLUME.data.numpy())
    again = read_truth(open_project(tmp_path / "p"), "r")["ribosome"]
    assert again.rotations is not None
    np.testing.assert_allclose(again.rotations, rotations)


def test_orientations_that_nobody_knows_are_not_taken_for_known_ones(tmp_path: Path) -> None:
    with new_project(tmp_path / "p", CONTEST_SPECIES) as project:
        project.add_run("r", SimulatedRun({"wbp": VOLUME}, {"ribosome": PLACES}))
    assert PLACES.rotations is None
    assert read_truth(open_project(tmp_path / "p"), "r")["ribosome"].rotations is None


def test_opening_a_tomogram_reads_no_voxel_and_a_region_only_its_chunks(
    project_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    real = Files.parts

    def spy(self: Files, parts: Sequence[Part]) -> list[bytes | None]:
        reads.extend(part.name for part in parts)
        return real(self, parts)

    monkeypatch.setattr(Files, "parts", spy)
    tomogram = select_tomogram(open_project(project_path), "a_1", ANY)
    assert tomogram.shape == (6, 8, 10)
    assert reads
    assert not [name for name in reads if "/0/" in name]
    part = tomogram.read((slice(1, 3), slice(0, 8), slice(2, 4)))
    assert reads[-1] == "0/0/0/0"
    torch.testing.assert_close(part.data, VOLUME.data[1:3, :, 2:4])
    np.testing.assert_allclose(part.to_angstrom([0, 0, 0]), tomogram.read().to_angstrom([1, 0, 2]))


def test_a_run_that_is_a_link_to_itself_is_named_and_the_others_are_read(project_path: Path) -> None:
    loop = project_path / "static" / "ExperimentRuns" / "c_3"
    loop.symlink_to(loop)
    project = open_project(project_path)
    assert "c_3" in project.runs
    with pytest.raises(InputError, match=r"Run c_3 cannot be opened.*leads nowhere"):
        select_tomogram(open_project(project_path), "c_3", ANY)
    assert select_tomogram(project, "a_1", ANY).shape == VOLUME.shape


def test_an_ambiguous_type_is_asked_for_and_chosen(project_path: Path) -> None:
    root = open_root(
        copick_files.config_of(CONTEST_SPECIES, static=project_path / "static", overlay=project_path / "static"),
        name="x",
    )
    write_tomogram(root, "a_1", Volume(VOLUME.data + 1, 10.0), tomo_type="wbp")
    project = open_project(project_path)
    with pytest.raises(InputError, match=r"found 2.*denoised at 10.000 Å.*`tomo_type`"):
        select_tomogram(project, "a_1", ANY)
    chosen = select_tomogram(project, "a_1", DataOptions(tomo_type="wbp"))
    torch.testing.assert_close(chosen.read().data, VOLUME.data + 1)
    with pytest.raises(InputError, match="expected one tomogram of type nonsense"):
        select_tomogram(project, "a_1", DataOptions(tomo_type="nonsense"))


def test_the_metadata_say_the_voxel_size_and_the_caller_may_know_better(project_path: Path) -> None:
    attributes = next(project_path.rglob("a_1/**/denoised.zarr/.zattrs"))
    text = json.loads(attributes.read_text())

    def rescale(size: float) -> None:
        text["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"] = [size] * 3
        text["multiscales"][0]["axes"] = [{**a, "unit": "angstrom"} for a in text["multiscales"][0]["axes"]]
        attributes.write_text(json.dumps(text))

    rescale(10.012)
    assert select_tomogram(open_project(project_path), "a_1", ANY).voxel_size == pytest.approx(10.012)
    rescale(7.8)
    with pytest.raises(
        InputError, match=r"folder says 10 Å a voxel and the file 7.8 Å: give the right one as `voxel_size`"
    ):
        select_tomogram(open_project(project_path), "a_1", ANY)
    assert select_tomogram(open_project(project_path), "a_1", DataOptions(voxel_size=10.012)).voxel_size == 10.012


def test_a_folder_of_mrc_files_is_a_project(tmp_path: Path) -> None:
    for name, size in (("one", 10.0), ("two", 0.0)):
        with mrcfile.new(tmp_path / f"{name}.mrc") as file:
            file.set_data(VOLUME.data.numpy())
            file.voxel_size = size
    write_csv(tmp_path / "picks.csv", {"one": {"dot": PLACES}})
    (tmp_path / "species.csv").write_text("name,radius\ndot,33\n")
    project = open_project(tmp_path)
    assert project.runs == ["one", "two"]
    assert [(s.name, s.radius, s.weight) for s in project.species] == [("dot", 33.0, 1.0)]
    volume = select_tomogram(project, "one", ANY).read()
    torch.testing.assert_close(volume.data, VOLUME.data)
    assert volume.origin == (5.0, 5.0, 5.0)
    np.testing.assert_allclose(read_truth(project, "one")["dot"].zyx, PLACES.zyx)
    with pytest.raises(InputError, match="Run two: expected one set of true picks, found 0"):
        read_truth(project, "two")
    with pytest.raises(InputError, match=r"picks.csv has no picks of run two: leave the run out"):
        read_truth(project, "two", str(tmp_path / "picks.csv"))
    with pytest.raises(InputError, match=r"Run two: the file does not say how large its voxels are: give `voxel_size`"):
        select_tomogram(project, "two", ANY)
    assert select_tomogram(project, "two", DataOptions(voxel_size=8.0)).voxel_size == 8.0


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda _: None, "There is no project at"),
        (lambda p: p.mkdir(), "There is no project at .*, a folder without tomograms"),
        (lambda p: p.write_text("{"), "cannot be read as JSON"),
        (lambda p: p.write_text('{"config_type": "filesystem"}'), "not a copick configuration"),
        (lambda p: (p / "train" / "static" / "ExperimentRuns").mkdir(parents=True), "contest's train: name one"),
    ],
)
def test_where_there_is_no_project_it_says_so(tmp_path: Path, make: object, says: str) -> None:
    make(tmp_path / "p")  # type: ignore[operator]
    with pytest.raises(InputError, match=says):
        open_project(tmp_path / "p")


def test_unknown_runs_are_named(project_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no run c; its runs are a_1, b_2"):
        chosen_runs(open_project(project_path), DataOptions(runs=("c",)))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (np.zeros((5, 5), np.float32), r"shape \(1, 5, 5\)"),
        (np.zeros((1, 5, 5), np.float32), r"shape \(1, 5, 5\)"),
        (None, "cannot be read as an MRC volume"),
    ],
)
def test_an_mrc_file_that_is_no_volume_is_refused(tmp_path: Path, data: np.ndarray | None, says: str) -> None:
    if data is None:
        (tmp_path / "x.mrc").write_bytes(b"")
    else:
        mrcfile.write(tmp_path / "x.mrc", data, voxel_size=10)
    with pytest.raises(InputError, match=says):
        select_tomogram(open_project(tmp_path), "x", ANY)


def test_two_sets_of_picks_are_not_guessed_between(project_path: Path) -> None:
    if not (project_path / "copick_config.json").exists():
        pytest.skip("the contest has one set")
    project = open_project(project_path)
    root = project.root  # type: ignore[attr-defined]
    copick_files.write_picks(root.get_run("a_1"), {"ribosome": PLACES}, PickSet("expert", "7"))
    with pytest.raises(InputError, match=r"found 2 .*expert/7.*`truth="):
        read_truth(project, "a_1")
    assert len(read_truth(project, "a_1", "expert/7")["ribosome"]) == 2
    with pytest.raises(InputError, match="one set of picks nobody/1, found 0"):
        read_truth(project, "a_1", "nobody/1")


def test_a_csv_keeps_positions_and_scores(tmp_path: Path) -> None:
    picks = {"r": {"ribosome": Picks(np.array([[1.25, 2.5, 6299.99]]), np.array([0.123456]))}}
    write_csv(tmp_path / "a.csv", picks)
    assert (tmp_path / "a.csv").read_text().splitlines()[0] == "experiment,particle_type,x,y,z,score"
    again = read_csv(tmp_path / "a.csv")["r"]["ribosome"]
    np.testing.assert_allclose(again.zyx, picks["r"]["ribosome"].zyx, atol=1e-3)
    np.testing.assert_allclose(again.score, [0.123456])
    write_csv(tmp_path / "s.csv", picks, scores=False)
    assert (tmp_path / "s.csv").read_text().splitlines() == [
        "id,experiment,particle_type,x,y,z",
        "0,r,ribosome,6299.990,2.500,1.250",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,b\n1,2\n", "lacks the columns experiment, particle_type, x, y, z"),
        ("experiment,particle_type,x,y,z\nr,ribosome,1,2,three\n", "line 2: expected a number in the column z"),
        ("", "lacks the columns experiment"),
    ],
)
def test_a_table_of_something_else_is_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(InputError, match=says):
        read_csv(tmp_path / "x.csv")


def test_a_copick_project_is_not_taken_for_the_contests_folder(project_folder: Path, tmp_path: Path) -> None:
    """Half a voxel would be counted the other way."""
    copy = tmp_path / "p"
    shutil.copytree(project_folder, copy)
    (copy / "copick_config.json").rename(copy / "mine.json")
    for path in (copy, copy / "static"):
        with pytest.raises(InputError, match=r"belongs to a copick project: name its configuration, .*mine.json"):
            open_project(path)


def test_two_mrc_files_of_one_name_are_refused_and_hidden_ones_unseen(tmp_path: Path) -> None:
    for name in ("a.mrc", "._a.mrc", "b.rec"):
        (tmp_path / name).touch()
    assert open_project(tmp_path).runs == ["a", "b"]
    (tmp_path / "a.rec").touch()
    with pytest.raises(InputError, match=r"a.rec and a.mrc would both be called 'a'"):
        open_project(tmp_path)


def test_writing_a_pick_set_again_removes_the_species_that_it_lost(project_folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "p"
    shutil.copytree(project_folder, copy)
    root = open_root(
        copick_files.config_of(open_project(copy).species, static=copy / "static", overlay=copy / "o"), name="p"
    )
    run = root.get_run("run_000")
    both = {name: Picks.of([[1.0, 2.0, 3.0]]) for name in ("apo-ferritin", "beta-amylase")}
    copick_files.write_picks(run, both, PickSet("u", "0"))
    copick_files.write_picks(run, {"apo-ferritin": Picks.of([[4.0, 5.0, 6.0]])}, PickSet("u", "0"))
    again = copick_files.pick_sets(root.get_run("run_000"))["u", "0"]()
    assert list(again) == ["apo-ferritin"]
    np.testing.assert_allclose(again["apo-ferritin"].zyx, [[4, 5, 6]])
    assert ("simulation", "0") in copick_files.pick_sets(root.get_run("run_000"))  # others' sets stay
