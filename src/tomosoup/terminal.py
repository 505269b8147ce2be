"""What the commands show: lines, tables, bars. Nothing else in the package prints."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # --help must not wait for torch
    from tomosoup.checks.findings import Report
    from tomosoup.evaluation import Score
    from tomosoup.tuning import Tuned
    from tomosoup.types import Progress


class Stopped(Exception):  # noqa: N818 - not an error
    """Ctrl-C, with what is left of the work as the message."""


def printable(text: str) -> str:
    """Text in which what would command a terminal is shown instead: names in it may come from files of strangers."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def shown(text: str) -> str:
    """`printable` text for rich, to which brackets are colours."""
    from rich.markup import escape

    return escape(printable(text))


def say(text: str) -> None:
    """To standard output."""
    sys.stdout.write(printable(text) + "\n")


def fail(text: str, code: int) -> None:
    """One sentence to standard error, and out."""
    sys.stderr.write(f"tomosoup: {printable(text)}\n")
    raise SystemExit(code)


def print_score(result: Score) -> None:
    """A row a species, then the weighted score."""
    from rich.console import Console
    from rich.table import Table

    table = Table("species", "weight", "F4", "hit", "false", "missed", title=shown(f"Scored: {', '.join(result.runs)}"))
    for column in table.columns[1:]:
        column.justify = "right"
    for name, m in result.species.items():
        table.add_row(shown(name), f"{result.weights[name]:g}", f"{m.f_beta():.4f}", str(m.tp), str(m.fp), str(m.fn))
    table.add_section()
    table.add_row("weighted", "", f"{result.weighted:.4f}", "", "", "")
    console = Console()
    console.print(table)
    if result.left_out:
        names = shown(", ".join(result.left_out))
        console.print(
            f"Left out, as they have no picks: {names}. Count them as missed with --runs all.",
            highlight=False,
        )


def print_tuned(tuned: Mapping[str, Tuned]) -> None:
    """A row a species: threshold and F4 with their intervals, particles; then what too few particles back."""
    from rich.console import Console
    from rich.table import Table

    table = Table("species", "particles", "threshold", "95 %", "F4", "95 %", title="Out-of-fold thresholds")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, t in tuned.items():
        threshold, f4 = ("{:.3f}-{:.3f}".format(*ends) for ends in (t.interval, t.f4_interval))
        table.add_row(shown(name), str(t.particles), f"{t.threshold:.3f}", threshold, f"{t.f4:.3f}", f4)
    console = Console()
    console.print(table)
    if few := ", ".join(f"{name} ({t.particles})" for name, t in tuned.items() if t.few):
        console.print(
            f"Few true particles behind {shown(few)}: these thresholds are little more than a guess; annotate "
            "more, or take the laxer ones of --softness 0.1.",
            highlight=False,
        )


def print_findings(report: Report) -> None:
    """A row a finding, the gravest first; then what was measured."""
    from rich.console import Console
    from rich.table import Table

    console, measured = Console(), report.measured
    if report.findings:
        table = Table("", "what", "finding", show_lines=True)
        colours = {"error": "red", "warning": "yellow", "note": "blue"}
        for f in report.findings:
            where = [f.species] if f.species else []
            where += [", ".join(f.runs[:2]) + (f" and {len(f.runs) - 2} more" if len(f.runs) > 2 else "")] * bool(
                f.runs
            )
            what = "\n".join([f.check, *where])
            table.add_row(f"[{colours[f.severity]}]{f.severity}[/]", shown(what), shown(f.text))
        console.print(table)
    if "particles" in measured:
        z, y, x = measured["shape"]
        text = f"{measured['runs']} runs of {z} x {y} x {x} voxels of {measured['voxel_size']:.4g} Å"
        text += f", {sum(measured['picks'].values())} true picks; particles are {measured['particles']}"
        if "offset_vox" in measured:
            away = ", ".join(
                f"{v:.2f} ± {measured['offset_error_vox'][a]:.2f}" for a, v in measured["offset_vox"].items()
            )
            text += f"; densities lie {away} voxels (z, y, x) from their picks"
        console.print(f"{text}.", highlight=False)
    counts = [
        (n, kind) for kind in ("error", "warning", "note") if (n := sum(f.severity == kind for f in report.findings))
    ]
    told = ", ".join(f"{n} {kind}{'s' * (n > 1)}" for n, kind in counts)
    console.print(told or "Nothing to complain of.", highlight=False)


def print_failures(failures: Mapping[str, str]) -> None:
    """A row a reason, with the runs that failed for it, on standard error."""
    from rich.console import Console
    from rich.table import Table

    by_reason: dict[str, list[str]] = {}
    for run, why in failures.items():
        by_reason.setdefault(why.replace(run, "..."), []).append(run)
    table = Table("not picked", "runs", "why", title="Failed")
    for runs in by_reason.values():
        names = ", ".join(runs[:3]) + (" ..." if len(runs) > 3 else "")
        table.add_row(shown(names), str(len(runs)), shown(failures[runs[0]]))
    Console(stderr=True).print(table)


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """A bar with the time left for each kind of work, on standard error.

    Ctrl-C is answered where progress is told, by `KeyboardInterrupt` there: thrown into the middle of a library's
    clean-up it can be swallowed. A second Ctrl-C does not wait.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    times = TimeElapsedColumn(), TimeRemainingColumn()
    columns = TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), *times
    tasks: dict[str, Any] = {}
    pressed: list[int] = []

    def on_interrupt(number: int, _: object) -> None:
        pressed.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    with Progress(*columns, console=Console(stderr=True)) as bars:

        def report(what: str, done: int, total: int) -> None:
            if pressed:
                raise KeyboardInterrupt
            key = what.partition(" (")[0]
            if key not in tasks:
                tasks[key] = bars.add_task(printable(what), total=total)
            bars.update(tasks[key], description=printable(what), completed=done, total=total)

        before = signal.signal(signal.SIGINT, on_interrupt)
        try:
            yield report
        finally:
            signal.signal(signal.SIGINT, before)
