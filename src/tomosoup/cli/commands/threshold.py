"""`tomosoup threshold`."""

from __future__ import annotations

from collections import Counter

from tomosoup.cli.commands.pick import chosen_thresholds
from tomosoup.cli.options.threshold import ThresholdCommand
from tomosoup.cli.terminal import Outcome, progress_bars, say
from tomosoup.core.errors import counted
from tomosoup.core.files import refuse_existing
from tomosoup.core.thresholds import apply_thresholds
from tomosoup.data.formats.tables.picks_csv import write_csv
from tomosoup.data.pick_store.beside import project_with_picks
from tomosoup.data.pick_store.reading import read_candidates
from tomosoup.data.pick_store.store import with_thresholds
from tomosoup.data.project import open_project


def threshold_command(options: ThresholdCommand) -> Outcome:
    """Apply thresholds to what an earlier `pick` found."""
    if options.output:
        refuse_existing(options.output, overwrite=options.overwrite)
    project = project_with_picks(open_project(options.project))
    thresholds = chosen_thresholds(options, project).over({}, [s.name for s in project.species])
    with progress_bars() as progress:
        candidates = read_candidates(project, options.session, progress=progress)
        picks = {run: apply_thresholds(found, thresholds) for run, found in candidates.items()}
        had_maps = with_thresholds(
            project, options.session, thresholds, picks, overwrite=options.overwrite, progress=progress
        )
    if had_maps:
        say(
            "The template check had dropped some of the session's picks; it was not repeated for these. To repeat it, "
            "run `tomosoup pick` with --threshold and --templates.folder into another --session."
        )
    if options.output:
        write_csv(options.output, picks)
    counts = Counter({s.name: sum(len(found.get(s.name, ())) for found in picks.values()) for s in project.species})
    places = [*([str(options.output)] if options.output else []), f"copick {project.path}, session {options.session}"]
    return Outcome(
        f"{counted(counts.total(), 'pick')} in {counted(len(picks), 'run')} pass and replace those of the session; "
        f"in {', '.join(places)}",
        files=[options.output] if options.output else [],
        facts={"runs": len(picks), "picks": dict(counts), "session": f"tomosoup/{options.session}"},
    )
