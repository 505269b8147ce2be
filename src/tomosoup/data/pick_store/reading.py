"""Picks read back, for scoring, thresholds, pages and other programs: from a CSV file or a project."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tomosoup.core.errors import InputError, shortened
from tomosoup.core.files import is_table
from tomosoup.core.progress import Progress, no_progress, tracked
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.core.types import PicksByRun, PicksBySpecies, Species
from tomosoup.data.formats.tables.picks_csv import read_csv
from tomosoup.data.formats.tables.species_csv import read_species
from tomosoup.data.pick_store.distances import with_distances
from tomosoup.data.pick_store.pick_set import OWN_USER, PickSet
from tomosoup.data.pick_store.records import Session, fingerprint_of
from tomosoup.data.project import CopickProject, Project, open_project
from tomosoup.data.truth import read_truth

Source = Path | Project
"""Where picks are: a CSV file, or a project that is open."""


def open_source(path: str | Path | Project) -> Source:
    """A CSV file stays a path, any other path is opened as a project. Raises `InputError` where there is none."""
    return Path(path) if isinstance(path, str | Path) and is_table(path) else open_project(path)


def species_listed(source: Source) -> tuple[Species, ...] | None:
    """The species that a project lists; None for a CSV file, which lists none."""
    return None if isinstance(source, Path) else source.species


def read_picks(
    source: str | Path | Project, picks_set: str | None = None, *, progress: Progress = no_progress
) -> PicksByRun:
    """Picks by run and species, in Å (z, y, x). Runs without picks are left out.

    Args:
        source: A CSV file (experiment, particle_type, x, y, z and, if known, score), or a project: open, or its path.
        picks_set: USER/SESSION of a project's picks; by default the only set that tomosoup made.
        progress: Called as runs are read.

    Raises `InputError` where the project holds no such picks, or several sets could be meant.
    """
    source = open_source(source)
    if isinstance(source, Path):
        return read_csv(source)
    wanted = None if picks_set is None else PickSet.of(picks_set)
    found = {}
    for run in tracked(progress, "Reading picks", source.runs):
        sets = source.pick_sets(run)
        keys = [key for key in sets if (key == wanted if wanted else key.own and not key.holds_candidates)]
        if len(keys) > 1:
            raise InputError(
                f"Run {run} has the picks {shortened([str(key) for key in keys])}: choose one with "
                "`picks_set=USER/SESSION`."
            )
        if keys:
            found[run] = sets[keys[0]]()
    if not found:
        raise InputError(
            f"{source.path} holds no picks {wanted or 'by tomosoup'}: run `tomosoup pick`, or name another set with "
            "`picks_set=USER/SESSION`."
        )
    return found


def read_true_picks(
    source: str | Path | Project, picks_set: str | None = None, *, progress: Progress = no_progress
) -> PicksByRun:
    """True picks by run and species, of a CSV file or a project. Runs without any picks are left out.

    `picks_set` is USER/SESSION; by default each run's only set that tomosoup did not make.
    """
    source = open_source(source)
    if isinstance(source, Path):
        return read_csv(source)
    annotated = [
        run
        for run in tracked(progress, "Looking for true picks", source.runs)
        if any(str(key) == picks_set if picks_set else key.is_truth for key in source.pick_sets(run))
    ]
    if not annotated:
        raise InputError(
            f"{source.path} holds no true picks{f' {picks_set}' if picks_set else ''}: name another truth."
        )
    return {run: read_truth(source, run, picks_set) for run in tracked(progress, "Reading true picks", annotated)}


def read_candidates(
    project: Project, session: str, *, runs: Sequence[str] | None = None, progress: Progress = no_progress
) -> Mapping[str, PicksBySpecies]:
    """All picks above the floor that an earlier `pick` left in a project, with distances to a mask, if it had one.

    Those of some `runs`, or of all. Raises `InputError` where there are none.
    """
    key = PickSet(OWN_USER, session).candidates
    wanted = tracked(progress, "Reading candidates", project.runs if runs is None else runs)
    found = {run: sets[key]() for run in wanted if key in (sets := project.pick_sets(run))}
    if not found:
        raise InputError(f"{project.path} holds no candidates {key}: run `tomosoup pick` on it first.")
    records = Session.of(project.root, session) if isinstance(project, CopickProject) else None
    settings = records and records.settings()
    known = records.records(fingerprint_of(settings), runs) if records and settings else {}
    return {run: with_distances(picks, picks, known.get(run, {})) for run, picks in found.items()}


def species_for(
    names: Iterable[str], *known: tuple[Species, ...] | None, table: Path | None = None
) -> tuple[Species, ...]:
    """The species of a table, or of the first of `known` that is there, or the contest's; they must cover `names`."""
    species = read_species(table) if table else next((k for k in known if k), CONTEST_SPECIES)
    if strangers := sorted(set(names) - {s.name for s in species}):
        raise InputError(
            f"The radius of {', '.join(strangers)} is not known (known: {', '.join(s.name for s in species)}): "
            "give a CSV file with the columns name,radius,weight as `species`."
        )
    return species
