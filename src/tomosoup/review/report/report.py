"""The report page of a project, from its picks to the file."""

from __future__ import annotations

from pathlib import Path

from tomosoup.core.files import refuse_existing
from tomosoup.core.progress import Progress, no_progress
from tomosoup.data.options import AnnotatedData
from tomosoup.data.project import Project
from tomosoup.review.report.collect import ReportOptions, collect
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

    Raises `InputError` where `output` exists already, where there are no picks to show, and where it is not clear
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
    collected = collect(project, picks=picks, session=session, data=data, options=options, progress=progress)
    write_page(output, collected)
    return output
