"""`tomosoup check`."""

from __future__ import annotations

from tomosoup.cli.options.check import CheckCommand
from tomosoup.cli.tables import findings_table, measured_line
from tomosoup.cli.terminal import Outcome, progress_bars
from tomosoup.review.check.check_project import check


def check_command(options: CheckCommand) -> Outcome:
    """Check a project; an error among the findings makes it fail."""
    with progress_bars() as progress:
        report = check(options, progress=progress)
    counts = {kind: sum(f.severity == kind for f in report.findings) for kind in ("error", "warning", "note")}
    measured = measured_line(report.measured)
    told = ", ".join(f"{n} {kind}{'s' * (n > 1)}" for kind, n in counts.items() if n)
    return Outcome(
        f"{options.project}: {told or 'nothing to complain of'}",
        facts=report.as_dict(),
        tables=[*([findings_table(report.findings)] if report.findings else []), *([measured] if measured else [])],
        failed="The project has faults that spoil picks or scores: mend them first." if report.failed else "",
    )
