"""`tomosoup merge`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tomosoup.cli.options.merge import MergeCommand
from tomosoup.cli.tables import merged_table
from tomosoup.cli.terminal import Outcome, progress_bars, say
from tomosoup.core.aliases import called_as
from tomosoup.core.errors import InputError, counted, shortened
from tomosoup.core.progress import Progress
from tomosoup.core.thresholds import Thresholds
from tomosoup.core.types import Picks, PicksByRun
from tomosoup.data.copick.masks.region import regions_of
from tomosoup.data.formats.geometry.voxels import grids_of
from tomosoup.data.formats.tables.picks_csv import write_csv
from tomosoup.data.options import FrameOptions
from tomosoup.data.pick_store.reading import open_source, read_picks, species_for, species_listed
from tomosoup.data.project import Project, open_project
from tomosoup.scoring.merging import MergedByRun, counts_by_sets, merge_picks


def merge_command(options: MergeCommand) -> Outcome:
    """Merge sets of picks and print who found what."""
    places = [str(Path(word).resolve()) if Path(word).exists() else word for word in options.picks]
    if twice := [word for word, place in zip(options.picks, places, strict=True) if places.count(place) > 1]:
        raise InputError(f"{twice[0]} is named twice: name each set of picks once.")
    with progress_bars() as progress:
        sets, project = read_sets(options.picks, options.data.runs, progress=progress)
    listed = species_listed(project) if project else None
    names = {name for found in sets.values() for those in found.values() for name in those}
    if options.distance:
        distances = dict.fromkeys(names, options.distance)
    else:
        distances = {s.name: s.radius for s in species_for(names, listed, table=options.species)}
    say_strangers(sets)
    if project and (unknown := sorted({run for found in sets.values() for run in found} - set(project.runs))):
        say(f"{project.path} has no run {shortened(unknown)}: these picks are only in the sets that have it.")
    merged = merge_picks(list(sets.values()), distances, at_least=options.at_least)
    least = Thresholds.read(options.threshold).over(dict.fromkeys(names, -math.inf), sorted(names))
    merged = {
        run: {name: one.where(one.picks.score >= least[name]) for name, one in those.items()}
        for run, those in merged.items()
    }
    merged = in_regions(merged, open_project(options.project) if options.project else project, options)
    picks = {run: {name: one.picks for name, one in those.items()} for run, those in merged.items()}

    def found_by(run: str, species: str, _: Picks) -> list[str]:
        return [";".join(s for s, has in zip(sets, row, strict=True) if has) for row in merged[run][species].found_by]

    write_csv(options.output, picks, notes=[("found_by", found_by)])
    by_run = {run: sum(map(len, those.values())) for run, those in picks.items()}
    total, runs = sum(by_run.values()), counted(sum(n > 0 for n in by_run.values()), "run")
    counts = counts_by_sets(merged, list(sets))
    return Outcome(
        f"{options.output}: {counted(total, 'particle')} in {runs}, from {counted(len(sets), 'set')} of picks",
        files=[options.output],
        facts={"particles": total, "found_by": [{"sets": list(who), "particles": n} for who, n in counts.items()]},
        tables=[merged_table(counts, list(sets))],
    )


def read_sets(
    words: Sequence[str], runs: Sequence[str], *, progress: Progress
) -> tuple[dict[str, PicksByRun], Project | None]:
    """The sets by what the user called them, and the first project, whose names of species all sets then use.

    With `runs`, their picks alone. Raises `InputError` for a run that no set has.
    """
    sets: dict[str, PicksByRun] = {}
    project: Project | None = None
    for word in words:
        path, _, picks_set = (word, "", "") if Path(word).exists() else word.rpartition(":")
        source = open_source(path or word)
        project = project or (None if isinstance(source, Path) else source)
        sets[word] = read_picks(source, picks_set or None, progress=progress)
    there = sorted({run for found in sets.values() for run in found})
    if unknown := sorted(set(runs) - set(there)):
        raise InputError(f"None of the sets has picks of run {', '.join(unknown)}: they have {shortened(there)}.")
    listed = project.species if project else ()
    return {
        word: {run: called_as(listed, of) if listed else of for run, of in found.items() if run in (runs or there)}
        for word, found in sets.items()
    }, project


def in_regions(merged: MergedByRun, project: Project | None, options: MergeCommand) -> MergedByRun:
    """The particles in the region of each run's mask, with their distances to its surface; all without a mask."""
    if not options.region.mask:
        return merged
    runs = [run for run, those in merged.items() if any(len(one.picks) for one in those.values())]
    grids = grids_of(project, runs, FrameOptions(data=options.data), {})
    found: MergedByRun = {}
    for run, region in regions_of(options.region, runs, grids, project, first_voxel=options.data.first_voxel):
        kept = {name: one.where(region.holds(one.picks.zyx)) for name, one in merged[run].items()}
        measured = region.with_distances({name: one.picks for name, one in kept.items()})
        found[run] = {name: replace(one, picks=measured[name]) for name, one in kept.items()}
    before, after = (sum(len(one.picks) for those in of.values() for one in those.values()) for of in (merged, found))
    say(f"{after} of {counted(before, 'particle')} are where the mask allows them; the others are left out.")
    return found


def say_strangers(sets: dict[str, PicksByRun]) -> None:
    """Name sets that share no run with any other, as nothing of them can be found twice."""
    for word, found in sets.items():
        others = {run for other, runs in sets.items() if other != word for run in runs}
        if not others & set(found):
            say(
                f"{word} has no run of the other sets (it has {shortened(list(found))}, they have "
                f"{shortened(sorted(others))}): if its runs have other names, `tomosoup import` with --name maps them."
            )
