"""Picks written: to a CSV table, to the contest's submission, or into a copick project."""

from __future__ import annotations

from pathlib import Path

from tomosoup.core.errors import InputError, shortened
from tomosoup.core.files import is_table, refuse_existing
from tomosoup.core.types import PicksByRun
from tomosoup.data.copick import files as copick_files
from tomosoup.data.copick.names import copick_name, valid_name
from tomosoup.data.copick.roots import run_of
from tomosoup.data.formats.tables.picks_csv import write_csv
from tomosoup.data.pick_store.pick_set import PickSet
from tomosoup.data.project import CopickProject, Project, open_project


def write_picks(
    picks: PicksByRun,
    output: str | Path | Project,
    *,
    user: str | None = None,
    session: str = "0",
    scores: bool = True,
    overwrite: bool = False,
) -> None:
    """Write picks to a CSV table or into a copick project.

    Args:
        picks: By run and species, in Å (z, y, x).
        output: A CSV file (experiment, particle_type, x, y, z, score), or a copick project, open or its path.
        user: copick's user of the picks; a project needs one.
        session: copick's session of the picks.
        scores: False writes a CSV file as the contest's submission: with a column id, without scores.
        overwrite: Replace the file, or the project's picks of the same user and session.

    Raises `InputError`, before anything is written, where the file or the picks exist, or the project cannot hold them.
    """
    if isinstance(output, str | Path) and is_table(output):
        refuse_existing(Path(output), overwrite=overwrite)
        write_csv(Path(output), picks, scores=scores)
    else:
        _write_into(
            open_project(output),
            picks,
            user,
            session,
            overwrite=overwrite,
        )


def _write_into(project: Project, picks: PicksByRun, user: str | None, session: str, *, overwrite: bool) -> None:
    if not isinstance(project, CopickProject):
        raise InputError(f"{project.path} is not a copick project: give one, or a CSV file, as `output`.")
    if not user:
        raise InputError("Writing picks into a copick project needs a user name: add `user=NAME`.")
    key = PickSet(valid_name(user, what="User"), valid_name(session, what="Session"))
    runs, listed = project.runs, [s.name for s in project.species]
    names = sorted({name for species in picks.values() for name in species})
    for what, asked, there in (("run", list(picks), runs), ("particle", names, listed)):
        if unknown := [name for name in asked if name not in there]:
            advice = "say how runs are called with `name`" if what == "run" else _how_to_list(unknown[0], there)
            raise InputError(
                f"{project.path} has no {what} {shortened(unknown)} (it has {shortened(there) or 'none'}): {advice}."
            )
    held = [run for run in picks if key in project.pick_sets(run)]
    if held and not overwrite:
        raise InputError(
            f"Run {shortened(held)} has picks {key} already: choose another `user` or `session`, or replace them with "
            "`overwrite=True`."
        )
    for run, species in picks.items():
        copick_files.write_picks(run_of(project.root, run), species, key)


def _how_to_list(name: str, listed: list[str]) -> str:
    """What to do with a species that a copick project does not list."""
    kept = copick_name(name)
    if kept in listed:
        return f"call it {kept}"
    return f"add it to its pickable objects{'' if kept == name else f', as {kept}, which copick can keep'}"
