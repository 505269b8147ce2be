"""What a session of picking has done so far, kept beside its picks, so that any process can go on with it.

In the overlay of the copick project that the picks go to:

    tomosoup/SESSION/settings.json              what the session's picks are made with
    tomosoup/SESSION/FINGERPRINT/RUN.json       run RUN is done with these settings: all its picks are in place
    tomosoup/SESSION/FINGERPRINT-failed/RUN.json    why it could not be picked
    tomosoup/SESSION/failures.json              the same for all runs, made when a command ends

The fingerprint is that of the settings, so what was done with others is never taken for done.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from tomosoup.core.errors import InputError, first_line
from tomosoup.core.files import write_whole
from tomosoup.data.copick.remote import StorageErrors

Settings = Mapping[str, Any]
"""What picks depend on, in JSON's types."""


def fingerprint_of(settings: Settings) -> str:
    """Sixteen hexadecimal digits that tell settings apart (of their SHA-256)."""
    return sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Session:
    """The records of one pick session in a copick project's overlay, on a disk or not.

    All raise `InputError` where the storage does not do what it should.
    """

    fs: Any
    """The overlay's fsspec file system."""
    folder: str

    @classmethod
    def of(cls, root: Any, name: str) -> Session:
        """The session of this name in a copick root."""
        return cls(root.fs_overlay, f"{root.root_overlay}/tomosoup/{name}")

    def settings(self) -> Settings | None:
        """What its picks are made with; None where no process began it. Raises `InputError` where the file is bad."""
        settings: Settings | None = self._settings().get("settings")
        return settings

    def outputs(self) -> list[str]:
        """The tables that were written of its picks, which may be written again."""
        return list(self._settings().get("outputs", ()))

    def add_outputs(self, paths: Sequence[str]) -> None:
        """These are tables of its picks, too."""
        stored = self._settings()
        outputs = sorted({*stored.get("outputs", ()), *paths})
        if outputs != stored.get("outputs"):
            self._write("settings.json", stored | {"outputs": outputs})

    def begin(self, settings: Settings) -> None:
        """From now on its picks are made with these settings; the records of others are dropped."""
        for path in self._ls(self.folder):
            if not path.endswith(".json") and fingerprint_of(settings) not in path:
                with self._errors():
                    self.fs.rm(path, recursive=True)
        self._write("settings.json", {"settings": settings})

    def runs(self, fingerprint: str) -> list[str]:
        """The runs that are done."""
        return self._names(fingerprint)

    def record_of(self, run: str, fingerprint: str) -> Mapping[str, Any]:
        """What was recorded of a run that is done."""
        return self._read(f"{fingerprint}/{run}.json") or {}

    def record(self, run: str, fingerprint: str, content: Mapping[str, Any]) -> None:
        """The run is done: call it when its picks are in place."""
        self._write(f"{fingerprint}/{run}.json", content)
        self._drop(f"{fingerprint}-failed/{run}.json")

    def forget(self, runs: Sequence[str], fingerprint: str) -> None:
        """The runs are to be picked anew."""
        for run in runs:
            self._drop(f"{fingerprint}/{run}.json")

    def record_failure(self, run: str, fingerprint: str, content: Mapping[str, Any]) -> None:
        """The run could not be picked, and why."""
        self._write(f"{fingerprint}-failed/{run}.json", content)

    def failures(self, fingerprint: str) -> dict[str, Mapping[str, Any]]:
        """What could not be picked, by run, and why."""
        folder = f"{fingerprint}-failed"
        return {run: self._read(f"{folder}/{run}.json") or {} for run in self._names(folder)}

    def sum_up(self, fingerprint: str) -> str:
        """Write all failures into one file, or remove it where there are none; returns its path."""
        if failures := self.failures(fingerprint):
            self._write("failures.json", failures)
        else:
            self._drop("failures.json")
        return f"{self.folder}/failures.json"

    def _settings(self) -> dict[str, Any]:
        stored = self._read("settings.json")
        if stored is None:
            return {}
        whole = isinstance(stored, dict) and isinstance(stored.get("settings"), dict)
        outputs = stored.get("outputs", []) if whole else None
        if not (isinstance(outputs, list) and all(isinstance(path, str) for path in outputs)):
            raise InputError(f"{self.folder}/settings.json holds no settings: remove the file to pick anew.")
        settings: dict[str, Any] = stored
        return settings

    def _names(self, folder: str) -> list[str]:
        found = (path.rpartition("/")[2] for path in self._ls(f"{self.folder}/{folder}"))
        return sorted(name.removesuffix(".json") for name in found if name.endswith(".json") and name[0] != ".")

    def _ls(self, folder: str) -> list[str]:
        with self._errors(), suppress(FileNotFoundError):
            self.fs.invalidate_cache()  # other processes write here
            return [str(path) for path in self.fs.ls(folder, detail=False)]
        return []

    def _read(self, name: str) -> Any:
        path, text = f"{self.folder}/{name}", b"null"
        with self._errors(), suppress(FileNotFoundError):
            text = self.fs.cat_file(path)
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path} cannot be read as JSON ({first_line(error)}): remove it to pick anew.") from error

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        with self._errors():
            write_whole(self.fs, f"{self.folder}/{name}", json.dumps(content, indent=1))

    def _drop(self, name: str) -> None:
        with self._errors(), suppress(FileNotFoundError):
            self.fs.rm_file(f"{self.folder}/{name}")

    def _errors(self) -> StorageErrors:
        return StorageErrors(f"The folder of records {self.folder}")
