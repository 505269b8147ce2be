"""What a report holds: picks against truth, small tomograms, learning curves, and how the picks were made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tomosoup.core.errors import InputError
from tomosoup.core.progress import Progress, no_progress, tracked
from tomosoup.core.thresholds import Thresholds, apply_thresholds
from tomosoup.core.types import NO_PICKS, PicksByRun, PicksBySpecies, Species
from tomosoup.data.copick.masks.region import region_of
from tomosoup.data.options import AnnotatedData, DataOptions, RegionOptions
from tomosoup.data.project import Project, where_species_are_listed
from tomosoup.data.tomogram import select_tomogram
from tomosoup.inference.jobs.probabilities import calibrations_in
from tomosoup.review.report.learning_curves import Learning, learning_curves
from tomosoup.review.report.records import Record, about_models, about_picks
from tomosoup.review.report.run_lines import RunLine, run_lines
from tomosoup.review.report.slice_atlas import Atlas, atlas
from tomosoup.review.report.sources import FIRST_SESSION, Inputs, PickSource
from tomosoup.scoring.calibration import Calibration
from tomosoup.scoring.matched_picks import MatchedPicks
from tomosoup.scoring.matching import MATCH_RADII

CANDIDATES = 1_000_000
"""Most candidates on a page: with more, it opens too slowly."""


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
    pages: bool = False
    """Whether each run that is picked gets a page of its own, too."""


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
    """Those whose candidates are counted at every threshold."""
    lines: tuple[RunLine, ...] = ()
    """All runs of the project, picked or not; empty for one run."""
    home: str = ""
    """The address of the page of the project, as seen from the page of this run."""
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
    return gather(open_inputs(project, picks, session, data, options), options, progress=progress)


def open_inputs(
    project: str | Path | Project,
    picks: str | Path | None,
    session: str,
    data: AnnotatedData,
    options: ReportOptions,
) -> Inputs:
    """What a report is read from; the arguments are those of `report`. Raises `InputError` like `collect`."""
    training = bool(options.models)
    return Inputs.open(project, picks=picks, session=session, pick_set=options.picks_set, data=data, training=training)


def gather(
    inputs: Inputs, options: ReportOptions, *, run: str | None = None, progress: Progress = no_progress
) -> Report:
    """Read a report of all runs, or of one `run`. Raises `InputError` like `collect`."""
    project, records = inputs.project, inputs.records
    known = [run] if run else runs_in_detail(inputs.picked, inputs.candidates, inputs.truths)
    if not known:
        raise InputError(f"None of the chosen runs of {project.path} has picks: choose others as `runs`.")
    found = inputs.read(known)
    matched = _matched(project, known, found, inputs.truths)
    names = [s.name for s in project.species]
    thresholds = options.thresholds.over(inputs.thresholds, names)
    lines: tuple[RunLine, ...] = ()
    if run is None and len(inputs.runs) > 1:
        counts = {name: _counts(picks, thresholds) for name, picks in (inputs.found or {}).items()}
        data = _tomograms(inputs)
        pictures = options.volumes > 0
        lines = tuple(run_lines(project, inputs.runs, records, counts, data, pictures=pictures, progress=progress))
    shown = {name for line in lines for name, number in (line.picks or {}).items() if number}
    shown |= {name for of in matched.values() for name, m in of.items() if len(m.score) or len(m.truth)}
    species = {number: s for number, s in enumerate(project.species) if s.name in shown}
    return Report(
        title=inputs.title,
        source=inputs.source,
        species=tuple(species.values()),
        numbers=tuple(species),
        thresholds=thresholds,
        runs=tuple(
            RunReport(name, name in inputs.truths, matched[name], volume, calibrations, remark)
            for name, volume, remark in _volumes(inputs, known, options, progress, lenient=run is not None)
            for calibrations in [calibrations_in(records.runs.get(name, {}))]
        ),
        lines=lines,
        learning=tuple(curves for model in options.models if (curves := learning_curves(model))),
        records=(*about_models(options.models, records), *about_picks(inputs.source.name, records, known)),
    )


def runs_in_detail(runs: Sequence[str], candidates: Mapping[str, int], truths: PicksByRun) -> list[str]:
    """The runs whose candidates fit on the page together, those with true particles first, in their own order."""
    kept, total = set[str](), 0
    for run in sorted(runs, key=lambda run: run not in truths):
        total += candidates.get(run, 0)
        if kept and total > CANDIDATES:
            break
        kept.add(run)
    return [run for run in runs if run in kept]


def _counts(picks: PicksBySpecies, thresholds: Mapping[str, float]) -> dict[str, int]:
    return {name: len(found) for name, found in apply_thresholds(picks, thresholds).items()}


def _tomograms(inputs: Inputs) -> DataOptions:
    """The tomograms that were picked, unless others are given."""
    given = inputs.data.model_dump(exclude={"truth", "runs"}, exclude_defaults=True)
    picked = inputs.records.settings.get("tomograms", {})
    return DataOptions.of({**picked, **given}, source="The records of the session")


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
    inputs: Inputs, runs: Sequence[str], options: ReportOptions, progress: Progress, *, lenient: bool
) -> Iterator[tuple[str, Atlas | None, str]]:
    """Each run with its tomogram, of which there are few, and a remark on it.

    Raises `InputError` for a mask of the `options` that cannot be read; one that only the records name may be gone.
    The same for tomograms, unless `lenient`: then a remark says why there is none.
    """
    data = _tomograms(inputs)
    asked = {"mask": options.mask} if options.mask else {}
    searched = RegionOptions.of(asked, source="The report") if asked else inputs.records.region
    viewed = runs[: options.volumes]
    for run in tracked(progress, "Reading tomograms", viewed):
        try:
            tomogram = select_tomogram(inputs.project, run, data)
        except InputError as error:
            if not lenient:
                raise
            yield run, None, f"The tomogram is not shown. {error}"
            continue
        region, remark = None, ""
        try:
            region = region_of(searched, run, tomogram.grid, inputs.project)
        except InputError as error:
            if asked:
                raise
            remark = f"The mask that these picks were searched in is not outlined. {error}"
        yield run, atlas(tomogram, voxels=max(1, options.voxels // len(viewed)), region=region), remark
    yield from ((run, None, "") for run in runs[options.volumes :])
