"""The report page of a project, from its picks to the file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from tomosoup.core.errors import InputError
from tomosoup.core.files import refuse_existing
from tomosoup.core.progress import Progress, no_progress, tracked
from tomosoup.data.options import AnnotatedData
from tomosoup.data.project import Project
from tomosoup.review.report.collect import ReportOptions, gather, open_inputs
from tomosoup.review.report.page import write_page
from tomosoup.review.report.sources import FIRST_SESSION


def report(
    project: str | Path | Project,
    output: str | Path = "report.html",
    *,
    picks: str | Path | None = None,
    session: str = FIRST_SESSION,
    data: AnnotatedData = AnnotatedData(),  # noqa: B008 - immutable
    options: ReportOptions = ReportOptions(),  # noqa: B008 - immutable
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> Path:
    """Write one HTML page to look at picks and choose thresholds; it opens without a network. Returns its path.

    With `options.pages`, each run that has picks gets a page of its own, in the folder OUTPUT-runs. Raises `InputError`
    where `output` or this folder exists already, where there are no picks to show, and where it is not clear
    which tomogram or which truth is meant.

    Args:
        project: where the tomograms are: a copick configuration file, a folder in the contest's layout, a folder of
            MRC files, or a project that is open.
        output: the page (.html).
        picks: a CSV file, or the copick project that holds the picks; by default `project`, or the .copick folder
            beside it.
        session: of `tomosoup pick`, whose candidates are shown.
        data: which tomograms are shown, and which picks are true.
        options: what the page shows.
        overwrite: replace `output`.
        progress: called as tomograms are read.
    """
    output = Path(output)
    refuse_existing(output, overwrite=overwrite)
    folder = output.with_name(f"{output.stem}-runs")
    if options.pages and folder.exists() and not (overwrite and folder.is_dir()):
        raise InputError(
            f"{folder} exists already: choose another name for the page, or replace it with `overwrite=True`."
        )
    inputs = open_inputs(project, picks, session, data, options)
    collected = gather(inputs, options, progress=progress)
    if options.pages:
        lines = [
            replace(line, page=_address(folder, line.name)) if line.picks is not None else line
            for line in collected.lines
        ]
        for line in tracked(progress, "Writing pages", [line for line in lines if line.page]):
            one = gather(inputs, replace(options, volumes=min(1, options.volumes)), run=line.name)
            own = replace(one, title=f"{one.title}, {line.name}", home=f"../{quote(output.name)}")
            write_page(folder / f"{line.name}.html", own)
        collected = replace(collected, lines=tuple(lines))
    write_page(output, collected)
    return output


def _address(folder: Path, run: str) -> str:
    """The address of the page of a run, as seen from beside its folder."""
    return f"{quote(folder.name)}/{quote(run)}.html"
