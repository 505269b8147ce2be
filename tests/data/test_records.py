"""The records of a pick session: what is done with one set of settings is never taken for done with another."""

import json
from pathlib import Path

import fsspec
import pytest

from tomosoup.core.errors import InputError
from tomosoup.data.pick_store.records import Session, fingerprint_of

SETTINGS = {"model": "abc", "peaks": {"floor": 0.1, "apart": 0.7}}


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(fsspec.filesystem("file"), str(tmp_path / "tomosoup" / "1"))


def files(session: Session) -> set[str]:
    folder = Path(session.folder)
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_fingerprint_tells_settings_apart_and_does_not_mind_their_order() -> None:
    turned = {"peaks": {"apart": 0.7, "floor": 0.1}, "model": "abc"}
    assert fingerprint_of(SETTINGS) == fingerprint_of(turned)
    assert fingerprint_of(SETTINGS) != fingerprint_of({**SETTINGS, "model": "abd"})
    assert fingerprint_of(SETTINGS) != fingerprint_of({**SETTINGS, "peaks": {"floor": 0.1, "apart": 0.8}})


def test_a_fingerprint_is_sixteen_digits_that_never_change() -> None:
    """Sessions of older versions are found by it."""
    assert fingerprint_of({}) == "44136fa355b3678a"  # SHA-256 of the two bytes {}
    assert len(fingerprint_of(SETTINGS)) == 16
    assert int(fingerprint_of(SETTINGS), 16) >= 0


def test_a_session_that_nobody_began_is_empty(session: Session) -> None:
    assert session.settings() is None
    assert session.outputs() == []
    assert session.runs("f") == []
    assert session.failures("f") == {}
    assert session.record_of("r", "f") == {}
    assert files(session) == set()


def test_what_a_session_is_begun_with_is_read_by_others(session: Session) -> None:
    session.begin(SETTINGS)
    assert Session(session.fs, session.folder).settings() == SETTINGS


def test_runs_that_are_done_are_listed_sorted_with_what_was_said_of_them(session: Session) -> None:
    for run in ("b", "a", "c.1"):
        session.record(run, "f", {"seconds": len(run)})
    assert session.runs("f") == ["a", "b", "c.1"]
    assert session.record_of("c.1", "f") == {"seconds": 3}


def test_a_run_that_is_done_with_some_settings_is_not_done_with_others(session: Session) -> None:
    session.record("a", "f", {})
    assert session.runs("g") == []
    assert session.record_of("a", "g") == {}


def test_a_run_that_succeeds_is_no_longer_among_those_that_failed(session: Session) -> None:
    session.record_failure("a", "f", {"why": "no voxels"})
    session.record_failure("b", "f", {"why": "no disk"})
    assert session.runs("f") == []
    assert session.failures("f") == {"a": {"why": "no voxels"}, "b": {"why": "no disk"}}
    session.record("a", "f", {})
    assert session.failures("f") == {"b": {"why": "no disk"}}


def test_a_run_that_is_forgotten_is_to_be_picked_again_and_the_others_are_not(session: Session) -> None:
    for run in "abc":
        session.record(run, "f", {})
    session.forget(["a", "c", "never done"], "f")
    assert session.runs("f") == ["b"]


def test_other_settings_drop_the_records_of_the_old_ones(session: Session) -> None:
    old, new = fingerprint_of(SETTINGS), fingerprint_of({})
    session.begin(SETTINGS)
    session.record("a", old, {})
    session.record_failure("b", old, {})
    session.begin({})
    assert session.settings() == {}
    assert session.runs(old) == []
    assert session.failures(old) == {}
    assert session.runs(new) == []


def test_the_same_settings_keep_their_records(session: Session) -> None:
    mark = fingerprint_of(SETTINGS)
    session.begin(SETTINGS)
    session.record("a", mark, {})
    session.record_failure("b", mark, {"why": "x"})
    session.begin(dict(reversed(SETTINGS.items())))
    assert session.runs(mark) == ["a"]
    assert session.failures(mark) == {"b": {"why": "x"}}


def test_tables_are_remembered_once_each_and_sorted(session: Session) -> None:
    session.begin(SETTINGS)
    session.add_outputs(["/b.csv", "/a.csv"])
    session.add_outputs(["/b.csv"])
    assert session.outputs() == ["/a.csv", "/b.csv"]
    assert session.settings() == SETTINGS


def test_a_new_beginning_forgets_the_old_tables(session: Session) -> None:
    session.begin(SETTINGS)
    session.add_outputs(["/a.csv"])
    session.begin({})
    assert session.outputs() == []


def test_failures_are_summed_up_in_one_file_that_goes_when_there_are_none(session: Session) -> None:
    session.record_failure("a", "f", {"why": "no voxels"})
    path = Path(session.sum_up("f"))
    assert json.loads(path.read_text()) == {"a": {"why": "no voxels"}}
    session.record("a", "f", {})
    assert session.sum_up("f") == str(path)
    assert not path.exists()


def test_hidden_files_and_others_are_no_runs(session: Session) -> None:
    session.record("a", "f", {})
    for name in (".b.json.0123456789ab", ".c.json", "notes.txt"):
        (Path(session.folder) / "f" / name).write_text("{}")
    assert session.runs("f") == ["a"]


@pytest.mark.parametrize("text", ["", "{", "[1]", '"text"', '{"outputs": []}', '{"settings": [1]}', "[" * 100_000])
def test_records_that_hold_no_settings_are_one_sentence_that_names_the_file(session: Session, text: str) -> None:
    session.begin(SETTINGS)
    (Path(session.folder) / "settings.json").write_text(text)
    with pytest.raises(InputError, match=r"settings\.json .*remove") as error:
        session.settings()
    assert "\n" not in str(error.value)


def test_a_folder_that_cannot_be_read_is_an_error_and_not_an_empty_session(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="folder of records"):
        Session(fsspec.filesystem("file"), str(tmp_path / "file" / "below")).begin(SETTINGS)


def test_other_file_systems_keep_the_same_records() -> None:
    session = Session(fsspec.filesystem("memory"), "/records-of-a-test/1")
    session.begin(SETTINGS)
    session.record("a", "f", {"n": 1})
    session.forget(["b"], "f")
    assert session.settings() == SETTINGS
    assert session.runs("f") == ["a"]
    session.fs.rm("/records-of-a-test", recursive=True)
