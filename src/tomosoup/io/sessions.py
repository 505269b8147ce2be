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
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from tomosoup.errors import InputError, first_line
from tomosoup.io.files import write_whole

Settings = Mapping[str, Any]
"""What picks depend on, in JSON's types."""


def fingerprint_of(settings: Settings) -> str:
    """Sixteen hexadecimal digits that tell settings apart (of their SHA-256)."""
    return sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Session:
    """The records of one pick session in a copick project's overlay."""

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
        told = self._settings()
        outputs = sorted({*told.get("outputs", ()), *paths})
        if outputs != told.get("outputs"):
            write_whole(self.fs, f"{self.folder}/settings.json", json.dumps(told | {"outputs": outputs}, indent=1))

    def begin(self, settings: Settings) -> None:
        """From now on its picks are made with these settings; the records of others are dropped."""
        for path in self._ls(self.folder):
            if not path.endswith(".json") and fingerprint_of(settings) not in path:
                self.fs.rm(path, recursive=True)
        write_whole(self.fs, f"{self.folder}/settings.json", json.dumps({"settings": settings}, indent=1))

    def runs(self, fingerprint: str) -> list[str]:
        """The runs that are done."""
        return self._names(f"{self.folder}/{fingerprint}")

    def about(self, run: str, fingerprint: str) -> Mapping[str, Any]:
        """What was recorded of a run that is done."""
        return self._read(f"{self.folder}/{fingerprint}/{run}.json") or {}

    def record(self, run: str, fingerprint: str, about: Mapping[str, Any]) -> None:
        """The run is done: call it when its picks are in place."""
        write_whole(self.fs, f"{self.folder}/{fingerprint}/{run}.json", json.dumps(about, indent=1))
        self._drop(f"{self.folder}/{fingerprint}-failed/{run}.json")

    def forget(self, runs: Sequence[str], fingerprint: str) -> None:
        """The runs are to be picked anew."""
        for run in runs:
            self._drop(f"{self.folder}/{fingerprint}/{run}.json")

    def record_failure(self, run: str, fingerprint: str, about: Mapping[str, Any]) -> None:
        """The run could not be picked, and why."""
        write_whole(self.fs, f"{self.folder}/{fingerprint}-failed/{run}.json", json.dumps(about, indent=1))

    def failures(self, fingerprint: str) -> dict[str, Mapping[str, Any]]:
        """What could not be picked, by run, and why."""
        folder = f"{self.folder}/{fingerprint}-failed"
        return {run: self._read(f"{folder}/{run}.json") or {} for run in self._names(folder)}

    def sum_up(self, fingerprint: str) -> str:
        """Write all failures into one file, or remove it where there are none; returns its path."""
        path, failures = f"{self.folder}/failures.json", self.failures(fingerprint)
        if failures:
            write_whole(self.fs, path, json.dumps(failures, indent=1))
        else:
            self._drop(path)
        return path

    def _settings(self) -> dict[str, Any]:
        told = self._read(f"{self.folder}/settings.json")
        if told is not None and not (isinstance(told, dict) and isinstance(told.get("settings"), dict)):
            raise InputError(f"{self.folder}/settings.json holds no settings: remove the file to pick anew.")
        return told or {}

    def _names(self, folder: str) -> list[str]:
        found = (path.rpartition("/")[2] for path in self._ls(folder))
        return sorted(name.removesuffix(".json") for name in found if name.endswith(".json") and name[0] != ".")

    def _ls(self, folder: str) -> list[str]:
        self.fs.invalidate_cache()  # other processes write here
        try:
            return [str(path) for path in self.fs.ls(folder, detail=False)]
        except FileNotFoundError:
            return []

    def _read(self, path: str) -> Any:
        try:
            with self.fs.open(path) as stream:
                return json.loads(stream.read())
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path} cannot be read as JSON ({first_line(error)}): remove it to pick anew.") from error

    def _drop(self, path: str) -> None:
        if self.fs.exists(path):
            self.fs.rm(path)
