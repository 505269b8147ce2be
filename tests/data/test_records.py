"""The records of a pick session: what is done with one set of settings is never taken for done with another."""

import json
from pathlib import Path

import fsspec
import pytest

from tomosoup.core.errors import InputError
from tomosoup.data.pick_store.records import Session, fingerprint_of

DONE = {"picks": {"ribosome": 3}}
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
    assert session.outputs() == {}
    assert session.records("f") == {}
    assert session.failures("f") == {}
    assert files(session) == set()


def test_what_a_session_is_begun_with_is_read_by_others(session: Session) -> None:
    session.begin(SETTINGS)
    assert Session(session.fs, session.folder).settings() == SETTINGS


def test_runs_that_are_done_are_listed_sorted_with_what_was_said_of_them(session: Session) -> None:
    for run in ("b", "a", "c.1"):
        session.record(run, "f", {**DONE, "seconds": len(run)})
    assert session.runs("f") == ["a", "b", "c.1"]
    assert session.records("f")["c.1"] == {**DONE, "seconds": 3}


def test_a_run_that_is_done_with_some_settings_is_not_done_with_others(session: Session) -> None:
    session.record("a", "f", DONE)
    assert session.runs("g") == []


def test_a_run_that_succeeds_is_no_longer_among_those_that_failed(session: Session) -> None:
    session.record_failure("a", "f", {"why": "no voxels"})
    session.record_failure("b", "f", {"why": "no disk"})
    assert session.runs("f") == []
    assert session.failures("f") == {"a": {"why": "no voxels"}, "b": {"why": "no disk"}}
    session.record("a", "f", DONE)
    assert session.failures("f") == {"b": {"why": "no disk"}}


def test_a_run_that_is_forgotten_is_to_be_picked_again_and_the_others_are_not(session: Session) -> None:
    for run in "abc":
        session.record(run, "f", DONE)
    session.forget(["a", "c", "never done"], "f")
    assert session.runs("f") == ["b"]


def test_other_settings_drop_the_records_of_the_old_ones(session: Session) -> None:
    old, new = fingerprint_of(SETTINGS), fingerprint_of({})
    session.begin(SETTINGS)
    session.record("a", old, DONE)
    session.record_failure("b", old, {})
    session.begin({})
    assert session.settings() == {}
    assert session.runs(old) == []
    assert session.failures(old) == {}
    assert session.runs(new) == []


def test_the_same_settings_keep_their_records(session: Session) -> None:
    mark = fingerprint_of(SETTINGS)
    session.begin(SETTINGS)
    session.record("a", mark, DONE)
    session.record_failure("b", mark, {"why": "x"})
    session.begin(dict(reversed(SETTINGS.items())))
    assert session.runs(mark) == ["a"]
    assert session.failures(mark) == {"b": {"why": "x"}}


def write(session: Session, path: Path, text: str) -> None:
    """Write a file of a session's picks."""
    with session.output(path) as aside:
        aside.write_text(text)


def test_a_file_may_be_written_again_while_it_is_as_the_session_wrote_it(session: Session, tmp_path: Path) -> None:
    session.begin(SETTINGS)
    path = tmp_path / "a.csv"
    session.refuse_changed(path)
    for text in ("one", "two"):
        write(session, path, text)
        session.refuse_changed(path)
    path.write_text("edited")
    with pytest.raises(InputError, match=r"a\.csv has changed since tomosoup wrote it"):
        session.refuse_changed(path)
    path.write_text("one")  # as if the process had been killed before "two" was in place
    session.refuse_changed(path)
    path.unlink()
    session.refuse_changed(path)
    assert session.settings() == SETTINGS


def test_a_file_of_others_or_of_an_older_version_is_not_replaced(session: Session, tmp_path: Path) -> None:
    session.begin(SETTINGS)
    path = tmp_path / "a.csv"
    path.write_text("mine")
    (Path(session.folder) / "settings.json").write_text(json.dumps({"settings": SETTINGS, "outputs": [str(path)]}))
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(InputError, match="exists already"):
            session.refuse_changed(tmp_path / name)


def test_a_new_beginning_forgets_the_old_tables(session: Session, tmp_path: Path) -> None:
    session.begin(SETTINGS)
    write(session, tmp_path / "a.csv", "text")
    session.begin({})
    assert session.outputs() == {}


def test_failures_are_summed_up_in_one_file_that_goes_when_there_are_none(session: Session) -> None:
    session.record_failure("a", "f", {"why": "no voxels"})
    path = Path(session.sum_up("f", ["a"]))
    assert json.loads(path.read_text()) == {"a": {"why": "no voxels"}}
    session.record("a", "f", DONE)
    assert session.sum_up("f", ["a"]) == str(path)
    assert not path.exists()


def test_failures_of_runs_that_left_the_project_are_dropped(session: Session) -> None:
    for run in "ab":
        session.record_failure(run, "f", {"why": "no voxels"})
    path = Path(session.sum_up("f", ["b", "c"]))
    assert list(json.loads(path.read_text())) == list(session.failures("f")) == ["b"]


@pytest.mark.parametrize(
    "text", ["3", "[]", '"x"', "{", "null", "{}", '{"picks": 3}', '{"picks": {"a": "x"}}', '{"picks": {"a": -1}}']
)
def test_a_record_of_another_form_is_void(session: Session, text: str) -> None:
    session.record("a", "f", DONE)
    session.record_failure("b", "f", {"error": "no voxels"})
    for path in (Path(session.folder) / "f/a.json", Path(session.folder) / "f-failed/b.json"):
        path.write_text(text)
    assert session.runs("f") == []
    assert isinstance(session.failures("f")["b"], dict)


def test_hidden_files_and_others_are_no_runs(session: Session) -> None:
    session.record("a", "f", DONE)
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
    session.record("a", "f", DONE)
    session.forget(["b"], "f")
    assert session.settings() == SETTINGS
    assert session.runs("f") == ["a"]
    session.fs.rm("/records-of-a-test", recursive=True)
