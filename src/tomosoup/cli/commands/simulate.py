"""`tomosoup simulate`."""

from __future__ import annotations

from tomosoup.cli.options.simulate import SimulateCommand
from tomosoup.cli.terminal import Outcome, Stopped, progress_bars
from tomosoup.core.errors import counted, shortened
from tomosoup.simulation.project import LayoutFrom, simulate


def simulate_command(options: SimulateCommand) -> Outcome:
    """Simulate a project."""
    layout = LayoutFrom(options.layout_from, options.layout_runs) if options.layout_from else None
    try:
        with progress_bars() as progress:
            project = simulate(
                options.out,
                options.simulation,
                runs=layout or options.runs,
                seed=options.seed,
                jobs=options.jobs,
                contest=options.contest,
                overwrite=options.overwrite,
                progress=progress,
            )
    except KeyboardInterrupt:
        raise Stopped("Simulating stopped; the same command resumes after the last finished run.") from None
    runs = project.runs
    return Outcome(
        f"{options.out}: {counted(len(runs), 'run')} with known particles: {shortened(runs, most=4)}",
        files=[options.out / "copick_config.json"],
        facts={"runs": runs},
    )
