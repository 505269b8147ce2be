"""How far work has come: bars on a terminal, a line now and then in a file."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

PATIENCE = 0.5
"""Seconds before the first bar: what is over by then needs none."""
LINE_EVERY = 30.0
"""Seconds from one line in a file to the next."""


class Shown(Protocol):
    """What shows progress."""

    def report(self, what: str, done: int, total: int) -> None:
        """Work advanced; what is in brackets at the end of `what` may change."""

    def stop(self) -> None:
        """There is no more."""


class Nothing:
    """Shows nothing."""

    def report(self, what: str, done: int, total: int) -> None:
        """Nothing."""

    def stop(self) -> None:
        """Nothing."""


class Bars:
    """A bar for each kind of work, with the time that it took and the time left; `begin` is called before the first."""

    def __init__(self, console: Console, begin: Callable[[], None]) -> None:
        times = TimeElapsedColumn(), TimeRemainingColumn()
        columns = TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), *times
        self.bars, self.begin = Progress(*columns, console=console), begin
        self.tasks: dict[str, TaskID] = {}
        self.begun = time.monotonic()

    def report(self, what: str, done: int, total: int) -> None:
        """Move a bar, or begin one."""
        key = _kind(what)
        if key not in self.tasks:
            if time.monotonic() - self.begun < PATIENCE:
                return
            if not self.tasks:
                self.begin()
                self.bars.start()
            self.tasks[key] = self.bars.add_task(what, total=total)
        self.bars.update(self.tasks[key], description=what, completed=done, total=total)

    def stop(self) -> None:
        """Leave the bars as they are."""
        self.bars.stop()


class Lines:
    """A line every `LINE_EVERY` seconds for what goes on: how much is done, and about how long the rest takes."""

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self.write, self.clock = write, clock
        self.begun: dict[str, tuple[float, int]] = {}
        self.last = clock()

    def report(self, what: str, done: int, total: int) -> None:
        """Write a line if it is time for one."""
        now = self.clock()
        begun, before = self.begun.get(_kind(what), (now, done))
        if done <= before:  # it begins, or begins anew
            begun, before = self.begun[_kind(what)] = now, done
        if now - self.last < LINE_EVERY or not total:
            return
        self.last = now
        rest = ""
        if done > before:  # what an earlier command did tells nothing
            left = timedelta(seconds=round((now - begun) * (total - done) / (done - before)))
            rest = f", about {left} left"
        self.write(f"{what}: {done} of {total} ({100 * done // total} %){rest}")

    def stop(self) -> None:
        """Nothing: the command's last line says the rest."""


def spinner(console: Console, what: str) -> Shown:
    """Something that turns, with the time since it began; gone once it is stopped."""
    bars = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    bars.add_task(what, total=None)
    bars.start()
    return _Spinner(bars)


class _Spinner(Nothing):
    def __init__(self, bars: Progress) -> None:
        self.bars = bars

    def stop(self) -> None:
        """Be gone."""
        self.bars.stop()


def _kind(what: str) -> str:
    return what.partition(" (")[0]
