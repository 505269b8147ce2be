"""Messages of the library name its arguments: here they get the names of the command line's options."""

from __future__ import annotations

import re

from tomosoup.cli.arguments.fields import Option, options_of
from tomosoup.core.config import Options

ARGUMENT = re.compile(r"( and )?`([a-z_][a-z0-9_]*(?:\.[a-z0-9_]+)*)(?:=([^`]+))?`")
"""`name`, `name=VALUE`, `section.name`, perhaps behind "and"."""


def as_options(text: str, model: type[Options]) -> str:
    """A message in which `overwrite=True`, `user=NAME` and `voxel_size` are --overwrite, --user NAME, --voxel-size.

    What is neither an option of the command nor one of its `ARGUMENTS` stays as it is, unless it is an advice behind
    another: " and `name=VALUE`" is left out.
    """
    options = list(options_of(model))

    def typed(found: re.Match[str]) -> str:
        before, name, value = found[1] or "", found[2], found[3]
        option = option_named(name, options)
        if name in model.ARGUMENTS:
            return before + model.ARGUMENTS[name]
        if option is None:
            return "" if before and value else found[0]
        if value == "False":
            return before + option.off
        return before + (option.name if value in (None, "True") else f"{option.name} {value}")

    return ARGUMENT.sub(typed, text)


def option_named(argument: str, options: list[Option]) -> Option | None:
    """The option that an argument stands for: the end of its path, or of its name as it is typed."""
    path = tuple(argument.split("."))
    own = [option for option in options if option.path[-len(path) :] == path]
    own += [o for o in options if o.name.removeprefix("--").replace("-", "_") == argument]
    return min(own, key=lambda option: option.name.count(".")) if own else None
