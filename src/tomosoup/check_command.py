"""`tomosoup check`."""

from __future__ import annotations

import json

from tomosoup.recipes.check import CheckCommand
from tomosoup.terminal import print_findings, progress_bars, say


def check(options: CheckCommand) -> None:
    """Check a project; exit with 1 where there is an error."""
    from tomosoup.checks import check

    with progress_bars() as progress:
        report = check(options, progress=progress)
    if options.as_json:
        say(json.dumps(report.as_dict(), indent=2))
    else:
        print_findings(report)
    if report.failed:
        raise SystemExit(1)
