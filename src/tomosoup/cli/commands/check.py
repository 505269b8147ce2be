"""`tomosoup check`."""

from __future__ import annotations

from dataclasses import replace

from tomosoup.cli.arguments.messages import as_options
from tomosoup.cli.options.check import CheckCommand
from tomosoup.cli.tables import findings_table, measurements_summary
from tomosoup.cli.terminal import Outcome, progress_bars
from tomosoup.core.errors import counted
from tomosoup.review.check.check_project import check
from tomosoup.review.check.findings import SEVERITIES


def check_command(options: CheckCommand) -> Outcome:
    """Check a project; an error among the findings makes it fail."""
    with progress_bars() as progress:
        found = check(options.project, model=options.model, data=options.data, progress=progress)
    findings = tuple(replace(f, text=as_options(f.text, CheckCommand)) for f in found.findings)
    result = replace(found, findings=findings)
    counts = {severity: sum(f.severity == severity for f in result.findings) for severity in SEVERITIES}
    summary = ", ".join(counted(n, severity) for severity, n in counts.items() if n)
    return Outcome(
        f"{options.project}: {summary or 'no problems found'}",
        facts=result.as_dict(),
        tables=[
            *([findings_table(result.findings)] if result.findings else []),
            *filter(None, [measurements_summary(result.measured)]),
        ],
        failed="The project has errors that spoil picks or scores: correct them first." if result.failed else "",
    )
