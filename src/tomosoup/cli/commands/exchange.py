"""`tomosoup export` and `tomosoup import`."""

from __future__ import annotations

from collections import Counter

from tomosoup.cli.options.exchange import ExportCommand, ImportCommand
from tomosoup.cli.parse import read_thresholds
from tomosoup.cli.terminal import Outcome
from tomosoup.core.errors import shortened
from tomosoup.data.formats.export_picks import export_picks
from tomosoup.data.formats.import_picks import import_picks


def export_command(options: ExportCommand) -> Outcome:
    """Write picks for another program."""
    files = export_picks(options, limits=lambda names: read_thresholds(options.threshold, names))
    return Outcome(
        f"{options.format}: {shortened([str(file) for file in files])}", files=files, facts={"format": options.format}
    )


def import_command(options: ImportCommand) -> Outcome:
    """Read picks of another program."""
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
