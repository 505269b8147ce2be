"""One command: its options are parsed, it runs, and it ends."""

from __future__ import annotations

from collections.abc import Sequence

from tomosoup.cli.arguments.files import check_files
from tomosoup.cli.arguments.help import command_help
from tomosoup.cli.arguments.messages import as_options
from tomosoup.cli.arguments.parse import defaults, parse
from tomosoup.cli.arguments.words import BadOption
from tomosoup.cli.commands import function_of, options_class
from tomosoup.cli.options.output import Voice
from tomosoup.cli.terminal import Stopped, conclude, fail, say, show_json, speaking, stopwatch, wait
from tomosoup.core.config import Options
from tomosoup.core.errors import InputError
from tomosoup.core.runtime import keep_freed_memory, look_for_garbage_less

HELP = {"--help", "-h", "--help-all"}


def run_command(name: str, words: Sequence[str]) -> None:
    """Do what a command was asked to with these words, its help included. Exits as `main` does."""
    model = options_class(name)
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
        outcome = function_of(name)(options)
    conclude(outcome, voice, command=name, seconds=seconds())
