"""What copick keeps: species, pick files with orientations, names that fit into file names."""

import json
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tomosoup.core.errors import InputError
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.core.types import Picks, Species
from tomosoup.data.copick.files import (
    COLOURS,
    config_of,
    pick_sets,
    read_files,
    rgba,
    runs_holding,
    species_of,
)
from tomosoup.data.copick.names import valid_name
from tomosoup.data.copick.pick_files import pick_file, read_file
from tomosoup.data.copick.roots import open_root
from tomosoup.data.formats.tables.species_csv import read_species
from tomosoup.data.pick_store.pick_set import PickSet

SPECIES = [Species(f"s{i}", 10.0 + i, 0.5 * i) for i in range(9)]


def an_object(name: str, radius: float | None, **metadata: Any) -> Any:
    """A pickable object of a project that is not the portal's."""
    root = SimpleNamespace(config=SimpleNamespace(config_type="filesystem"))
    return SimpleNamespace(name=name, radius=radius, metadata=metadata, identifier=None, root=root)


def test_species_come_back_from_a_configuration(tmp_path: Path) -> None:
    config = config_of(SPECIES, static=tmp_path / "a", overlay=tmp_path / "b")
    objects = config["pickable_objects"]
    assert [o["label"] for o in objects] == list(range(1, 10))  # 0 is the background
    root = open_root(json.loads(json.dumps(config)), name="c")
    assert [species_of(thing) for thing in root.pickable_objects] == SPECIES


def test_each_species_has_a_colour_and_neighbours_differ() -> None:
    objects = config_of(SPECIES, static=Path("a"), overlay=Path("b"))["pickable_objects"]
    colours = [tuple(o["color"]) for o in objects]
    assert len(set(colours)) == len(set(COLOURS)) == len(COLOURS)
    assert all(a != b for a, b in pairwise(colours))
    assert rgba("#ff8001") == (255, 128, 1, 255)


def test_what_a_project_does_not_say_comes_from_the_contests_list() -> None:
    known = CONTEST_SPECIES[3]
    assert species_of(an_object(known.name, None)) == known
    assert species_of(an_object(known.name, 77.0)) == Species(known.name, 77.0, known.weight)
    assert species_of(an_object(known.name, 77.0, weight=0.25)) == Species(known.name, 77.0, 0.25)
    assert species_of(an_object("cytosolic-ribosome", None)).radius == known.radius


def test_a_species_of_nobodys_list_counts_one_and_needs_a_radius() -> None:
    assert species_of(an_object("proteasome", 80.0)) == Species("proteasome", 80.0, 1.0)
    for nothing in (None, 0.0):
        with pytest.raises(InputError, match=r"'proteasome' .* has no radius"):
            species_of(an_object("proteasome", nothing))


def written(folder: Path, **changes: Any) -> Path:
    content: dict[str, Any] = {
        "pickable_object_name": "ribosome", "user_id": "u", "session_id": "0", "run_name": "r",
        "points": [{"location": {"x": 1.0, "y": 2.0, "z": 3.0}}],
    }  # fmt: skip
    (folder / "p.json").write_text(json.dumps(content | changes))
    return folder / "p.json"


def point(transform: np.ndarray, **more: Any) -> dict[str, Any]:
    return {"location": {"x": 1.0, "y": 2.0, "z": 3.0}, "transformation_": transform.tolist(), **more}


def test_a_particle_stands_at_its_location_plus_its_shift(tmp_path: Path) -> None:
    transform = np.eye(4)
    transform[:3, 3] = [10.0, 20.0, 30.0]
    run, name, picks, scored = read_file(written(tmp_path, points=[point(transform)]))
    assert (run, name, scored) == ("r", "ribosome", 0)
    np.testing.assert_array_equal(picks.zyx, [[33.0, 22.0, 11.0]])
    np.testing.assert_array_equal(picks.score, [1.0])


def test_a_score_of_zero_is_a_score_and_a_missing_one_is_one(tmp_path: Path) -> None:
    points = [point(np.eye(4), score=0.0), point(np.eye(4), score=0.25), point(np.eye(4), score=None)]
    np.testing.assert_array_equal(read_file(written(tmp_path, points=points))[2].score, [0.0, 0.25, 1.0])


def test_an_orientation_turns_zyx_as_copicks_turns_xyz(tmp_path: Path) -> None:
    transform = np.eye(4)
    transform[:3, :3] = Rotation.from_euler("zyx", [30, 40, 50], degrees=True).as_matrix()
    rotations = read_file(written(tmp_path, points=[point(transform)]))[2].rotations
    assert rotations is not None
    vector = np.array([1.0, 2.0, 3.0])  # x, y, z
    np.testing.assert_allclose((rotations[0] @ vector[::-1])[::-1], transform[:3, :3] @ vector)


def test_orientations_that_are_not_to_be_trusted_are_unknown(tmp_path: Path) -> None:
    assert read_file(written(tmp_path, points=[point(np.eye(4))], trust_orientation=False))[2].rotations is None
    assert read_file(written(tmp_path, points=[point(np.eye(4))], trust_orientation=True))[2].rotations is not None


@pytest.mark.parametrize("turned", [False, True])
def test_picks_come_back_from_the_file_that_is_made_of_them(tmp_path: Path, turned: bool) -> None:
    random = np.random.default_rng(0)
    rotations = Rotation.random(4, random_state=random).as_matrix() if turned else None
    picks = Picks(random.normal(size=(4, 3)) * 100, random.random(4), rotations)
    file = pick_file(picks, run="r", name="ribosome", to=PickSet("u", "7"))
    assert (file.user_id, file.session_id) == ("u", "7")
    (tmp_path / "p.json").write_text(file.model_dump_json())
    back = read_files([tmp_path / "p.json"])["ribosome"]
    np.testing.assert_allclose(back.zyx, picks.zyx)
    np.testing.assert_allclose(back.score, picks.score)
    if turned:
        np.testing.assert_allclose(back.rotations, picks.rotations)
    else:
        assert back.rotations is None


def test_a_file_without_points_has_no_picks(tmp_path: Path) -> None:
    for nothing in (None, []):
        assert len(read_file(written(tmp_path, points=nothing))[2]) == 0


def test_runs_that_hold_a_set_are_found_by_the_names_of_files(tmp_path: Path) -> None:
    config = config_of(SPECIES, static=tmp_path / "static", overlay=tmp_path / "overlay")
    root, found = open_root(config, name="c"), {SPECIES[0].name: Picks(np.zeros((1, 3)), np.ones(1))}
    for part, run, user in (("static", "a", "me"), ("overlay", "b", "me"), ("overlay", "c", "you")):
        folder = tmp_path / part / "ExperimentRuns" / run / "Picks"
        folder.mkdir(parents=True)
        made = pick_file(found[SPECIES[0].name], run=run, name=SPECIES[0].name, to=PickSet(user, "1"))
        (folder / f"{user}_1_{SPECIES[0].name}.json").write_text(made.model_dump_json())
    (tmp_path / "overlay" / "ExperimentRuns" / "d").mkdir()
    runs = ["a", "b", "c", "d", "nowhere"]
    assert runs_holding(root, runs, [PickSet("me", "1"), PickSet("me", "2")]) == ["a", "b"]
    assert runs_holding(root, runs, [PickSet("me", "11")]) == []
    by_copick = {run: set(pick_sets(root.get_run(run))) for run in runs[:4]}
    assert [run for run in by_copick if PickSet("me", "1") in by_copick[run]] == ["a", "b"]


IDENTITY = np.eye(4).tolist()
PLAIN = {"location": {"x": 1.5, "y": 2, "z": 3.0}, "transformation_": IDENTITY, "instance_id": 0, "score": 0.5}
"""A point as copick writes it."""


@pytest.mark.parametrize(
    "points",
    [
        [PLAIN, PLAIN | {"transformation_": [[0, 0, 1, 7], [0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 0, 1]]}],
        [],
        [{"location": PLAIN["location"]}],
        [PLAIN | {"score": None}],
        [PLAIN | {"location": {"x": "1.5", "y": True, "z": 3}}],
        [PLAIN | {"transformation_": None}],
        [PLAIN | {"transformation_": np.eye(4).reshape(2, 8).tolist()}],
        [PLAIN | {"transformation_": [*IDENTITY[:3], [0, 0, 1, 1]]}],
        [PLAIN | {"location": {"x": 1.5, "y": 2}}],
        [PLAIN | {"score": 10**400}],
        "points",
    ],
)
def test_picks_of_a_project_are_as_copick_reads_them(tmp_path: Path, points: Any) -> None:
    """tomosoup reads files of plain points without copick, which checks each point by itself."""
    name = SPECIES[0].name
    config = config_of(SPECIES, static=tmp_path / "static", overlay=tmp_path)
    folder = tmp_path / "ExperimentRuns" / "a" / "Picks"
    folder.mkdir(parents=True)
    header = {"pickable_object_name": name, "user_id": "me", "session_id": "1", "run_name": "a"}
    (folder / f"me_1_{name}.json").write_text(json.dumps(header | {"points": points}))
    run = open_root(config, name="c").get_run("a")
    try:
        expected = run.get_picks(user_id="me")[0].numpy()
    except (ValueError, TypeError):
        expected = None
    read = pick_sets(run)[PickSet("me", "1")]
    if expected is None:
        with pytest.raises(InputError, match="is not a copick pick file"):
            read()
    else:
        positions, transforms = expected
        np.testing.assert_array_equal(read()[name].zyx, (positions + transforms[:, :3, 3])[:, ::-1])


@pytest.mark.parametrize("bad", ["NaN", "Infinity"])
@pytest.mark.parametrize("where", ['"x": 1.0', '"score": 0.5', "[1.0, 0.0, 0.0, 0.0]"])
def test_numbers_that_are_none_are_refused_wherever_they_stand(tmp_path: Path, bad: str, where: str) -> None:
    path = written(tmp_path, points=[point(np.eye(4), score=0.5)])
    text = path.read_text()
    assert where in text
    number = "0.5" if "score" in where else "1.0"
    path.write_text(text.replace(where, where.replace(number, bad), 1))
    with pytest.raises(InputError, match=r"p\.json is not a copick pick file"):
        read_file(path)


@pytest.mark.parametrize("name", ["a b", "a_b", "a/b", 'a"b', "a:b", "", "a*"])
def test_names_that_copick_would_change_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="copick does not accept the"):
        valid_name(name, what="User")


def test_other_names_stay_as_they_are() -> None:
    assert valid_name("tomosoup-2.1", what="User") == "tomosoup-2.1"


def test_a_table_of_species_counts_one_each_where_it_says_no_weights(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("name,radius\na,60\nb,75.5\n")
    assert read_species(tmp_path / "s.csv") == (Species("a", 60.0, 1.0), Species("b", 75.5, 1.0))
    (tmp_path / "s.csv").write_text("weight,radius,name\n0,60,a\n")
    assert read_species(tmp_path / "s.csv") == (Species("a", 60.0, 0.0),)


@pytest.mark.parametrize("text", ["", "name,weight\na,1\n", "name,radius\na,large\n", "name,radius\na,-5\n"])
def test_a_table_that_is_none_of_species_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(InputError) as error:
        read_species(tmp_path / "s.csv")
    assert "\n" not in str(error.value)
