"""What the records of a session say about a report's picks: how they were made, where, and how likely they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tomosoup.data.options import RegionOptions
from tomosoup.data.pick_store.distances import DISTANCE
from tomosoup.data.pick_store.records import Session, Settings, fingerprint_of
from tomosoup.data.pick_store.store import MAX_FDR, THRESHOLD_REGION
from tomosoup.models.checkpoint import load

Record = tuple[str, Mapping[str, Any]]
"""A heading, and what was recorded, in JSON's types."""
LEFT_OUT = {"format", "calibration", "pick_calibration", "signal_levels", "species"}
"""Parts of a checkpoint's metadata that the page does not show."""
UNSHOWN = {"run", "digests", "mask", "pick_calibration", DISTANCE}
"""Parts of a run's record that the page does not show."""


@dataclass(frozen=True)
class Records:
    """The records of a session; empty for picks that no session of tomosoup made."""

    settings: Settings = field(default_factory=dict)
    runs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Of the runs that are done."""
    failures: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Of those that could not be picked."""

    @classmethod
    def of(cls, session: Session | None) -> Records:
        """The records of a session, read."""
        settings = session and session.settings()
        if not session or not settings:
            return cls()
        fingerprint = fingerprint_of(settings)
        return cls(settings, session.records(fingerprint), session.failures(fingerprint))

    @property
    def candidates(self) -> dict[str, int]:
        """The number of candidates of each run that is done; 0 in records of versions that did not count them."""
        return {run: sum(record.get("candidates", {}).values()) for run, record in self.runs.items()}

    @property
    def region(self) -> RegionOptions:
        """Where its picks are, the whole volume without a mask."""
        region = self.settings.get(THRESHOLD_REGION) or self.settings.get("region") or {}
        return RegionOptions.of(region, source="The records of the session")


def about_models(models: Sequence[Path], records: Records) -> Iterator[Record]:
    """Each checkpoint, and whether it is one of those that made the picks."""
    for path in models:
        model = load(path)
        metadata = {key: value for key, value in model.metadata().items() if key not in LEFT_OUT}
        known = records.settings.get("models")
        made = {} if known is None else {"made these picks": model.fingerprint() in known}
        yield f"Checkpoint {path.name}", made | metadata


def about_picks(name: str, records: Records, runs: Sequence[str]) -> Iterator[Record]:
    """What the session's picks were made with, and each run: its tomogram, engine, seconds, version."""
    settings = records.settings
    if settings:
        rate = {MAX_FDR: settings[MAX_FDR].get("rate")} if MAX_FDR in settings else {}
        yield f"Session {name}", {**settings, **rate}
    for run in runs:
        if record := records.runs.get(run):
            yield f"Run {run}", {key: value for key, value in record.items() if key not in UNSHOWN}
