"""Names that copick cannot keep are refused before any work, with the name to take."""

import json
from pathlib import Path

import pytest

from tomosoup.core.errors import InputError
from tomosoup.core.types import Species, check_name
from tomosoup.data.copick.names import copick_names, valid_name
from tomosoup.data.options import DataOptions
from tomosoup.data.project import MrcFolder, open_project
from tomosoup.data.tomogram import chosen_runs
from tomosoup.data.truth import read_truth

CONFIG = {"config_type": "filesystem", "name": "t", "description": "", "version": "1"}


def config(folder: Path, species: str = "ribosome", root: str = "") -> Path:
    """A copick project of one species without runs."""
    thing = {"name": species, "is_particle": True, "label": 1, "radius": 150, "color": [1, 2, 3, 255]}
    roots = {f"{part}_root": f"local://{root or folder}/{part}" for part in ("overlay", "static")}
    (folder / "c.json").write_text(json.dumps(CONFIG | {"pickable_objects": [thing]} | roots))
    return folder / "c.json"


@pytest.mark.parametrize(("name", "instead"), [("my_protein", "my-protein"), ("70S ribosome", "70S-ribosome")])
def test_species_of_a_folder_and_of_a_configuration_are_refused_with_a_proposal(
    name: str, instead: str, tmp_path: Path
) -> None:
    (tmp_path / "species.csv").write_text(f"name,radius,weight\n{name},100,1\n")
    with pytest.raises(InputError, match=rf"species\.csv: .*{name}.*write {instead}"):
        _ = MrcFolder(tmp_path).species
    with pytest.raises(InputError, match=rf"c\.json: .*{name}.*write {instead}"):
        open_project(config(tmp_path, name))


@pytest.mark.parametrize("name", ["x" * 101, "ä" * 51, "a/b", "a\nb"])
def test_names_have_one_limit_for_species_runs_users_and_sessions(name: str) -> None:
    for refuse in (
        lambda: check_name(name, what="a run"),
        lambda: Species(name, 10.0),
        lambda: valid_name(name, what="Session"),
    ):
        with pytest.raises(InputError) as error:
            refuse()
        assert error.value.code == "name"
    assert check_name(name[:50].replace("/", "").replace("\n", ""), what="a run")


@pytest.mark.parametrize("name", ["x" * 101, "TS[1]", "TS?", "TS*"])
def test_runs_with_a_name_that_picks_cannot_have_are_refused_when_they_are_chosen(name: str, tmp_path: Path) -> None:
    (tmp_path / f"{name}.mrc").touch()
    with pytest.raises(InputError, match="rename it"):
        chosen_runs(open_project(tmp_path), DataOptions())


def test_two_names_that_would_be_one_are_refused() -> None:
    assert copick_names(["my_protein", "ribosome"]) == {"my_protein": "my-protein", "ribosome": "ribosome"}
    with pytest.raises(InputError, match="would both be my-protein"):
        copick_names(["my_protein", "my-protein"])


@pytest.mark.parametrize("numbers", [(1e300, 1), (float("nan"), 1), (0, 1), (10, -1), (10, float("nan"))])
def test_radii_and_weights_are_numbers_of_a_particle(numbers: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="of 'a' must be"):
        Species("a", *numbers)


def test_a_project_without_runs_says_where_it_looked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=f"in {tmp_path}/static or {tmp_path}/overlay.$"):
        chosen_runs(open_project(config(tmp_path)), DataOptions())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="; here/static and here/overlay count from the current folder"):
        chosen_runs(open_project(config(tmp_path, root="here")), DataOptions())


def test_one_volume_is_no_project_and_its_folder_is(tmp_path: Path) -> None:
    (tmp_path / "TS_01.mrc").write_bytes(bytes(1024))
    with pytest.raises(InputError, match=rf"is one volume.* give {tmp_path} and `runs=TS_01`"):
        open_project(tmp_path / "TS_01.mrc")


def test_a_pick_file_that_copick_misreads_is_named(tmp_path: Path) -> None:
    picks = tmp_path / "overlay/ExperimentRuns/a/Picks"
    picks.mkdir(parents=True)
    (picks / "my_user_1_ribosome.json").write_text("{}")
    with pytest.raises(InputError, match=r"my_user_1_ribosome\.json is not named USER_SESSION_OBJECT\.json"):
        read_truth(config(tmp_path), "a", "my/user")
