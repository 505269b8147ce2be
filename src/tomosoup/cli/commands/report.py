"""What `tomosoup report` does, and how other commands tell of it."""

from __future__ import annotations

import shlex

from tomosoup.cli.options.commands import ScoreCommand
from tomosoup.cli.options.report import ReportCommand
from tomosoup.cli.parse import read_thresholds
from tomosoup.cli.terminal import Outcome, progress_bars
from tomosoup.core.files import refuse_existing
from tomosoup.data.options import AnnotatedData
from tomosoup.data.pick_store.pick_set import CANDIDATES, OWN_USER
from tomosoup.review.report.collect import gather
from tomosoup.review.report.page import write_page


def report_command(options: ReportCommand) -> Outcome:
    """Write the page."""
    refuse_existing(options.output, overwrite=options.overwrite)
    return write_report(options)


def write_report(options: ReportCommand) -> Outcome:
    """Write the page, in the place of what is there."""
    with progress_bars() as progress:
        gathered = gather(options, limits=lambda names: read_thresholds(options.threshold, names), progress=progress)
        write_page(options.output, gathered)
    megabytes = options.output.stat().st_size / 1e6
    return Outcome(f"{options.output}: open it in a browser ({megabytes:.1f} MB)", files=[options.output])


def as_typed(options: ReportCommand) -> str:
    """The command that makes a page of these options."""
    words: list[object] = ["tomosoup", "report", options.project]
    for model, names in ((options, ("picks", "session", "picks_set", "threshold", "model")), (options.data, TOLD)):
        for name in names:
            value = getattr(model, name)
            if value != type(model).model_fields[name].default:
                words += [f"--{name.replace('_', '-')}", *(value if isinstance(value, tuple) else (value,))]
    return shlex.join(map(str, words))


TOLD = ("runs", "truth")
"""Options that say which data; the others are in a session's records."""


def page_of_scored(options: ScoreCommand) -> str:
    """The command that shows what was scored, where one of the two is a project with tomograms; else nothing."""
    picks_are_table, truth_is_table = (path.suffix == ".csv" for path in (options.picks, options.truth))
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
        user, _, session = options.picks_set.partition("/")
        own = {"session": session.removesuffix(CANDIDATES)}
        page = page.model_copy(update=own if user == OWN_USER else {"picks_set": options.picks_set})
    return as_typed(page)
