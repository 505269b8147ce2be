"""`tomosoup simulate`."""

from __future__ import annotations

from tomosoup.cli.options.commands import SimulateCommand
from tomosoup.cli.terminal import Outcome, Stopped, progress_bars
from tomosoup.core.errors import shortened
from tomosoup.simulation.project import simulate_project


def simulate_command(options: SimulateCommand) -> Outcome:
    """Simulate a project."""
    try:
        with progress_bars() as progress:
            runs = simulate_project(options, progress=progress)
    except KeyboardInterrupt:
        raise Stopped("Simulating stopped; the same command goes on after the last finished run.") from None
    return Outcome(
        f"{options.out}: {len(runs)} runs with known particles: {shortened(runs, most=4)}",
        files=[options.out / "copick_config.json"],
        facts={"runs": runs},
    )
