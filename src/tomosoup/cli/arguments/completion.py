"""What a shell needs to know to complete commands, options, choices and files."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser
from pathlib import Path
from typing import Any, get_args

import shtab

from tomosoup.cli.arguments.fields import Option, options_of, plain
from tomosoup.cli.arguments.help import described, shown_names
from tomosoup.cli.commands import COMMANDS, options_class
from tomosoup.cli.options.output import Voice
from tomosoup.core.config import Options

SHELLS = ("bash", "zsh", "tcsh")


def completion_script(shell: str) -> str:
    """The script that `shell`, one of `SHELLS`, sources."""
    parser = ArgumentParser(prog="tomosoup")
    parser.add_argument("--version", action="store_true", help="Show the version.")
    parser.add_argument("--print-completion", choices=SHELLS, help="Print this script.")
    subparsers = parser.add_subparsers()
    for name in COMMANDS:
        model = options_class(name)
        about = " ".join((model.__doc__ or "").split())
        command = subparsers.add_parser(name, help=about, description=about)
        command.add_argument("--help-all", action="store_true", help="Show all options.")
        for option in (*options_of(model), *options_of(Voice)):
            _add(command, option, model)
    script: str = shtab.complete(parser, shell)
    files = "complete -o bashdefault -o default"  # where nothing better is known
    return script.replace("complete -o bashdefault", files)


def _add(parser: ArgumentParser, option: Option, model: type[Options]) -> None:
    options: dict[str, Any] = {"help": described(option, model, model.model_construct(None)).replace("%", "%%")}
    if option.flag:
        options["action"] = "store_true"
    elif option.choices:
        options |= {"choices": option.choices, "nargs": None if option.count == 1 else "*"}
    elif option.typed.positional and option.count is None:
        options["nargs"] = "*"
    off = [option.off] if option.flag and option.field.default is True else []
    names = [option.path[-1]] if option.typed.positional else [*shown_names(option), *off]
    action = parser.add_argument(*names, default=SUPPRESS, **options)
    if Path in (option.type, *map(plain, get_args(option.type))):
        action.complete = shtab.FILE  # type: ignore[attr-defined]
