"""What the commands show: lines, tables, bars, JSON. Nothing else in the package prints."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # --help must not wait for rich or pydantic
    from rich.console import RenderableType

    from tomosoup.cli.options.output import Voice
    from tomosoup.cli.progress_bars import Shown
    from tomosoup.core.progress import Progress


class Stopped(Exception):  # noqa: N818 - not an error
    """Ctrl-C, with what is left of the work as the message."""


@dataclass(frozen=True)
class Outcome:
    """What a command did, for people and for programs."""

    says: str
    """One line, with the path to look at."""
    files: Sequence[Path] = ()
    """What was written."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What `--json` tells besides the files and the seconds that it took."""
    tables: Sequence[RenderableType] = ()
    """What people see above the line."""
    note: str = ""
    """What users should know before they go on; shown below the line."""
    look: str = ""
    """The command that shows the result, below it."""
    failed: str = ""
    """A sentence, if something could not be done: the command then exits with 1."""
    facts_alone: bool = False
    """`--json` prints the facts as they are, which programs elsewhere rely on."""


_quiet = False
_as_typed: Callable[[str], str] = str
_waiting: list[Shown] = []


@contextmanager
def speaking(voice: Voice, as_typed: Callable[[str], str] = str) -> Iterator[None]:
    """Say as much as `voice` asks for; `as_typed` turns the arguments in messages of the library into options.

    With `as_json` of the voice, whatever is printed meanwhile goes to standard error.
    """
    global _quiet, _as_typed
    before = _quiet, _as_typed
    _quiet, _as_typed = voice.quiet, as_typed
    try:
        if voice.as_json:
            with redirect_stdout(sys.stderr):
                yield
        else:
            yield
    finally:
        _quiet, _as_typed = before
        _stop_waiting()


def printable(text: str) -> str:
    """Text in which what would command a terminal is shown instead: names in it may come from files of strangers."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def shown(text: str) -> str:
    """`printable` text for rich, to which brackets are colours."""
    from rich.markup import escape

    return escape(printable(text))


def say(text: str) -> None:
    """Talk to standard output, unless it is to be quiet."""
    _stop_waiting()
    if not _quiet:
        sys.stdout.write(printable(_as_typed(text)) + "\n")


def show_error(table: RenderableType) -> None:
    """What went wrong, as a table on standard error."""
    from rich.console import Console

    _stop_waiting()
    Console(stderr=True).print(table, highlight=False)


def fail(text: str, code: int) -> None:
    """One sentence to standard error, and out."""
    sys.stderr.write(f"tomosoup: {printable(text)}\n")
    raise SystemExit(code)


def show_json(facts: Mapping[str, Any]) -> None:
    """One JSON object on standard output."""
    sys.stdout.write(json.dumps(facts, indent=2, default=str) + "\n")


def conclude(outcome: Outcome | None, voice: Voice, **about: object) -> None:
    """Show what a command did: tables and a line, or JSON; then exit with 1 if it failed. None shows nothing."""
    if outcome is None:
        return
    if voice.as_json:
        rest = {"files": [str(path) for path in outcome.files], **about}
        facts = {**outcome.facts, **({} if outcome.facts_alone else rest)}
        show_json({**facts, **({"error": {"code": "failed", "text": outcome.failed}} if outcome.failed else {})})
    else:
        if outcome.tables:
            from rich.console import Console

            console = Console()
            for table in outcome.tables:
                console.print(table, highlight=False)
        sys.stdout.write(printable(outcome.says) + "\n")
        if outcome.note and not voice.quiet:
            sys.stdout.write(printable(outcome.note) + "\n")
        if outcome.look and not voice.quiet:
            sys.stdout.write(f"To look at it: {printable(outcome.look)}\n")
    if outcome.failed:
        fail(outcome.failed, 1)


def wait(what: str) -> None:
    """Show on a terminal that something goes on, and for how long, until the next word, bar or end."""
    from rich.console import Console

    from tomosoup.cli.progress_bars import spinner

    console = Console(stderr=True)
    alone = os.environ.get("LOCAL_RANK", "0") == "0"  # of processes that train side by side
    if alone and not (_waiting or _quiet) and console.is_terminal and not console.is_dumb_terminal:
        _waiting.append(spinner(console, printable(what)))


def _stop_waiting() -> None:
    while _waiting:
        _waiting.pop().stop()


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """A bar with the time left for each kind of work, on standard error; a line now and then where that is a file.

    Ctrl-C is answered where progress is told, by `KeyboardInterrupt` there: thrown into the middle of a library's
    clean-up it can be swallowed. A second Ctrl-C does not wait.
    """
    from rich.console import Console

    from tomosoup.cli.progress_bars import Bars, Lines, Nothing

    console = Console(stderr=True)
    drawn = console.is_terminal and not console.is_dumb_terminal
    shows: Shown = Nothing() if _quiet else Bars(console, _stop_waiting) if drawn else Lines(_note)
    pressed: list[int] = []

    def on_interrupt(number: int, _: object) -> None:
        pressed.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def report(what: str, done: int, total: int) -> None:
        if pressed:
            raise KeyboardInterrupt
        shows.report(printable(what), done, total)

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield report
    finally:
        signal.signal(signal.SIGINT, before)
        shows.stop()
        wait("Finishing")


def _note(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def stopwatch() -> Callable[[], float]:
    """Seconds since now, to a tenth."""
    start = time.monotonic()
    return lambda: round(time.monotonic() - start, 1)
