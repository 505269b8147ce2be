"""What a session of picking has done so far, kept beside its picks, so that any process can go on with it.

In the overlay of the copick project that the picks go to:

    tomosoup/SESSION/settings.json              what the session's picks are made with, and what was written of them
    tomosoup/SESSION/FINGERPRINT/RUN.json       run RUN is done with these settings: all its picks are in place
    tomosoup/SESSION/FINGERPRINT-failed/RUN.json    why it could not be picked
    tomosoup/SESSION/failures.json              the same for all runs, made when a command ends

The fingerprint is that of the settings, so what was done with others is never taken for done.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from tomosoup.core.errors import InputError, first_line
from tomosoup.core.files import refuse_existing, write_whole, written_aside
from tomosoup.data.copick.remote import StorageErrors
from tomosoup.data.copick.roots import overlay_of

Settings = Mapping[str, Any]
"""What picks depend on, in JSON's types."""
READERS = 16
"""Records that are read at the same time, which may be on a server."""


def fingerprint_of(settings: Settings) -> str:
    """Sixteen hexadecimal digits that tell settings apart (of their SHA-256)."""
    return sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def digest_of(path: Path) -> str:
    """Sixteen hexadecimal digits that tell the contents of files apart (of their SHA-256)."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()[:16]


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
        return cls(root.fs_overlay, f"{overlay_of(root)}/tomosoup/{name}")

    def settings(self) -> Settings | None:
        """What its picks are made with; None where no process began it. Raises `InputError` where the file is bad."""
        settings: Settings | None = self._settings().get("settings")
        return settings

    def outputs(self) -> dict[str, list[str]]:
        """The files that were made of its picks: the digests of all that was written to each path.

        Version 0.1.0 kept no digests.
        """
        found = self._settings().get("outputs", {})
        return found if isinstance(found, dict) else {path: [] for path in found}

    @contextmanager
    def output(self, path: Path) -> Iterator[Path]:
        """Write a file of its picks to the path that this gives; its digest is recorded before it is at `path`."""
        with written_aside(path) as aside:
            yield aside
            outputs, key, digest = self.outputs(), str(path.absolute()), digest_of(aside)
            if digest not in outputs.get(key, ()):
                written = {**outputs, key: [*outputs.get(key, ()), digest]}
                self._write("settings.json", self._settings() | {"outputs": written})

    def refuse_changed(self, path: Path) -> None:
        """Raises `InputError` where a file is at `path` that is not as the session wrote it: a person's work."""
        written = self.outputs().get(str(path.absolute()))
        refuse_existing(path, overwrite=bool(written))
        if path.exists() and digest_of(path) not in (written or ()):
            raise InputError(
                f"{path} has changed since tomosoup wrote it, and would be replaced: move it away, choose another "
                "name, or replace it with `overwrite=True`.",
                code="changed",
            )

    def begin(self, settings: Settings) -> None:
        """From now on its picks are made with these settings; the records of others are dropped."""
        for path in self._ls(self.folder):
            if not path.endswith(".json") and fingerprint_of(settings) not in path:
                with self._errors():
                    self.fs.rm(path, recursive=True)
        self._write("settings.json", {"settings": settings})

    def records(self, fingerprint: str, runs: Collection[str] | None = None) -> Mapping[str, Mapping[str, Any]]:
        """What was recorded of the runs that are done, sorted; `picks` in it has the number of each species.

        Of some `runs`, or of all. A file that holds no such record is void: its run is not done.
        """
        found = self._contents(fingerprint, runs)
        return {run: record for run, record in found.items() if _counts(record.get("picks"))}

    def runs(self, fingerprint: str) -> list[str]:
        """The runs that are done."""
        return list(self.records(fingerprint))

    def record(self, run: str, fingerprint: str, content: Mapping[str, Any]) -> None:
        """The run is done: call it when its picks are in place. `content` has their number by species, as `picks`."""
        self._write(f"{fingerprint}/{run}.json", content)
        self._drop(f"{fingerprint}-failed/{run}.json")

    def forget(self, runs: Sequence[str], fingerprint: str) -> None:
        """The runs are to be picked anew."""
        for run in runs:
            self._drop(f"{fingerprint}/{run}.json")

    def record_failure(self, run: str, fingerprint: str, content: Mapping[str, Any]) -> None:
        """The run could not be picked, and why."""
        self._write(f"{fingerprint}-failed/{run}.json", content)

    def failures(self, fingerprint: str) -> Mapping[str, Mapping[str, Any]]:
        """What could not be picked, by run, and why."""
        return self._contents(f"{fingerprint}-failed")

    def sum_up(self, fingerprint: str, runs: Collection[str]) -> str:
        """Write the failures of these runs into one file, or remove it where there are none; returns its path.

        Failures of others are dropped: `runs` are all of the project.
        """
        failures = self.failures(fingerprint)
        for run in failures.keys() - set(runs):
            self._drop(f"{fingerprint}-failed/{run}.json")
        if left := {run: failure for run, failure in failures.items() if run in runs}:
            self._write("failures.json", left)
        else:
            self._drop("failures.json")
        return f"{self.folder}/failures.json"

    def _settings(self) -> dict[str, Any]:
        try:
            stored = json.loads(self._text("settings.json"))
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{self.folder}/settings.json cannot be read as JSON ({first_line(error)}): remove it to pick anew."
            ) from error
        if stored is None:
            return {}
        whole = isinstance(stored, dict) and isinstance(stored.get("settings"), dict)
        outputs = stored.get("outputs", []) if whole else None
        if not (_texts(outputs) or (isinstance(outputs, dict) and all(map(_texts, outputs.values())))):
            raise InputError(f"{self.folder}/settings.json holds no settings: remove the file to pick anew.")
        settings: dict[str, Any] = stored
        return settings

    def _contents(self, folder: str, runs: Collection[str] | None = None) -> dict[str, dict[str, Any]]:
        """The JSON objects in a folder by the names of their files, those of `runs` or all, sorted; {} for others."""
        found = (path.rpartition("/")[2] for path in self._ls(f"{self.folder}/{folder}"))
        names = sorted(name for name in found if name.endswith(".json") and name[0] != ".")
        if runs is not None:
            names = [name for name in names if name.removesuffix(".json") in runs]
        with ThreadPoolExecutor(READERS) as pool:
            texts = list(pool.map(self._text, [f"{folder}/{name}" for name in names]))
        return {name.removesuffix(".json"): _object(text) for name, text in zip(names, texts, strict=True)}

    def _ls(self, folder: str) -> list[str]:
        with self._errors(), suppress(FileNotFoundError):
            self.fs.invalidate_cache()  # other processes write here
            return [str(path) for path in self.fs.ls(folder, detail=False)]
        return []

    def _text(self, name: str) -> bytes:
        """What a file holds; the JSON of None where there is none."""
        with self._errors(), suppress(FileNotFoundError):
            text: bytes = self.fs.cat_file(f"{self.folder}/{name}")
            return text
        return b"null"

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        with self._errors():
            write_whole(self.fs, f"{self.folder}/{name}", json.dumps(content, indent=1))

    def _drop(self, name: str) -> None:
        with self._errors(), suppress(FileNotFoundError):
            self.fs.rm_file(f"{self.folder}/{name}")

    def _errors(self) -> StorageErrors:
        return StorageErrors(f"The folder of records {self.folder}")


def _texts(value: object) -> bool:
    """Whether it is a list of texts."""
    return isinstance(value, list) and all(isinstance(entry, str) for entry in value)


def _object(text: bytes) -> dict[str, Any]:
    """The JSON object of a text; {} where it is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _counts(value: object) -> bool:
    """Whether these are numbers of picks by species."""
    return isinstance(value, dict) and all(type(number) is int and number >= 0 for number in value.values())
