"""`tomosoup export` and `tomosoup import`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from tomosoup.cli.arguments.messages import as_options
from tomosoup.cli.options.exchange import ExportCommand, ImportCommand
from tomosoup.cli.terminal import Outcome
from tomosoup.core.config import Options
from tomosoup.core.errors import shortened
from tomosoup.core.files import is_table, refuse_existing
from tomosoup.core.thresholds import Thresholds
from tomosoup.data.formats.export_picks import export_picks
from tomosoup.data.formats.import_picks import import_picks
from tomosoup.data.formats.remarks import Remark, heard, remark, turned
from tomosoup.data.pick_store.writing import write_picks


def export_command(options: ExportCommand) -> Outcome:
    """Write picks for another program."""
    with heard() as remarks:
        files = export_picks(
            options.picks,
            options.output,
            options.format,
            picks_set=options.picks_set,
            species=options.species,
            thresholds=Thresholds.read(options.threshold),
            options=options,
            overwrite=options.overwrite,
        )
    return Outcome(
        f"{options.format}: {shortened([str(file) for file in files])}",
        files=files,
        facts={"format": options.format, **told(remarks, options)},
        note=lines_of(remarks, options),
    )


def told(remarks: Sequence[Remark], options: Options) -> dict[str, Any]:
    """Remarks for programs."""
    return {"remarks": [{"code": one.code, "text": as_options(one.text, type(options))} for one in remarks]}


def lines_of(remarks: Sequence[Remark], options: Options) -> str:
    """Remarks for people, a line each."""
    return "\n".join(as_options(one.text, type(options)) for one in remarks)


def import_command(options: ImportCommand) -> Outcome:
    """Read picks of another program."""
    to_table = is_table(options.output)
    if to_table:
        refuse_existing(options.output, overwrite=options.overwrite)
    frame = options
    if options.project is None and not to_table:
        frame = options.model_copy(update={"project": options.output})
    with heard() as remarks:
        picks = import_picks(
            options.files, options.format, species=options.species, pattern=options.pattern, options=frame
        )
        if to_table and any(turned(found) for species in picks.values() for found in species.values()):
            remark("left-out", "CSV files hold no orientations: to keep them, import into a copick project.")
    write_picks(picks, options.output, user=options.user, session=options.session, overwrite=options.overwrite)
    counts: Counter[str] = Counter()
    for species in picks.values():
        counts.update({name: len(found) for name, found in species.items()})
    where = str(options.output) if options.user is None else f"{options.output}, {options.user}/{options.session}"
    total = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    return Outcome(
        f"{where}: {len(picks)} {'run' if len(picks) == 1 else 'runs'}, {total}",
        files=[options.output],
        facts={"runs": len(picks), "picks": dict(counts), **told(remarks, options)},
        note=lines_of(remarks, options),
    )
