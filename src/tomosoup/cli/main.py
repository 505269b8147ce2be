"""The `tomosoup` command. Programs call `--help` and `--version` often, so that they import nothing but text."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from difflib import get_close_matches

from tomosoup.cli.arguments.layout import overview
from tomosoup.cli.commands import COMMANDS
from tomosoup.cli.terminal import fail, say


def main(arguments: Sequence[str] | None = None) -> None:
    """The `tomosoup` command: exit 0 if all went well, 1 for bad input, 2 for bad options, 130 for Ctrl-C."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in COMMANDS:
        from tomosoup.cli.run_command import run_command

        run_command(words[0], words[1:])
    else:
        without_command(words)


def without_command(words: Sequence[str]) -> None:
    """What is asked of the program itself."""
    match words:
        case [] | ["-h" | "--help" | "help", *_]:
            say(overview(COMMANDS))
        case ["--version", *_]:
            from importlib.metadata import version

            say(f"tomosoup {version('tomosoup')}")
        case ["--print-completion", shell]:
            from tomosoup.cli.arguments.completion import SHELLS, completion_script

            if shell not in SHELLS:
                fail(f"There is no completion for {shell!r}; expected one of {', '.join(SHELLS)}.", 2)
            sys.stdout.write(completion_script(shell))
        case _:
            near = get_close_matches(words[0], COMMANDS, n=1)
            meant = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(COMMANDS)}."
            fail(f"There is no command {words[0]!r}; {meant}", 2)
