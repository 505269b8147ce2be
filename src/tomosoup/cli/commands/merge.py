"""`tomosoup merge`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tomosoup.cli.options.merge import MergeCommand
from tomosoup.cli.tables import merged_table
from tomosoup.cli.terminal import Outcome, progress_bars, say
from tomosoup.core.aliases import called_as
from tomosoup.core.errors import InputError, counted, shortened
from tomosoup.core.progress import Progress
from tomosoup.core.types import Picks, PicksByRun, Species
from tomosoup.data.formats.tables.picks_csv import write_csv
from tomosoup.data.pick_store.reading import open_source, read_picks, species_for, species_listed
from tomosoup.scoring.merging import counts_by_sets, merge_picks


def merge_command(options: MergeCommand) -> Outcome:
    """Merge sets of picks and print who found what."""
    if twice := [word for word, n in Counter(options.picks).items() if n > 1]:
        raise InputError(f"{twice[0]} is named twice: name each set of picks once.")
    with progress_bars() as progress:
        sets, listed = read_sets(options.picks, progress=progress)
    names = {name for found in sets.values() for those in found.values() for name in those}
    if options.distance:
        distances = dict.fromkeys(names, options.distance)
    else:
        distances = {s.name: s.radius for s in species_for(names, listed, table=options.species)}
    say_strangers(sets)
    merged = merge_picks(list(sets.values()), distances, at_least=options.at_least)
    picks = {run: {name: one.picks for name, one in those.items()} for run, those in merged.items()}

    def found_by(run: str, species: str, _: Picks) -> list[str]:
        return [";".join(s for s, has in zip(sets, row, strict=True) if has) for row in merged[run][species].found_by]

    write_csv(options.output, picks, notes=("found_by", found_by))
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
    words: tuple[str, ...], *, progress: Progress
) -> tuple[dict[str, PicksByRun], tuple[Species, ...] | None]:
    """The sets by what the user called them, and the species of the first project, whose names all sets then use."""
    sets: dict[str, PicksByRun] = {}
    listed = None
    for word in words:
        path, _, picks_set = (word, "", "") if Path(word).exists() else word.rpartition(":")
        source = open_source(path or word)
        listed = listed or species_listed(source)
        sets[word] = read_picks(source, picks_set or None, progress=progress)
    if listed:
        sets = {word: {run: called_as(listed, those) for run, those in found.items()} for word, found in sets.items()}
    return sets, listed


def say_strangers(sets: dict[str, PicksByRun]) -> None:
    """Name sets that share no run with any other, as nothing of them can be found twice."""
    for word, found in sets.items():
        others = {run for other, runs in sets.items() if other != word for run in runs}
        if not others & set(found):
            say(
                f"{word} has no run of the other sets (it has {shortened(list(found))}, they have "
                f"{shortened(sorted(others))}): if its runs have other names, `tomosoup import` with --name maps them."
            )
