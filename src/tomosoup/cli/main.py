"""The `tomosoup` command: which commands there are, and how one ends."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from tomosoup.cli.options.check import CheckCommand
from tomosoup.cli.options.commands import (
    ConvertCommand,
    DemoCommand,
    ExportOnnxCommand,
    PickCommand,
    ScoreCommand,
    SimulateCommand,
    SoupCommand,
    ThresholdCommand,
    TrainCommand,
    TuneCommand,
)
from tomosoup.cli.options.exchange import ExportCommand, ImportCommand
from tomosoup.cli.options.report import ReportCommand
from tomosoup.cli.options.view import ViewCommand
from tomosoup.cli.parse import overview, parse
from tomosoup.cli.terminal import Outcome, Stopped, conclude, fail, say, speaking, stopwatch, wait
from tomosoup.core.errors import InputError
from tomosoup.core.runtime import keep_freed_memory, look_for_garbage_less

COMMANDS: dict[str, tuple[type[Any], str]] = {
    "demo": (DemoCommand, "demo:demo_command"),
    "simulate": (SimulateCommand, "simulate:simulate_command"),
    "check": (CheckCommand, "check:check_command"),
    "train": (TrainCommand, "train:train_command"),
    "soup": (SoupCommand, "soup:soup_command"),
    "tune": (TuneCommand, "tune:tune_command"),
    "pick": (PickCommand, "pick:pick_command"),
    "threshold": (ThresholdCommand, "pick:threshold_command"),
    "score": (ScoreCommand, "score:score_command"),
    "export": (ExportCommand, "exchange:export_command"),
    "import": (ImportCommand, "exchange:import_command"),
    "report": (ReportCommand, "report:report_command"),
    "view": (ViewCommand, "view:view_command"),
    "convert": (ConvertCommand, "convert:convert_command"),
    "export-onnx": (ExportOnnxCommand, "onnx:onnx_command"),
}
"""Name -> what the command takes, and the module of `cli.commands` and the function in it that do it."""


def command(name: str) -> Callable[[Any], Outcome | None]:
    """The function of a command. Its module is imported now: `--help` must not wait for torch."""
    module, _, function = COMMANDS[name][1].partition(":")
    found: Callable[[Any], Outcome | None] = getattr(import_module(f"tomosoup.cli.commands.{module}"), function)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """The `tomosoup` command: exit 0 if all went well, 1 for bad input, 2 for bad options, 130 for Ctrl-C."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] not in COMMANDS:
        without_command(words)
        return
    model = COMMANDS[words[0]][0]
    keep_freed_memory()
    look_for_garbage_less()
    try:
        options, voice = parse(model, words[0], words[1:])
        seconds = stopwatch()
        with speaking(voice):
            wait(f"tomosoup {words[0]}")
            outcome = command(words[0])(options)
        conclude(outcome, voice, command=words[0], seconds=seconds())
    except InputError as error:
        fail(str(error), 1)
    except Stopped as stop:
        fail(str(stop), 130)
    except KeyboardInterrupt:
        fail("Stopped; what was being written is gone, the rest untouched.", 130)
    except OSError as error:
        fail(f"The operating system refused: {error}.", 1)


def without_command(words: Sequence[str]) -> None:
    """What is asked of the program itself."""
    models = {name: model for name, (model, _) in COMMANDS.items()}
    match words:
        case [] | ["-h" | "--help", *_]:
            say(overview(models))
        case ["--version", *_]:
            from importlib.metadata import version

            say(f"tomosoup {version('tomosoup')}")
        case ["--print-completion", shell]:
            from tomosoup.cli.completion import SHELLS, completion_script

            if shell not in SHELLS:
                fail(f"There is no completion for {shell!r}; expected one of {', '.join(SHELLS)}.", 2)
            sys.stdout.write(completion_script(shell, models))
        case _:
            fail(f"There is no command {words[0]!r}; expected one of {', '.join(COMMANDS)}.", 2)
