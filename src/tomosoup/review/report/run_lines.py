"""A line for each run of a project: its picks, how many of them are expected to be false, a small picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tomosoup.core.errors import InputError
from tomosoup.core.progress import Progress, tracked
from tomosoup.data.options import DataOptions
from tomosoup.data.project import Project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.inference.jobs.probabilities import FALSE
from tomosoup.review.report.records import Records
from tomosoup.review.report.slice_atlas import thumbnail


@dataclass(frozen=True)
class RunLine:
    """One run of a project, picked or not."""

    name: str
    picks: Mapping[str, int] | None
    """The number of its picks by species; None where it is not picked."""
    false: Mapping[str, float] = field(default_factory=dict)
    """How many of them are expected to be false, for species whose probabilities are known."""
    error: str = ""
    """Why it could not be picked."""
    picture: bytes | None = None
    """Its central slices, small, as JPEG; None where they are not wanted or cannot be read."""
    page: str = ""
    """The address of its own page, as seen from the page of the project."""


def run_lines(
    project: Project,
    runs: Sequence[str],
    records: Records,
    counts: Mapping[str, Mapping[str, int]],
    data: DataOptions,
    *,
    pictures: bool,
    progress: Progress,
) -> Iterator[RunLine]:
    """The lines of the `runs`, in their order; `counts` are those of picks that no session of tomosoup made."""
    for run in tracked(progress, "Reading pictures", runs) if pictures else runs:
        record: Mapping[str, Any] = records.runs.get(run, {})
        picks = record.get("picks", counts.get(run))
        error = "" if picks is not None else str(records.failures.get(run, {}).get("error", ""))
        picture = _picture(project, run, data) if pictures else None
        yield RunLine(run, picks, record.get(FALSE, {}), error, picture)


def _picture(project: Project, run: str, data: DataOptions) -> bytes | None:
    """None where the tomogram cannot be read, as that of a run that could not be picked."""
    try:
        return thumbnail(select_tomogram(project, run, data))
    except InputError:
        return None
