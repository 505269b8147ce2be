"""Bars and lines: one for each kind of work, none for what is over at once, honest about the time left."""

import re
from io import StringIO

import pytest
from rich.console import Console

from tomosoup.cli import progress_bars
from tomosoup.cli.progress_bars import LINE_EVERY, Bars, Lines, Nothing, spinner


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def lines() -> tuple[Lines, Clock, list[str]]:
    clock, written = Clock(), list[str]()
    return Lines(written.append, clock), clock, written


def test_the_time_left_is_that_of_the_rest_at_the_pace_so_far() -> None:
    shown, clock, written = lines()
    shown.report("Picking", 0, 10)
    clock.now = 40
    shown.report("Picking", 4, 10)
    assert written == ["Picking: 4 of 10 (40 %), about 0:01:00 left"]


def test_a_line_comes_no_sooner_than_it_is_due() -> None:
    shown, clock, written = lines()
    for second in range(100):
        clock.now = float(second)
        shown.report("Picking", second, 100)
    assert len(written) == int(99 // LINE_EVERY)


def test_what_an_earlier_command_did_tells_nothing_of_the_pace() -> None:
    shown, clock, written = lines()
    shown.report("Picking", 90, 100)
    clock.now = 50
    shown.report("Picking", 95, 100)
    assert written[-1].endswith("about 0:00:50 left")


def test_work_that_begins_anew_is_timed_anew() -> None:
    shown, clock, written = lines()
    shown.report("Epoch", 0, 10)
    clock.now = 1000
    shown.report("Epoch", 0, 10)
    clock.now = 1040
    shown.report("Epoch", 5, 10)
    assert written[-1] == "Epoch: 5 of 10 (50 %), about 0:00:40 left"


def test_what_is_in_brackets_may_change_without_beginning_anew() -> None:
    shown, clock, written = lines()
    shown.report("Training (loss 0.9)", 0, 10)
    clock.now = 40
    shown.report("Training (loss 0.1)", 5, 10)
    assert written == ["Training (loss 0.1): 5 of 10 (50 %), about 0:00:40 left"]


def test_without_an_end_or_a_pace_nothing_is_promised() -> None:
    shown, clock, written = lines()
    clock.now = 40
    shown.report("Listing", 0, 0)
    assert written == []
    shown.report("Picking", 3, 10)
    assert written == ["Picking: 3 of 10 (30 %)"]


def console() -> Console:
    return Console(file=StringIO(), force_terminal=True, width=100)


def drawn(bars: Bars) -> str:
    bars.stop()
    file = bars.bars.console.file
    assert isinstance(file, StringIO)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.getvalue())


def test_each_kind_of_work_has_a_bar_and_the_first_one_calls_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_bars, "PATIENCE", -1.0)
    begun: list[int] = []
    bars = Bars(console(), lambda: begun.append(1))
    for what, done in (("Reading", 1), ("Reading (run 2)", 2), ("Picking", 1)):
        bars.report(what, done, 4)
    assert begun == [1]
    assert [(task.description, task.completed) for task in bars.bars.tasks] == [("Reading (run 2)", 2), ("Picking", 1)]
    assert "Reading (run 2)" in drawn(bars)


def test_what_is_over_at_once_shows_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_bars, "PATIENCE", 1e9)
    begun: list[int] = []
    bars = Bars(console(), lambda: begun.append(1))
    bars.report("Reading", 1, 1)
    assert begun == []
    assert drawn(bars).strip() == ""


def test_names_with_brackets_are_shown_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_bars, "PATIENCE", -1.0)
    bars = Bars(console(), lambda: None)
    bars.report("[red]run[/red]", 1, 2)
    assert "[red]run[/red]" in drawn(bars)


def test_a_spinner_is_gone_once_it_is_stopped() -> None:
    shown = spinner(screen := console(), "[b]Loading[/b]")
    shown.report("anything", 1, 2)
    shown.stop()
    file = screen.file
    assert isinstance(file, StringIO)
    text = file.getvalue()
    assert "[b]Loading[/b]" in text
    assert text.endswith(("\x1b[2K", "\x1b[?25h")) or "\x1b[2K" in text.rpartition("Loading")[2]


def test_what_shows_nothing_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Nothing().report("Picking", 1, 2)
    Nothing().stop()
    assert capsys.readouterr() == ("", "")
