"""Where found picks go, and picks read back for scoring."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tomosoup.errors import InputError
from tomosoup.io import copick_files
from tomosoup.io.new_project import picks_project
from tomosoup.io.project import CopickProject, Project, open_project
from tomosoup.io.selection import OWN_USER, read_truth, shortened
from tomosoup.io.tables import PicksByRun, read_csv
from tomosoup.recipes.species import CONTEST_SPECIES
from tomosoup.types import Picks, PicksBySpecies, Species

CANDIDATES = "-candidates"
"""Ends the name of the session that holds all picks above the floor, for other thresholds later."""


@dataclass(frozen=True)
class PickStore:
    """The copick project that picks are written to, under one session."""

    config: Path
    session: str
    make: Callable[[], Any]
    """Opens the project, and makes it first where it is of our own: not before there is something to write."""

    @cached_property
    def root(self) -> Any:
        """The copick root."""
        return self.make()

    def write(self, run: str, candidates: PicksBySpecies, picks: PicksBySpecies) -> None:
        """Everything above the floor, and what passed the thresholds."""
        target = self.root.get_run(run)
        copick_files.write_picks(target, candidates, user=OWN_USER, session=self.session + CANDIDATES)
        copick_files.write_picks(target, picks, user=OWN_USER, session=self.session)


def pick_store(
    project: Project,
    runs: Sequence[str],
    species: Sequence[Species],
    *,
    session: str,
    output: Path | None,
    overwrite: bool,
) -> PickStore:
    """The project itself where it is copick's; else a copick project of its own beside `output`.

    Raises `InputError` where picks of this session exist (unless `overwrite`), where the project does not list a
    species, and where there is no `output` to stand beside.
    """
    copick_files.valid_name(session, what="Session")
    if not isinstance(project, CopickProject):
        if output is None:
            raise InputError(f"{project.path} is not written to: say where the picks go with --output PICKS.csv.")
        folder = output.with_suffix(".copick")
        if any(folder.rglob("Picks/*.json")) and not overwrite:
            raise InputError(
                f"{folder} holds picks already: choose another --output, or replace them with --overwrite."
            )
        static = project.path if (project.path / "ExperimentRuns").is_dir() else project.path / "static"
        return PickStore(
            folder / "copick_config.json", session, lambda: picks_project(folder, species, runs, static=static)
        )
    listed = [s.name for s in project.species]
    if missing := [s.name for s in species if s.name not in listed]:
        raise InputError(
            f"The model finds {', '.join(missing)}, which {project.path} does not list as particles "
            f"({', '.join(listed)}): add them to its pickable objects."
        )
    taken = [run for run in runs if (OWN_USER, session) in project.pick_sets(run)]
    if taken and not overwrite:
        raise InputError(
            f"Run {shortened(taken)} has picks {OWN_USER}/{session} already: choose another --session, or replace them "
            "with --overwrite."
        )
    return PickStore(project.path, session, lambda: project.root)


def read_candidates(project: Project, session: str) -> dict[str, dict[str, Picks]]:
    """All picks above the floor that an earlier `pick` left in a project. Raises `InputError` where there are none."""
    key = (OWN_USER, session + CANDIDATES)
    found = {run: sets[key]() for run in project.runs if key in (sets := project.pick_sets(run))}
    if not found:
        raise InputError(f"{project.path} holds no candidates {'/'.join(key)}: run `tomosoup pick` on it first.")
    return found


def read_picks(path: Path, chosen: str | None) -> tuple[PicksByRun, tuple[Species, ...] | None]:
    """Found picks of a CSV file or a project, and the project's species. Runs without picks are left out."""
    if path.suffix == ".csv":
        return read_csv(path), None
    project = open_project(path)
    found = {}
    for run in project.runs:
        sets = project.pick_sets(run)
        keys = [
            key
            for key in sets
            if ("/".join(key) == chosen if chosen else key[0] == OWN_USER and not key[1].endswith(CANDIDATES))
        ]
        if len(keys) > 1:
            raise InputError(
                f"Run {run} has the picks {shortened(['/'.join(k) for k in keys])}: choose with --picks-set."
            )
        if keys:
            found[run] = sets[keys[0]]()
    if not found:
        raise InputError(
            f"{path} holds no picks {chosen or 'by tomosoup'}: name a set (USER/SESSION) with --picks-set."
        )
    return found, project.species


def read_true_picks(path: Path, chosen: str | None) -> tuple[PicksByRun, tuple[Species, ...] | None]:
    """True picks of a CSV file or a project, and the project's species. Runs without any picks are left out."""
    if path.suffix == ".csv":
        return read_csv(path), None
    project = open_project(path)
    annotated = [
        run
        for run in project.runs
        if any("/".join(key) == chosen if chosen else key[0] != OWN_USER for key in project.pick_sets(run))
    ]
    if not annotated:
        raise InputError(f"{path} holds no true picks{f' {chosen}' if chosen else ''}: name another truth.")
    return {run: read_truth(project, run, chosen) for run in annotated}, project.species


def species_for(
    names: Mapping[str, object], *known: tuple[Species, ...] | None, table: Path | None = None
) -> tuple[Species, ...]:
    """The species of a table, or of the first of `known` that is there, or the contest's; they must cover `names`."""
    species = copick_files.read_species(table) if table else next((k for k in known if k), CONTEST_SPECIES)
    if strangers := sorted(set(names) - {s.name for s in species}):
        raise InputError(
            f"The radius of {', '.join(strangers)} is not known (known: {', '.join(s.name for s in species)}): "
            "give a table name,radius,weight with --species."
        )
    return species
