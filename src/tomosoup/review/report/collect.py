"""What a report holds: picks against truth, small tomograms, learning curves, and how the picks were made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tomosoup.cli.options.report import ReportCommand
from tomosoup.core.aliases import called_as
from tomosoup.core.errors import InputError
from tomosoup.core.progress import Progress, no_progress
from tomosoup.core.types import NO_PICKS, PicksByRun, Species
from tomosoup.data.options import AnnotatedData, DataOptions
from tomosoup.data.pick_store.pick_set import OWN_USER
from tomosoup.data.pick_store.reading import read_candidates, read_picks, read_true_picks
from tomosoup.data.pick_store.records import Session, Settings, fingerprint_of
from tomosoup.data.project import CopickProject, Project, open_project
from tomosoup.data.tomogram import chosen_runs, select_tomogram
from tomosoup.data.truth import read_truths
from tomosoup.models.checkpoint import load
from tomosoup.review.report.learning_curves import Learning, learning_curves
from tomosoup.review.report.slice_atlas import Atlas, atlas
from tomosoup.scoring.matched_picks import MatchedPicks
from tomosoup.scoring.matching import MATCH_RADII

Record = tuple[str, Mapping[str, Any]]
"""A heading, and what was recorded, in JSON's types."""


@dataclass(frozen=True)
class RunReport:
    """One run."""

    name: str
    scored: bool
    """Whether its true particles are known."""
    hits: Mapping[str, MatchedPicks]
    volume: Atlas | None


@dataclass(frozen=True)
class Report:
    """All that the page shows."""

    title: str
    options: ReportCommand
    species: tuple[Species, ...]
    """Those that were picked or are true in any of the runs."""
    numbers: tuple[int, ...]
    """The place of each in the project's list, which chooses its colour."""
    thresholds: Mapping[str, float]
    """At which the page opens; -inf passes all."""
    runs: tuple[RunReport, ...]
    learning: tuple[Learning, ...]
    records: tuple[Record, ...]


def gather(
    options: ReportCommand,
    *,
    limits: Callable[[Sequence[str]], Mapping[str, float]] = lambda _: {},
    progress: Progress = no_progress,
) -> Report:
    """Read what the options name; `limits` gives thresholds for the names of the species.

    Raises `InputError` where there are no picks and no model is named, where picks or truth name species that the
    project does not list, and where it is not clear which tomogram or which truth is meant.
    """
    project = open_project(options.project)
    session = _session(options, project)
    settings = (session and session.settings()) or {}
    found = _picks(options, project)
    truths = _truth(options, project, chosen_runs(project, options.data))
    known = [run for run in chosen_runs(project, options.data) if run in found or (not found and run in truths)]
    if not known:
        raise InputError(f"None of the chosen runs of {options.project} has picks: choose others with --runs.")
    listed = project.species
    by_run = {
        run: {s.name: _hits(s, run, found, truths) for s in _named(listed, found.get(run, {}), truths.get(run, {}))}
        for run in known
    }
    shown = {name for run in by_run.values() for name, h in run.items() if len(h.score) or len(h.truth)}
    species = {number: s for number, s in enumerate(listed) if s.name in shown}
    return Report(
        title=options.project.stem if options.project.is_file() else options.project.absolute().name,
        options=options,
        species=tuple(species.values()),
        numbers=tuple(species),
        thresholds={**settings.get("thresholds", {}), **limits([s.name for s in listed])},
        runs=tuple(
            RunReport(run, run in truths, by_run[run], volume)
            for run, volume in _volumes(options, project, settings, known, progress)
        ),
        learning=tuple(curves for path in options.model if (curves := learning_curves(path))),
        records=(*_about_models(options, settings), *_about_picks(options, session, known)),
    )


def _picks(options: ReportCommand, project: Project) -> PicksByRun:
    """The candidates; none where only a training is to be shown."""
    path = options.picks or options.project
    if options.picks_set or path.suffix == ".csv":
        found = read_picks(path, options.picks_set)
    else:
        try:
            found = read_candidates(open_project(path), options.session)
        except InputError:
            if not options.model or options.picks or options.session != ReportCommand.model_fields["session"].default:
                raise
            return {}
    return {run: called_as(project.species, picks) for run, picks in found.items()}


def _truth(options: ReportCommand, project: Project, runs: Sequence[str]) -> PicksByRun:
    """True picks by run, as far as they are known."""
    source = options.data.truth
    if source is not None and Path(source).exists():
        truths = read_true_picks(Path(source))
    elif source is not None:
        truths = read_truths(project, AnnotatedData(truth=source))
    else:
        mine = {OWN_USER, (options.picks_set or "").partition("/")[0]}
        annotated = [run for run in runs if any(user not in mine for user, _ in project.pick_sets(run))]
        truths = read_truths(project, AnnotatedData(runs=tuple(annotated))) if annotated else {}
    return {run: called_as(project.species, truth) for run, truth in truths.items()}


def _named(species: Sequence[Species], *picks: Mapping[str, Any]) -> Sequence[Species]:
    """`species`; raises `InputError` where the picks name others."""
    if strangers := sorted({name for found in picks for name in found} - {s.name for s in species}):
        raise InputError(
            f"The picks or the truth name {', '.join(strangers)}, which the project does not list as particles "
            f"({', '.join(s.name for s in species)}): add them with their radii."
        )
    return species


def _hits(kind: Species, run: str, found: PicksByRun, truths: PicksByRun) -> MatchedPicks:
    candidates, truth = (picks.get(run, {}).get(kind.name, NO_PICKS) for picks in (found, truths))
    return MatchedPicks.of(candidates, truth, distance=MATCH_RADII * kind.radius)


def _session(options: ReportCommand, project: Project) -> Session | None:
    """The records of the session whose picks are shown."""
    if options.picks_set or (options.picks and options.picks.suffix == ".csv"):
        return None
    source = open_project(options.picks) if options.picks else project
    return Session.of(source.root, options.session) if isinstance(source, CopickProject) else None


def _volumes(
    options: ReportCommand, project: Project, settings: Settings, runs: Sequence[str], progress: Progress
) -> Iterator[tuple[str, Atlas | None]]:
    """Each run with its tomogram: the one that was picked, unless the options say otherwise. Few runs have one."""
    said = options.data.model_dump(exclude={"truth", "runs"}, exclude_defaults=True)
    data = DataOptions.of({**settings.get("tomograms", {}), **said}, source="The records of the session")
    viewed = runs[: options.volumes]
    for i, run in enumerate(viewed):
        progress("Reading tomograms", i, len(viewed))
        yield run, atlas(select_tomogram(project, run, data), voxels=max(1, options.voxels // len(viewed)))
    progress("Reading tomograms", len(viewed), len(viewed))
    yield from ((run, None) for run in runs[options.volumes :])


def _about_models(options: ReportCommand, settings: Settings) -> Iterator[Record]:
    """Each checkpoint, and whether it is one of those that made the picks."""
    for path in options.model:
        model = load(path)
        about = {
            key: value
            for key, value in model.about().items()
            if key not in {"format", "calibration", "loudness", "species"}
        }
        made = {"made these picks": model.fingerprint() in settings["models"]} if "models" in settings else {}
        yield f"Checkpoint {path.name}", made | about


def _about_picks(options: ReportCommand, session: Session | None, runs: Sequence[str]) -> Iterator[Record]:
    """What the session's picks were made with, and each run: its tomogram, engine, seconds, version."""
    settings = session and session.settings()
    if session and settings:
        yield f"Session {options.session}", settings
        for run in runs:
            if about := session.about(run, fingerprint_of(settings)):
                yield f"Run {run}", {key: value for key, value in about.items() if key != "run"}
