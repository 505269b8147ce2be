"""Which picks of a project are true."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tomosoup.core.errors import InputError, counted, shortened
from tomosoup.core.files import is_table
from tomosoup.core.types import Picks
from tomosoup.data.formats.remarks import check_runs
from tomosoup.data.formats.tables.picks_csv import read_csv
from tomosoup.data.options import AnnotatedData
from tomosoup.data.project import MrcFolder, Project, open_project
from tomosoup.data.tomogram import chosen_runs, select_tomogram

CHOOSE = "`truth=CSV|USER/SESSION`"
"""How to choose picks, in messages."""


def read_truth(project: Project | str | Path, run: str, truth: str | None = None) -> dict[str, Picks]:
    """True picks of a run, by species.

    Args:
        project: Open, or its path.
        run: The run's name.
        truth: A CSV file, or USER/SESSION; by default the project's only set that tomosoup did not make.

    Raises `InputError` where the set is missing or more than one could be meant.
    """
    return read_truths(open_project(project), AnnotatedData(runs=(run,), truth=truth))[run]


def read_truths(project: Project, data: AnnotatedData) -> dict[str, dict[str, Picks]]:
    """True picks by run, for the runs that `data` names or, where it names none, for those that have any.

    Raises `InputError` where a named run has no true picks, no run has any, or a run has more sets than one.
    """
    chosen, source = chosen_runs(project, data), data.truth
    truths, wanted = truths_there(project, data), _wanted(source)
    missing = [run for run in chosen if run not in truths]
    if missing and (data.runs or not truths) and source is not None and Path(source).is_file():
        raise InputError(
            f"{source} has no picks of run {shortened(missing)}: leave the run out of `runs`, or add them."
        )
    if missing and data.runs:
        has = shortened(list(map(str, project.pick_sets(missing[0])))) or "none"
        raise InputError(
            f"Run {missing[0]}: expected one set of {wanted}, found 0 (it has {has}): choose one with {CHOOSE}."
        )
    if not truths:
        raise InputError(
            f"No run of {project.path} has {wanted} (looked at {shortened(chosen)}): choose others with {CHOOSE}."
        )
    return truths


def truths_there(project: Project, data: AnnotatedData) -> dict[str, dict[str, Picks]]:
    """True picks by run, for those of the runs that `data` means that have any.

    Raises `InputError` where a run has more sets than one.
    """
    chosen, source = chosen_runs(project, data), data.truth
    if source is not None and is_table(source) and not Path(source).exists():
        raise InputError(f"There is no file {source}: give another one as `truth`.")
    strange_runs(project, source)
    if source is not None and Path(source).is_file():
        table = read_csv(Path(source))
        return {run: table[run] for run in chosen if run in table}
    truths = {}
    for run in chosen:
        sets = project.pick_sets(run)
        keys = [key for key in sets if (key.is_truth if source is None else str(key) == source)]
        if len(keys) > 1:
            has = shortened(list(map(str, sets)))
            raise InputError(
                f"Run {run}: expected one set of {_wanted(source)}, found {len(keys)} (it has {has}): choose one with "
                f"{CHOOSE}."
            )
        if keys:
            truths[run] = sets[keys[0]]()
    return truths


def _wanted(source: str | None) -> str:
    """What was asked for, for messages. Picks that a user names need not be true."""
    return f"picks {source}" if source else "true picks"


def strange_runs(project: Project, truth: str | None) -> list[str]:
    """The runs of a table of true picks that the project does not have: of `truth`, or of a folder's picks.csv.

    Raises `InputError` where it has none of them.
    """
    if truth is not None and Path(truth).is_file():
        table, runs = truth, list(read_csv(Path(truth)))
    elif truth is None and isinstance(project, MrcFolder):
        table, runs = str(project.path / "picks.csv"), list(project.picks)
    else:
        return []
    do = "give runs the project's names in the table"
    return check_runs(runs, project.runs, source=table, project=str(project.path), do=do)


def remarks_on_truth(project: Project, data: AnnotatedData) -> Iterator[str]:
    """Sentences for users, before true picks are used: runs that the project lacks, picks outside their tomograms."""
    try:
        unknown, truths = strange_runs(project, data.truth), truths_there(project, data)
        grids = {run: select_tomogram(project, run, data).grid for run in truths}
    except InputError:
        return  # whoever uses them says so
    if unknown:
        yield f"The true picks also name runs that {project.path} does not have: {shortened(unknown)}."
    out = {run: sum(int((~grids[run].inside(p.zyx)).sum()) for p in of.values()) for run, of in truths.items()}
    if count := sum(out.values()):
        yield (
            f"{counted(count, 'true pick')} outside of their tomograms, in run "
            f"{shortened([run for run, n in out.items() if n], most=6)}: run `tomosoup check`."
        )
