"""`tomosoup export` and `tomosoup import`."""

from __future__ import annotations

from collections import Counter

from tomosoup.arguments import read_thresholds
from tomosoup.recipes.formats import ExportCommand, ImportCommand
from tomosoup.terminal import Outcome


def export_picks(options: ExportCommand) -> Outcome:
    """Write picks for another program."""
    from tomosoup.exports import export_picks
    from tomosoup.io.selection import shortened

    files = export_picks(options, limits=lambda names: read_thresholds(options.threshold, names))
    return Outcome(
        f"{options.format}: {shortened([str(file) for file in files])}", files=files, facts={"format": options.format}
    )


def import_picks(options: ImportCommand) -> Outcome:
    """Read picks of another program."""
    from tomosoup.imports import import_picks

    picks = import_picks(options)
    counts: Counter[str] = Counter()
    for species in picks.values():
        counts.update({name: len(found) for name, found in species.items()})
    where = str(options.output) if options.user is None else f"{options.output}, {options.user}/{options.session}"
    total = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    return Outcome(
        f"{where}: {len(picks)} {'run' if len(picks) == 1 else 'runs'}, {total}",
        files=[options.output],
        facts={"runs": len(picks), "picks": dict(counts)},
    )
