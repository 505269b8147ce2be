"""Where the picks, the truth and the records of a report are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from tomosoup.data.project import CopickProject, Project, open_project
from tomosoup.data.truth import read_truths

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

    def read(self, project: Project) -> PicksByRun:
        """The picks by run, by the project's names of species. Raises `InputError` where there are none."""
        if not self.is_session:
            found = read_picks(self.path, self.pick_set)
        else:
            holder = open_project(self.path)
            if not isinstance(holder, CopickProject):
                raise InputError(
                    f"No picks of {self.path} were found beside it or in the current folder: run `tomosoup pick` "
                    "first, or name their CSV file or .copick folder as `picks`."
                )
            found = read_candidates(holder, self.name)
        return {run: called_as(project.species, picks) for run, picks in found.items()}


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
