"""Write aside, then rename: a reader never meets half a file, and a failed write leaves the old one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from tomosoup.core.errors import InputError

OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss"}
"""Protocols of storage without folders, where making those of a path would make its bucket."""


def user_cache() -> Path:
    """The folder for what can be made or fetched again."""
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "tomosoup"


PACKED = (".gz", ".bz2")
"""Endings of packed files, which are read and not written."""


def is_table(path: str | Path) -> bool:
    """Whether a path is called a CSV table, which may be packed."""
    return unpacked_name(Path(path)).lower().endswith(".csv")


def unpacked_name(path: Path) -> str:
    """The name of a file, without the ending that says that it is packed."""
    return path.stem if path.suffix.lower() in PACKED else path.name


def refuse_packed(path: Path) -> None:
    """Raises `InputError` for an output whose name says that it is packed."""
    if path.suffix.lower() in PACKED:
        raise InputError(f"{path}: files are written unpacked; name one without {path.suffix}.")


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Write to the path that this gives: it takes the place of `path` if the block ends well, and is gone if not.

    It is on the disk before it takes that place, so that a power cut leaves the old file or the new one. It gets the
    permissions of the file before, or those of any new file: safetensors' files are for their owner alone.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{uuid4().hex[:12]}")  # other machines may write here, too
    aside.touch()
    permissions = (path if path.exists() else aside).stat().st_mode
    aside.unlink()
    try:
        yield aside
        with aside.open("rb") as written:
            os.fsync(written.fileno())
        if aside.stat().st_mode != permissions:
            aside.chmod(permissions)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def remove_leftovers(folder: Path, ending: str) -> None:
    """Remove what processes that were killed had not yet renamed (`written_aside`), of files with this ending."""
    for path in folder.glob(f".*{ending}.{'[0-9a-f]' * 12}"):
        path.unlink(missing_ok=True)


def write_whole(fs: Any, path: str, text: str) -> None:
    """Write a file of an fsspec file system whole or not at all: by a rename on a disk, by one put where objects are.

    It makes folders, and never a bucket.
    """
    if is_local(fs):
        with written_aside(Path(path)) as aside:
            aside.write_text(text)
        return
    make_folders(fs, path.rpartition("/")[0])
    fs.pipe_file(path, text.encode())


def make_folders(fs: Any, path: str) -> None:
    """Make the folders of a path in an fsspec file system that has folders; never a bucket."""
    if not _protocols(fs) & OBJECT_STORES:
        fs.makedirs(path, exist_ok=True)


def is_local(fs: Any) -> bool:
    """Whether an fsspec file system is a disk of this machine, with paths that `Path` can have."""
    return "file" in _protocols(fs)


def _protocols(fs: Any) -> set[str]:
    return {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Raises `InputError` if `path` exists and may not be replaced, or if its folder is a file."""
    if path.is_dir():
        raise InputError(f"Expected a file name for the output, got the folder {path}.")
    if path.exists() and not overwrite:
        text = f"{path} exists already: choose another name, or replace it with `overwrite=True`."
        raise InputError(text, code="exists")
    if next(parent for parent in path.absolute().parents if parent.exists()).is_file():
        raise InputError(f"Cannot write {path}: one of its parent folders is a file.")


def refuse_irregular(path: Path, *, expected: str) -> None:
    """Raises `InputError` for what is there and is no file, such as a folder or a pipe, from which reading can hang."""
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is not a regular file; expected {expected}: name another, or move it away.")
