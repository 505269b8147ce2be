"""Files are written whole or not at all."""

from pathlib import Path

import fsspec
import pytest

from tomosoup.core.errors import InputError
from tomosoup.core.files import refuse_existing, remove_leftovers, user_cache, write_whole, written_aside


def test_a_file_appears_only_once_its_block_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "out.txt"
    with written_aside(path) as aside:
        aside.write_text("new")
        assert not path.exists()
        assert aside.parent == path.parent  # a rename to another disk would be a copy
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), written_aside(path) as aside:
        aside.write_text(f"half{1 // 0}" if aside.write_text("half") else "")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_can_be_read_by_whom_the_umask_lets_whoever_wrote_it(tmp_path: Path) -> None:
    usual, path = tmp_path / "usual.txt", tmp_path / "out.txt"
    usual.touch()
    with written_aside(path) as aside:
        aside.touch(mode=0o600)  # as safetensors does
    assert path.stat().st_mode == usual.stat().st_mode
    path.chmod(0o640)
    with written_aside(path) as aside:
        aside.touch()
    assert path.stat().st_mode & 0o777 == 0o640


def test_readers_see_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")
    with written_aside(path) as aside:
        aside.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    with written_aside(path) as one, written_aside(path) as other:
        assert one != other
        one.write_text("one")
        other.write_text("other")
    assert path.read_text() == "one"  # its block ended last


def test_what_is_written_aside_is_hidden_from_those_who_list_the_folder(tmp_path: Path) -> None:
    with written_aside(tmp_path / "out.txt") as aside:
        aside.write_text("new")
        assert list(tmp_path.glob("[!.]*")) == []


def test_a_local_file_system_is_written_by_rename(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out.json"
    write_whole(fsspec.filesystem("file"), str(target), "Å")
    assert target.read_text(encoding="utf-8") == "Å"
    assert list(target.parent.iterdir()) == [target]


def test_other_file_systems_get_their_folders_and_utf8() -> None:
    fs = fsspec.filesystem("memory")
    write_whole(fs, "/tomosoup-files/deep/out.json", "Å")
    assert fs.cat_file("/tomosoup-files/deep/out.json") == "Å".encode()
    fs.rm("/tomosoup-files", recursive=True)


@pytest.mark.parametrize("protocol", ["s3", ("s3", "s3a"), "gcs", ("abfs", "az")])
def test_where_objects_are_no_folder_is_made(protocol: str | tuple[str, ...]) -> None:
    class Bucket:
        """A store that can only take objects: it has no way to make folders."""

        def __init__(self) -> None:
            self.protocol, self.held = protocol, {}

        def pipe_file(self, path: str, value: bytes) -> None:
            self.held[path] = value

    bucket = Bucket()
    write_whole(bucket, "bucket/deep/out.json", "text")
    assert bucket.held == {"bucket/deep/out.json": b"text"}


def test_a_new_name_is_not_refused(tmp_path: Path) -> None:
    refuse_existing(tmp_path / "new.csv", overwrite=False)
    refuse_existing(tmp_path / "not" / "there" / "new.csv", overwrite=False)


def test_a_file_that_exists_is_refused_unless_it_may_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "old.csv").touch()
    with pytest.raises(InputError, match=r"old\.csv exists already.*`overwrite=True`"):
        refuse_existing(tmp_path / "old.csv", overwrite=False)
    refuse_existing(tmp_path / "old.csv", overwrite=True)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_is_never_taken_for_an_output_file(tmp_path: Path, overwrite: bool) -> None:
    with pytest.raises(InputError, match="Expected a file name"):
        refuse_existing(tmp_path, overwrite=overwrite)


@pytest.mark.parametrize("below", ["x.csv", "a/b/x.csv"])
def test_a_file_cannot_hold_the_output(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="parent folders is a file"):
        refuse_existing(tmp_path / "file" / below, overwrite=True)


def test_a_relative_name_is_looked_up_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refuse_existing(Path("new.csv"), overwrite=False)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="parent folders is a file"):
        refuse_existing(Path("file/new.csv"), overwrite=False)


def test_the_cache_is_where_the_user_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert user_cache() == Path("/somewhere/tomosoup")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert user_cache() == Path("/home/someone/.cache/tomosoup")


def test_what_took_the_place_of_a_file_has_its_name_and_no_longer_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")
    kept_open = path.open()
    before = path.stat().st_ino
    with written_aside(path) as aside:
        aside.write_text("new")
    assert path.stat().st_ino != before
    assert kept_open.read() == "old"  # a reader that had begun goes on with the old file
    kept_open.close()


def test_what_killed_processes_had_not_renamed_is_removed_and_nothing_else(tmp_path: Path) -> None:
    left = [".best-0.ckpt.0123456789ab", ".last.ckpt.fedcba987654"]
    kept = ["last.ckpt", ".last.ckpt", ".last.ckpt.backup", ".metrics.csv.0123456789ab"]
    for name in (*left, *kept):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path, ".ckpt")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)
    remove_leftovers(tmp_path / "not there", ".ckpt")
