"""Where the files of a Zarr lie: names -> bytes, whole or in part, from any file system or mapping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]

NOT_THERE = (KeyError, FileNotFoundError, IsADirectoryError, NotADirectoryError)
"""What says that there is no such file; other errors say that it could not be read."""

TIMES = ("mtime", "LastModified", "ETag")
"""What file systems call the time of a change, or what changes with the content."""


@dataclass(frozen=True)
class Part:
    """Some bytes of a file; a start below 0 counts from its end."""

    name: str
    start: int | None = None
    stop: int | None = None


@dataclass(frozen=True)
class Files:
    """The files of a folder in a file system of fsspec, or else the values of a mapping, by name."""

    fs: Any = None
    root: str = ""
    mapping: Mapping[str, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, store: Any) -> Files:
        """Those of a folder, of a mapping, or of a store of the library zarr, but not by that store's rules for names.

        (copick's store turns `0.0.0` into `0/0/0`, whatever the array's metadata say.)
        """
        if isinstance(store, str | Path):
            return cls(*fsspec.core.url_to_fs(str(store)))
        fs, root = getattr(store, "fs", None), getattr(store, "path", getattr(store, "root", None))
        return cls(fs, root) if fs is not None and isinstance(root, str) else cls(mapping=store)

    def get(self, names: Sequence[str]) -> dict[str, bytes]:
        """Those of the files that are there, read together."""
        found = zip(names, self.parts([Part(name) for name in names]), strict=True)
        return {name: content for name, content in found if content is not None}

    def parts(self, parts: Sequence[Part]) -> list[bytes | None]:
        """Parts of files, read together; None where there is no such file. Raises what the storage raises."""
        if self.fs is None:
            return [self._mapped(part) for part in parts]
        names, starts, stops = ([getattr(p, key) for p in parts] for key in ("name", "start", "stop"))
        found = self.fs.cat_ranges([f"{self.root}/{name}" for name in names], starts, stops, on_error="return")
        for one in found:
            if isinstance(one, BaseException) and not isinstance(one, NOT_THERE):
                raise one
        return [None if isinstance(one, BaseException) else bytes(one) for one in found]

    def names(self, folder: str) -> list[str]:
        """All files in a folder and in the folders in it."""
        if self.fs is None:
            return [name for name in self.mapping if name.startswith(f"{folder}/")]
        root = self.fs._strip_protocol(self.root)
        return [path.removeprefix(root).lstrip("/") for path in self.fs.find(f"{root}/{folder}")]

    def listing(self) -> list[tuple[str, int, str]]:
        """The name, the size and the time (or the server's tag) of each file in a file system, sorted."""
        root = self.fs._strip_protocol(self.root)
        found = self.fs.find(root, detail=True).items()
        return sorted((path.removeprefix(root), of["size"], str([of.get(key) for key in TIMES])) for path, of in found)

    def digest(self) -> bytes:
        """SHA-256 of the names and the bytes of all files in a file system."""
        root, whole = self.fs._strip_protocol(self.root), sha256()
        for name, *_ in self.listing():
            with self.fs.open(f"{root}{name}", "rb") as file:
                whole.update(name.encode() + b"\0" + file_digest(file, "sha256").digest())
        return whole.digest()

    def _mapped(self, part: Part) -> bytes | None:
        try:
            content = bytes(self.mapping[part.name])
        except NOT_THERE:
            return None
        return content[part.start : part.stop]
