"""The `tomosoup` command: which commands there are, and how one ends."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from tomosoup.cli.arguments.files import check_files
from tomosoup.cli.arguments.help import command_help, overview
from tomosoup.cli.arguments.messages import as_options
from tomosoup.cli.arguments.words import BadOption
from tomosoup.cli.options.check import CheckCommand
from tomosoup.cli.options.convert import ConvertCommand
from tomosoup.cli.options.demo import DemoCommand
from tomosoup.cli.options.denoise import DenoiseCommand
from tomosoup.cli.options.exchange import ExportCommand, ImportCommand
from tomosoup.cli.options.maps import MapsCommand
from tomosoup.cli.options.merge import MergeCommand
from tomosoup.cli.options.onnx import ExportOnnxCommand
from tomosoup.cli.options.output import Voice
from tomosoup.cli.options.pick import PickCommand
from tomosoup.cli.options.report import ReportCommand
from tomosoup.cli.options.score import ScoreCommand
from tomosoup.cli.options.second_stage import SecondStageCommand
from tomosoup.cli.options.simulate import SimulateCommand
from tomosoup.cli.options.slab import SlabCommand
from tomosoup.cli.options.soup import SoupCommand
from tomosoup.cli.options.threshold import ThresholdCommand
from tomosoup.cli.options.train import TrainCommand
from tomosoup.cli.options.tune import TuneCommand
from tomosoup.cli.options.view import ViewCommand
from tomosoup.cli.parse import defaults, parse
from tomosoup.cli.terminal import Outcome, Stopped, conclude, fail, say, show_json, speaking, stopwatch, wait
from tomosoup.core.config import Options
from tomosoup.core.errors import InputError
from tomosoup.core.runtime import keep_freed_memory, look_for_garbage_less

COMMANDS: dict[str, tuple[type[Any], str]] = {
    "demo": (DemoCommand, "demo:demo_command"),
    "simulate": (SimulateCommand, "simulate:simulate_command"),
    "denoise": (DenoiseCommand, "denoise:denoise_command"),
    "check": (CheckCommand, "check:check_command"),
    "train": (TrainCommand, "train:train_command"),
    "soup": (SoupCommand, "soup:soup_command"),
    "tune": (TuneCommand, "tune:tune_command"),
    "second-stage": (SecondStageCommand, "second_stage:second_stage_command"),
    "pick": (PickCommand, "pick:pick_command"),
    "threshold": (ThresholdCommand, "threshold:threshold_command"),
    "maps": (MapsCommand, "maps:maps_command"),
    "slab": (SlabCommand, "slab:slab_command"),
    "score": (ScoreCommand, "score:score_command"),
    "export": (ExportCommand, "exchange:export_command"),
    "import": (ImportCommand, "exchange:import_command"),
    "merge": (MergeCommand, "merge:merge_command"),
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
    name, *words = words
    model = COMMANDS[name][0]
    try:
        if asked := HELP.intersection(words):
            say(help_of(model, words, all_="--help-all" in asked))
            return
        options, voice = parse(model, name, words)
        run(name, options, voice)
    except (InputError, Stopped, KeyboardInterrupt, OSError) as error:
        end(error, name, model, as_json=any(word in ("--json", "--json=true") for word in words))


def end(error: BaseException, name: str, model: type[Options], *, as_json: bool) -> None:
    """Say in one sentence why a command failed, to programs with a code, too; then exit."""
    match error:
        case BadOption():
            code, text, status = error.code, str(error), 2
        case InputError():
            code, text, status = error.code, as_options(str(error), model), 1
        case Stopped():
            code, text, status = "stopped", as_options(str(error), model), 130
        case KeyboardInterrupt():
            text = "Stopped. Files that were being written are removed; the others are unchanged."
            code, status = "stopped", 130
        case _:
            code, text, status = "storage", f"The operating system refused: {error}.", 1
    if as_json:
        show_json({"error": {"code": code, "text": text}, "command": name})
    fail(text, status)


HELP = {"--help", "-h", "--help-all"}


def help_of(model: type[Options], words: Sequence[str], *, all_: bool) -> str:
    """The help of a command, with the defaults of the recipe that the words name."""
    recipe, values = defaults(model, words)
    return command_help(model, Voice, recipe=recipe, values=values, all_=all_)


def run(name: str, options: Options, voice: Voice) -> None:
    """Run a command and show what it did. Its files are looked at first: importing torch takes seconds."""
    check_files(options)
    keep_freed_memory()
    look_for_garbage_less()
    seconds = stopwatch()
    with speaking(voice, lambda text: as_options(text, type(options))):
        wait(f"tomosoup {name}")
        outcome = command(name)(options)
    conclude(outcome, voice, command=name, seconds=seconds())


def without_command(words: Sequence[str]) -> None:
    """What is asked of the program itself."""
    models = {name: model for name, (model, _) in COMMANDS.items()}
    match words:
        case [] | ["-h" | "--help" | "help", *_]:
            say(overview(models))
        case ["--version", *_]:
            from importlib.metadata import version

            say(f"tomosoup {version('tomosoup')}")
        case ["--print-completion", shell]:
            from tomosoup.cli.arguments.completion import SHELLS, completion_script

            if shell not in SHELLS:
                fail(f"There is no completion for {shell!r}; expected one of {', '.join(SHELLS)}.", 2)
            sys.stdout.write(completion_script(shell, models))
        case _:
            near = get_close_matches(words[0], COMMANDS, n=1)
            meant = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(COMMANDS)}."
            fail(f"There is no command {words[0]!r}; {meant}", 2)
