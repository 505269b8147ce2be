"""What a shell needs to know to complete commands, options, choices and files."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import shtab
from pydantic.fields import FieldInfo
from tyro.conf import Positional, Suppress

from tomosoup.cli.parse import with_voice
from tomosoup.core.config import Options

SHELLS = ("bash", "zsh", "tcsh")
POSITIONAL, SUPPRESSED = (get_args(mark)[1] for mark in (Positional[int], Suppress[int]))
"""The marks of a field that is an argument, not an option, and of one that is not typed."""


def completion_script(shell: str, commands: Mapping[str, type[Options]]) -> str:
    """The script that `shell`, one of `SHELLS`, sources."""
    parser = ArgumentParser(prog="tomosoup")
    parser.add_argument("--version", action="store_true", help="Show the version.")
    parser.add_argument("--print-completion", choices=SHELLS, help="Print this script.")
    subparsers = parser.add_subparsers()
    for name, model in commands.items():
        about = " ".join((model.__doc__ or "").split())
        command = subparsers.add_parser(name, help=about, description=about)
        once = {names[0]: (names, field) for names, field in arguments(with_voice(model))}  # kinds of net share some
        for names, field in once.values():
            _add(command, names, field)
    script: str = shtab.complete(parser, shell)
    files = "complete -o bashdefault -o default"  # where nothing better is known
    return script.replace("complete -o bashdefault", files)


def arguments(model: type[Options], prefix: str = "") -> Iterator[tuple[list[str], FieldInfo]]:
    """What a command takes, as it is typed: the names of an option, with its aliases, or that of an argument."""
    for name, field in model.model_fields.items():
        if SUPPRESSED in field.metadata:
            continue
        said = next((mark for mark in field.metadata if hasattr(mark, "aliases")), None)
        called = name.replace("_", "-") if said is None or said.name is None else said.name
        nested = [kind for kind in _kinds(field.annotation) if isinstance(kind, type) and issubclass(kind, Options)]
        for kind in nested:
            yield from arguments(kind, f"{prefix}{called}." if called else prefix)
        if not nested and POSITIONAL in field.metadata:
            yield [name], field
        elif not nested:
            off = "no-" if field.default is True else ""  # the flag that turns it off
            yield [f"--{prefix}{off}{called}", *(said.aliases if said and said.aliases else ())], field


def _add(parser: ArgumentParser, names: list[str], field: FieldInfo) -> None:
    kinds = list(_kinds(field.annotation))
    choices = [value for kind in kinds if get_origin(kind) is Literal for value in get_args(kind)]
    options: dict[str, Any] = {"help": (field.description or "").replace("%", "%%")}
    if kinds == [bool] and names[0].startswith("-"):
        options["action"] = "store_true"
    elif choices:
        options |= {"choices": choices, "nargs": "*" if _is_tuple(field.annotation) else None}
    elif not names[0].startswith("-") and _is_tuple(field.annotation):
        options["nargs"] = "*"
    action = parser.add_argument(*names, default=SUPPRESS, **options)
    if Path in kinds:
        action.complete = shtab.FILE  # type: ignore[attr-defined]


def _kinds(annotation: Any) -> Iterator[Any]:
    """The types in an annotation, without what wraps, repeats or joins them."""
    if get_origin(annotation) is Annotated:
        yield from _kinds(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType, tuple):
        for part in get_args(annotation):
            if part not in (type(None), Ellipsis):
                yield from _kinds(part)
    else:
        yield annotation


def _is_tuple(annotation: Any) -> bool:
    return tuple in {get_origin(part) for part in (annotation, *get_args(annotation))}
