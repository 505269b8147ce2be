"""What a person has corrected is never replaced by the same command."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tomosoup.core.errors import InputError
from tomosoup.core.types import Picks
from tomosoup.data.copick.files import pick_sets, write_picks
from tomosoup.data.copick.roots import run_of
from tomosoup.data.pick_store.edits import digests_of
from tomosoup.data.pick_store.pick_set import PickSet
from tomosoup.data.pick_store.records import fingerprint_of
from tomosoup.data.pick_store.store import PickStore, with_thresholds
from tomosoup.data.project import CopickProject, open_project

SETTINGS = {"thresholds": {"ribosome": 0.1}}
FOUND = {"ribosome": Picks(np.array([[-0.0, 1 / 3, 20.0], [30, 40, 50]]), np.array([0.1, 0.7], np.float32))}
KEPT = {"ribosome": FOUND["ribosome"].above(0.5)}


@pytest.fixture
def store(tmp_path: Path) -> PickStore:
    """A session with the picks of one run, in a project without tomograms."""
    (tmp_path / "overlay/ExperimentRuns/a").mkdir(parents=True)
    objects = [{"name": "ribosome", "is_particle": True, "label": 1, "radius": 150, "color": [1, 2, 3, 255]}]
    config = {"config_type": "filesystem", "name": "t", "description": "", "version": "1", "pickable_objects": objects}
    config |= {f"{part}_root": f"local://{tmp_path}/{part}" for part in ("overlay", "static")}
    (tmp_path / "c.json").write_text(json.dumps(config))
    store = PickStore(tmp_path / "c.json", "0", fingerprint_of(SETTINGS))
    store.session.begin(SETTINGS)
    store.write("a", FOUND, FOUND, record={"picks": {"ribosome": 2}})
    return store


def project_of(store: PickStore) -> CopickProject:
    project = open_project(store.config)
    assert isinstance(project, CopickProject)
    return project


def test_digests_are_those_of_what_is_read_back(store: PickStore) -> None:
    assert digests_of(store.read("a")) == store.session.records(store.fingerprint)["a"]["digests"] == digests_of(FOUND)


@pytest.mark.parametrize(
    "changed",
    [{"zyx": FOUND["ribosome"].zyx + 1e-9}, {"score": np.array([0.1, 0.8])}, {"rotations": np.stack([np.eye(3)] * 2)}],
)
def test_digests_tell_any_change_apart(changed: dict[str, Any]) -> None:
    assert digests_of({"ribosome": replace(FOUND["ribosome"], **changed)}) != digests_of(FOUND)


def test_thresholds_replace_picks_until_somebody_has_edited_them(store: PickStore) -> None:
    with_thresholds(project_of(store), "0", {"ribosome": 0.5}, {"a": KEPT})
    assert len(store.read("a")["ribosome"]) == 1
    write_picks(run_of(store.root, "a"), FOUND, PickSet("tomosoup", "0"))
    with pytest.raises(InputError, match="Picks tomosoup/0 of run a have changed since tomosoup wrote them"):
        with_thresholds(project_of(store), "0", {"ribosome": 0.6}, {"a": KEPT})
    assert len(store.read("a")["ribosome"]) == 2
    with_thresholds(project_of(store), "0", {"ribosome": 0.6}, {"a": KEPT}, overwrite=True)
    assert len(store.read("a")["ribosome"]) == 1


def test_edited_picks_are_not_picked_again_unasked(store: PickStore) -> None:
    write_picks(run_of(store.root, "a"), KEPT, store.picks)
    with pytest.raises(InputError, match="have changed"):
        store.redo(["a"], overwrite=False)
    assert store.done() == ["a"]
    store.redo(["a"], overwrite=True)
    assert store.done() == []


def test_picks_that_are_gone_or_were_never_recorded_stop_nothing(store: PickStore) -> None:
    run = run_of(store.root, "a")
    write_picks(run, {}, store.picks)
    assert store.picks not in pick_sets(run)
    store.redo(["a", "b"], overwrite=False)


def test_a_session_begun_anew_by_another_command_gets_nothing_of_this_one(store: PickStore) -> None:
    store.session.begin({"thresholds": {"ribosome": 0.9}})
    with pytest.raises(InputError, match="has changed since this command began it"):
        store.write("a", FOUND, FOUND, record={"picks": {}})
    assert not store.record_failure("a", {"error": "x"})
    assert not store.session.failures(store.fingerprint)


def test_a_session_whose_folder_is_removed_gets_nothing_and_begins_anew(store: PickStore, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "overlay")
    with pytest.raises(InputError, match="The records of session 0 were removed while this command ran"):
        store.write("a", FOUND, FOUND, record={"picks": {"ribosome": 2}})
    assert not (tmp_path / "overlay").exists()
    (tmp_path / "overlay/ExperimentRuns/a").mkdir(parents=True)
    store.session.begin(SETTINGS)
    assert store.done() == []
    store.write("a", FOUND, FOUND, record={"picks": {"ribosome": 2}})
    assert store.done() == ["a"]
