"""`tomosoup threshold`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from tomosoup.cli.commands.pick import chosen_thresholds
from tomosoup.cli.options.threshold import ThresholdCommand
from tomosoup.cli.tables import expected, too_uncertain
from tomosoup.cli.terminal import Outcome, progress_bars, say
from tomosoup.core.errors import InputError, counted
from tomosoup.core.files import refuse_existing
from tomosoup.core.thresholds import Limits, MaxFdr, apply_thresholds
from tomosoup.core.types import Picks, PicksByRun, PicksBySpecies
from tomosoup.data.copick.masks.region import regions_of
from tomosoup.data.formats.geometry.voxels import grids_of
from tomosoup.data.formats.tables.picks_csv import write_csv
from tomosoup.data.options import DataOptions, FrameOptions
from tomosoup.data.pick_store.beside import project_with_picks, project_with_tomograms
from tomosoup.data.pick_store.reading import read_candidates
from tomosoup.data.pick_store.records import Session, fingerprint_of
from tomosoup.data.pick_store.store import with_thresholds
from tomosoup.data.project import CopickProject, open_project
from tomosoup.inference.jobs.job import by_todays_names
from tomosoup.inference.jobs.probabilities import (
    calibrations_in,
    false_discovery_rates,
    probability_columns,
    recorded,
)
from tomosoup.scoring.calibration import Calibration, fdr_thresholds, refuse_unknown


def threshold_command(options: ThresholdCommand) -> Outcome:
    """Apply thresholds to what an earlier `pick` found."""
    if options.output:
        refuse_existing(options.output, overwrite=options.overwrite)
    project = project_with_picks(open_project(options.project))
    limits = MaxFdr(options.max_fdr) if options.max_fdr else thresholds_for(options, project)
    with progress_bars() as progress:
        candidates = read_candidates(project, options.session, progress=progress)
        known = {run: calibrations_in(record) for run, record in records_of(project, options.session).items()}
        inside = in_regions(candidates, project, options) if options.max_fdr else candidates
        passing = {run: limited(found, limits, known.get(run, {})) for run, found in inside.items()}
        picks = passing if options.max_fdr else in_regions(passing, project, options)
        facts = {run: recorded(known.get(run, {}), found) for run, found in picks.items()}
        had_maps = with_thresholds(
            project,
            options.session,
            limits,
            picks,
            region=options.region,
            facts=facts,
            overwrite=options.overwrite,
            progress=progress,
        )
    if had_maps:
        say(
            "The template check had dropped some of the session's picks; it was not repeated for these. To repeat it, "
            "run `tomosoup pick` with the same thresholds and --templates.folder into another --session."
        )
    numbers = {run: {name: len(those) for name, those in found.items()} for run, found in picks.items()}
    if options.output:
        write_csv(options.output, picks, notes=probability_columns(facts))
    counts = Counter({s.name: sum(len(found.get(s.name, ())) for found in picks.values()) for s in project.species})
    rates = false_discovery_rates({"picks": numbers[run], **facts[run]} for run in picks)
    by_species = ", ".join(f"{name} {n}{expected(rates.get(name))}" for name, n in counts.items())
    places = [*([str(options.output)] if options.output else []), f"copick {project.path}, session {options.session}"]
    return Outcome(
        f"{counted(counts.total(), 'pick')} in {counted(len(picks), 'run')} pass and replace those of the session"
        f"{': ' + by_species if rates else ''}; in {', '.join(places)}",
        note=too_uncertain(counts) if options.max_fdr else "",
        files=[options.output] if options.output else [],
        facts={
            "runs": len(picks),
            "picks": dict(counts),
            "false_discovery_rate": rates,
            "session": f"tomosoup/{options.session}",
        },
    )


def thresholds_for(options: ThresholdCommand, project: CopickProject) -> dict[str, float]:
    """The thresholds by species, as given or for averaging."""
    return chosen_thresholds(options, project).over({}, [s.name for s in project.species])


def records_of(project: CopickProject, session: str) -> Mapping[str, Mapping[str, Any]]:
    """The records of a session's runs; none for picks that no session of tomosoup made."""
    records = Session.of(project.root, session)
    settings = records.settings()
    return records.records(fingerprint_of(settings)) if settings else {}


def limited(candidates: PicksBySpecies, limits: Limits, calibrations: Mapping[str, Calibration]) -> dict[str, Picks]:
    """The candidates of a run within the limits. Raises `InputError` for a rate without calibrations."""
    if not isinstance(limits, MaxFdr):
        return apply_thresholds(candidates, limits)
    if not calibrations and any(map(len, candidates.values())):
        raise InputError(
            "The session has no probabilities, which `max_fdr` requires: give a `threshold`, or pick into another "
            "`session` with a model that has them."
        )
    refuse_unknown([name for name, found in candidates.items() if len(found)], calibrations)
    return apply_thresholds(candidates, fdr_thresholds(candidates, calibrations, limits.rate))


def in_regions(picks: PicksByRun, project: CopickProject, options: ThresholdCommand) -> PicksByRun:
    """The picks in the region of each run's mask, with their distances to its surface; all without a mask.

    `project` holds the picks. Raises `InputError` like `regions_of`, and where no pick is left.
    """
    if not options.region.mask:
        return picks
    tomograms = project_with_tomograms(project)
    settings = Session.of(project.root, options.session).settings()
    known = by_todays_names(settings).get("tomograms", {}) if settings else {}
    data = DataOptions.of(known, source=f"Session {options.session}")
    runs = [run for run, those in picks.items() if any(map(len, those.values()))]
    grids = grids_of(tomograms, runs, FrameOptions(data=data), {})
    found = dict(picks)
    for run, region in regions_of(options.region, runs, grids, tomograms, first_voxel=data.first_voxel):
        found[run] = region.with_distances(region.kept(picks[run]))
    before, after = (sum(map(len, picks_of(of))) for of in (picks, found))
    if before and not after:
        raise InputError(f"None of {counted(before, 'pick')} is where `mask` allows picks: choose another `mask`.")
    say(f"{after} of {counted(before, 'pick')} are where the mask allows them; the others are left out.")
    return found


def picks_of(runs: PicksByRun) -> list[Picks]:
    """The picks of all runs and species."""
    return [found for those in runs.values() for found in those.values()]
