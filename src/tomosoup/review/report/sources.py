"""Where the picks, the truth and the records of a report are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from tomosoup.core.aliases import called_as
from tomosoup.core.errors import InputError, shortened
from tomosoup.core.files import is_table
from tomosoup.core.types import PicksByRun
from tomosoup.data.options import AnnotatedData
from tomosoup.data.pick_store.beside import picks_projects
from tomosoup.data.pick_store.pick_set import OWN_USER, PickSet
from tomosoup.data.pick_store.reading import read_candidates, read_picks, read_true_picks
from tomosoup.data.pick_store.records import Session
from tomosoup.data.pick_store.store import MAX_FDR
from tomosoup.data.project import CopickProject, Project, open_project
from tomosoup.data.tomogram import chosen_runs
from tomosoup.data.truth import read_truths
from tomosoup.review.report.records import Records

FIRST_SESSION = "0"
"""The session that `tomosoup pick` writes unless another is named."""


@dataclass(frozen=True)
class PickSource:
    """A CSV file, a pick set of a project, or the candidates of a session."""

    path: Path
    """The CSV file, or the project that holds the picks."""
    name: str
    """The session."""
    pick_set: str | None = None
    """USER/SESSION of the picks, where they are not the session's candidates."""

    @classmethod
    def of(cls, project: Project, path: Path, *, session: str, pick_set: str | None) -> PickSource:
        """The picks in a project, given as `path`, or in the .copick folder beside it.

        Raises `InputError` where several folders could be meant.
        """
        if isinstance(project, CopickProject):
            return cls(path, session, pick_set)
        found = picks_projects(project)
        if len(found) > 1:
            names = shortened([str(folder) for folder in found])
            raise InputError(f"Picks of {path} are in several folders ({names}): name one as `picks`.")
        return cls(found[0] if found else path, session, pick_set)

    @property
    def is_session(self) -> bool:
        """Whether the picks are a session's candidates, whose thresholds can be changed."""
        return self.pick_set is None and not is_table(self.path)

    def kept(self, project: Project) -> PicksByRun:
        """Of a session, its picks in place of its candidates."""
        return replace(self, pick_set=f"{OWN_USER}/{self.name}").read(project)

    def session(self) -> Session | None:
        """The records of the session whose picks these are, if there are any."""
        if not self.is_session:
            return None
        source = open_project(self.path)
        return Session.of(source.root, self.name) if isinstance(source, CopickProject) else None

    def read(self, project: Project, runs: Sequence[str] | None = None) -> PicksByRun:
        """The picks by run, by the project's names of species: of a session those of some `runs`, or of all.

        Raises `InputError` where there are none.
        """
        if not self.is_session:
            found = read_picks(self.path, self.pick_set)
        else:
            holder = open_project(self.path)
            if not isinstance(holder, CopickProject):
                raise InputError(
                    f"No picks of {self.path} were found beside it or in the current folder: run `tomosoup pick` "
                    "first, or name their CSV file or .copick folder as `picks`."
                )
            found = read_candidates(holder, self.name, runs=runs)
        return {run: called_as(project.species, picks) for run, picks in found.items()}


@dataclass(frozen=True)
class Inputs:
    """What reports of a project are read from; the candidates of a session are read when runs are shown."""

    project: Project
    title: str
    source: PickSource
    records: Records
    runs: tuple[str, ...]
    """The chosen ones, picked or not."""
    found: PicksByRun | None
    """All picks; None for those of recorded runs, which can be many more than a page shows."""
    truths: PicksByRun
    data: AnnotatedData

    @classmethod
    def open(
        cls,
        project: str | Path | Project,
        *,
        picks: str | Path | None,
        session: str,
        pick_set: str | None,
        data: AnnotatedData,
        training: bool,
    ) -> Inputs:
        """The arguments are those of `report`; without picks, a `training` may be shown alone.

        Raises `InputError` where there is nothing to show, and where it is not clear which truth is meant.
        """
        path = Path(project) if isinstance(project, str | Path) else project.path
        project = open_project(path) if isinstance(project, str | Path) else project
        if picks is None:
            source = PickSource.of(project, path, session=session, pick_set=pick_set)
        else:
            source = PickSource(Path(picks), session, pick_set)
        records, runs, found = Records.of(source.session()), chosen_runs(project, data), None
        if not records.runs:
            try:
                found = source.read(project)
            except InputError:
                if not (training and picks is None and session == FIRST_SESSION and source.is_session):
                    raise
                found = {}
        truths = read_known_truth(project, runs, data.truth, pick_set)
        title = path.stem if path.is_file() else path.absolute().name
        return cls(project, title, source, records, tuple(runs), found, truths, data)

    @cached_property
    def thresholds(self) -> Mapping[str, float]:
        """Those of the session's picks, by the project's names of species; none of other picks.

        With a false-discovery rate, every tomogram has thresholds of its own: the lowest score of each species, and
        infinity for a species of which no pick was certain enough.
        """
        if MAX_FDR not in self.records.settings:
            written: Mapping[str, float] = self.records.settings.get("thresholds", {})
            return written
        lowest = {s.name: math.inf for s in self.project.species}
        for found in self.source.kept(self.project).values():
            for name, picks in found.items():
                lowest[name] = min(lowest.get(name, math.inf), float(picks.score.min(initial=math.inf)))
        return lowest

    def read(self, runs: Sequence[str]) -> PicksByRun:
        """The picks of some runs, of which there may be none."""
        return self.source.read(self.project, runs) if self.found is None else self.found

    @property
    def picked(self) -> list[str]:
        """The chosen runs that have picks; without any picks, those with true particles."""
        have = self.records.runs if self.found is None else self.found or self.truths
        return [run for run in self.runs if run in have]

    @property
    def candidates(self) -> dict[str, int]:
        """The number of picks of each run that can be shown, of any score."""
        if self.found is None:
            return self.records.candidates
        return {run: sum(map(len, picks.values())) for run, picks in self.found.items()}


def read_known_truth(project: Project, runs: Sequence[str], truth: str | None, pick_set: str | None) -> PicksByRun:
    """True picks by run, as far as they are known.

    Args:
        project: whose names of species are used.
        runs: whose true picks are wanted.
        truth: a CSV file, another project or USER/SESSION; without it, the only set that tomosoup did not make.
        pick_set: the USER/SESSION that is shown, whose user's sets are no truth.
    """
    if truth is not None and Path(truth).exists():
        truths = read_true_picks(Path(truth))
    elif truth is not None:
        truths = read_truths(project, AnnotatedData(truth=truth))
    else:
        shown = {OWN_USER, *([PickSet.of(pick_set).user] if pick_set else [])}
        annotated = [run for run in runs if any(key.user not in shown for key in project.pick_sets(run))]
        truths = read_truths(project, AnnotatedData(runs=tuple(annotated))) if annotated else {}
    return {run: called_as(project.species, picks) for run, picks in truths.items()}
