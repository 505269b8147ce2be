"""`tomosoup report`, and the hint to it in other commands."""

from __future__ import annotations

import shlex
from pathlib import Path

from tomosoup.cli.arguments.command_line import command_line
from tomosoup.cli.options.report import ReportCommand
from tomosoup.cli.options.score import ScoreCommand
from tomosoup.cli.terminal import Outcome, progress_bars
from tomosoup.core.files import is_table
from tomosoup.core.thresholds import Thresholds
from tomosoup.data.options import AnnotatedData
from tomosoup.data.pick_store.pick_set import PickSet


def report_command(options: ReportCommand) -> Outcome:
    """Write the page."""
    return write_report(options, overwrite=options.overwrite)


def write_report(options: ReportCommand, *, overwrite: bool = True) -> Outcome:
    """Write the page, in place of one that is there already."""
    from tomosoup.review.report.collect import ReportOptions  # these take seconds, and a hint to the page needs neither
    from tomosoup.review.report.report import report

    shown = ReportOptions(
        options.picks_set,
        Thresholds.read(options.threshold),
        options.model,
        options.volumes,
        options.voxels,
        options.mask,
        options.pages,
    )
    with progress_bars() as progress:
        report(
            options.project,
            options.output,
            picks=options.picks,
            session=options.session,
            data=options.data,
            options=shown,
            overwrite=overwrite,
            progress=progress,
        )
    return Outcome(how_to_open(options.output), files=[options.output])


def how_to_open(page: Path) -> str:
    """What to do with a page."""
    return f"{page}: open it in a browser ({page.stat().st_size / 1e6:.1f} MB)"


def page_of_scored(options: ScoreCommand) -> str:
    """The command that shows what was scored, where one of the two is a project with tomograms; else nothing."""
    picks_are_table, truth_is_table = (is_table(path) for path in (options.picks, options.truth))
    if picks_are_table and truth_is_table:
        return ""
    elsewhere = not picks_are_table and options.truth != options.picks
    data = AnnotatedData(
        runs=() if options.runs == ("all",) else options.runs,
        truth=str(options.truth) if elsewhere else options.truth_set,
    )
    page = ReportCommand(
        project=options.truth if picks_are_table else options.picks, threshold=options.threshold, data=data
    )
    if picks_are_table:
        page = page.model_copy(update={"picks": options.picks})
    elif options.picks_set:
        scored = PickSet.of(options.picks_set)
        chosen = {"session": scored.passing.session} if scored.own else {"picks_set": options.picks_set}
        page = page.model_copy(update=chosen)
    return shlex.join(command_line(page))
