"""Write aside, then rename: a reader never meets half a file, and a failed write leaves the old one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tomosoup.errors import InputError


def user_cache() -> Path:
    """The folder for what can be made or fetched again."""
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "tomosoup"


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Write to the path that this gives: it takes the place of `path` if the block ends well, and is gone if not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield aside
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Raises `InputError` if `path` is there already and may not be replaced, or if its folder is a file."""
    if path.is_dir():
        raise InputError(f"Expected a file name for the output, got the folder {path}.")
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists already: choose another name, or replace it with --overwrite.")
    if next(parent for parent in path.absolute().parents if parent.exists()).is_file():
        raise InputError(f"Cannot write {path}: one of its parent folders is a file.")
