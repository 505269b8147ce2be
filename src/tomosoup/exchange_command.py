"""`tomosoup export` and `tomosoup import`."""

from __future__ import annotations

from tomosoup.arguments import read_thresholds
from tomosoup.recipes.formats import ExportCommand, ImportCommand
from tomosoup.terminal import say


def export_picks(options: ExportCommand) -> None:
    """Write picks for another program."""
    from tomosoup.exports import export_picks
    from tomosoup.io.selection import shortened

    files = export_picks(options, limits=lambda names: read_thresholds(options.threshold, names))
    say(f"{options.format}: {shortened([str(file) for file in files])}")


def import_picks(options: ImportCommand) -> None:
    """Read picks of another program."""
    from tomosoup.imports import import_picks

    picks = import_picks(options)
    where = str(options.output) if options.user is None else f"{options.output}, {options.user}/{options.session}"
    counts: dict[str, int] = {}
    for species in picks.values():
        for name, those in species.items():
            counts[name] = counts.get(name, 0) + len(those)
    total = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    say(f"{where}: {len(picks)} {'run' if len(picks) == 1 else 'runs'}, {total}")
