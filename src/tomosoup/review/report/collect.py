"""What a report holds: picks against truth, small tomograms, learning curves, and how the picks were made."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tomosoup.core.errors import InputError
from tomosoup.core.progress import Progress, no_progress, tracked
from tomosoup.core.thresholds import Thresholds
from tomosoup.core.types import NO_PICKS, PicksByRun, Species
from tomosoup.data.copick.masks.region import region_of
from tomosoup.data.options import AnnotatedData, DataOptions, RegionOptions
from tomosoup.data.pick_store.store import MAX_FDR
from tomosoup.data.project import Project, open_project, where_species_are_listed
from tomosoup.data.tomogram import chosen_runs, select_tomogram
from tomosoup.inference.jobs.probabilities import calibrations_in
from tomosoup.review.report.learning_curves import Learning, learning_curves
from tomosoup.review.report.records import Record, Records, about_models, about_picks
from tomosoup.review.report.slice_atlas import Atlas, atlas
from tomosoup.review.report.sources import FIRST_SESSION, PickSource, read_known_truth
from tomosoup.scoring.calibration import Calibration
from tomosoup.scoring.matched_picks import MatchedPicks
from tomosoup.scoring.matching import MATCH_RADII


@dataclass(frozen=True)
class ReportOptions:
    """What a report shows."""

    picks_set: str | None = None
    """USER/SESSION of picks in place of a session's candidates: another program's, for example."""
    thresholds: Thresholds = field(default_factory=Thresholds)
    """Scores at which the page opens, in place of the session's own."""
    models: tuple[Path, ...] = ()
    """Checkpoints whose learning curves are shown, from the folder of their training (.training)."""
    volumes: int = 4
    """Number of runs whose tomogram is shown, the first by name; the others are in the numbers alone."""
    voxels: int = 12_000_000
    """Voxels of all tomograms in the page together: they are binned until they fit."""
    mask: str | None = None
    """Mask that is outlined, in place of the one that the picks were searched in."""


@dataclass(frozen=True)
class RunReport:
    """One run."""

    name: str
    scored: bool
    """Whether its true particles are known."""
    matched: Mapping[str, MatchedPicks]
    """By species."""
    volume: Atlas | None
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    """By species: how likely a pick of some score is a particle. Empty where it is not known."""
    remark: str = ""
    """What could not be shown of it."""


@dataclass(frozen=True)
class Report:
    """All that the page shows."""

    title: str
    source: PickSource
    species: tuple[Species, ...]
    """Those that were picked or are true in any of the runs."""
    numbers: tuple[int, ...]
    """The index of each in the project's list, which chooses its colour."""
    thresholds: Mapping[str, float]
    """Scores at which the page opens; -inf passes all."""
    runs: tuple[RunReport, ...]
    learning: tuple[Learning, ...] = ()
    records: tuple[Record, ...] = ()


def collect(
    project: str | Path | Project,
    *,
    picks: str | Path | None = None,
    session: str = FIRST_SESSION,
    data: AnnotatedData = AnnotatedData(),  # noqa: B008 - immutable
    options: ReportOptions = ReportOptions(),
    progress: Progress = no_progress,
) -> Report:
    """Read what a report shows; the arguments are those of `report`.

    Raises `InputError` where there are no picks and no model is named, where picks or truth name species that the
    project does not list, and where it is not clear which tomogram or which truth is meant.
    """
    path = Path(project) if isinstance(project, str | Path) else project.path
    project = open_project(path) if isinstance(project, str | Path) else project
    if picks is None:
        source = PickSource.of(project, path, session=session, pick_set=options.picks_set)
    else:
        source = PickSource(Path(picks), session, options.picks_set)
    records = Records.of(source.session())
    settings = records.settings
    found = _picks(source, project, only_training=bool(options.models) and picks is None and session == FIRST_SESSION)
    runs = chosen_runs(project, data)
    truths = read_known_truth(project, runs, data.truth, options.picks_set)
    known = [run for run in runs if run in found or (not found and run in truths)]
    if not known:
        raise InputError(f"None of the chosen runs of {path} has picks: choose others as `runs`.")
    matched = _matched(project, known, found, truths)
    shown = {name for run in matched.values() for name, m in run.items() if len(m.score) or len(m.truth)}
    species = {number: s for number, s in enumerate(project.species) if s.name in shown}
    return Report(
        title=path.stem if path.is_file() else path.absolute().name,
        source=source,
        species=tuple(species.values()),
        numbers=tuple(species),
        thresholds=options.thresholds.over(
            lowest_scores(source.kept(project)) if MAX_FDR in settings else settings.get("thresholds", {}),
            [s.name for s in project.species],
        ),
        runs=tuple(
            RunReport(run, run in truths, matched[run], volume, calibrations_in(records.runs.get(run, {})), remark)
            for run, volume, remark in _volumes(project, known, data, records, options, progress)
        ),
        learning=tuple(curves for model in options.models if (curves := learning_curves(model))),
        records=(*about_models(options.models, records), *about_picks(source.name, records, known)),
    )


def lowest_scores(picks: PicksByRun) -> dict[str, float]:
    """The lowest score of each species, where every tomogram had a threshold of its own."""
    lowest: dict[str, float] = {}
    for found in picks.values():
        for name, those in found.items():
            if len(those):
                lowest[name] = min(lowest.get(name, math.inf), float(those.score.min()))
    return lowest


def _picks(source: PickSource, project: Project, *, only_training: bool) -> PicksByRun:
    """The picks; none where there are none and `only_training` may be shown."""
    try:
        return source.read(project)
    except InputError:
        if not (only_training and source.is_session):
            raise
        return {}


def _matched(
    project: Project, runs: Sequence[str], found: PicksByRun, truths: PicksByRun
) -> dict[str, dict[str, MatchedPicks]]:
    """The picks of each run and species against its truth. Raises `InputError` where they name other species."""
    named = {name for run in runs for picks in (found, truths) for name in picks.get(run, {})}
    if unlisted := sorted(named - {s.name for s in project.species}):
        listed = ", ".join(s.name for s in project.species)
        raise InputError(
            f"The picks or the true picks name {', '.join(unlisted)}, which the project does not list ({listed}): "
            f"add them to {where_species_are_listed(project)}, or leave them out."
        )
    matched: dict[str, dict[str, MatchedPicks]] = {}
    for run in runs:
        matched[run] = {}
        for s in project.species:
            picks, truth = (source.get(run, {}).get(s.name, NO_PICKS) for source in (found, truths))
            matched[run][s.name] = MatchedPicks.of(picks, truth, distance=MATCH_RADII * s.radius)
    return matched


def _volumes(
    project: Project,
    runs: Sequence[str],
    given: AnnotatedData,
    records: Records,
    options: ReportOptions,
    progress: Progress,
) -> Iterator[tuple[str, Atlas | None, str]]:
    """Each run with its tomogram: the one that was picked, unless another is `given`. Few runs have one.

    And a remark on it. Raises `InputError` for a mask of the `options` that cannot be read; one that only the records
    name may be gone by now.
    """
    chosen = given.model_dump(exclude={"truth", "runs"}, exclude_defaults=True)
    data = DataOptions.of({**records.settings.get("tomograms", {}), **chosen}, source="The records of the session")
    searched = RegionOptions.of({"mask": options.mask}, source="The report") if options.mask else records.region
    viewed = runs[: options.volumes]
    for run in tracked(progress, "Reading tomograms", viewed):
        tomogram, region, remark = select_tomogram(project, run, data), None, ""
        try:
            region = region_of(searched, run, tomogram.grid, project)
        except InputError as error:
            if options.mask:
                raise
            remark = f"The mask that these picks were searched in is not outlined. {error}"
        yield run, atlas(tomogram, voxels=max(1, options.voxels // len(viewed)), region=region), remark
    yield from ((run, None, "") for run in runs[options.volumes :])
