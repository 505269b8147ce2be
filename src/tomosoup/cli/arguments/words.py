"""Words -> what was typed for each option; nothing is converted yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from tomosoup.cli.arguments.fields import Option, sections, typed_as, words_of
from tomosoup.core.config import Options
from tomosoup.core.errors import InputError, counted

TRUE, FALSE = ("true", "yes", "on"), ("false", "no", "off")


class BadOption(InputError):  # noqa: N818 - as InputError's name says it is one
    """An option that does not exist, or a value that it does not take."""

    code = "option"


def split(words: Sequence[str], options: Sequence[Option], command: str) -> dict[tuple[str, ...], Any]:
    """What was typed, by the options' paths: a word, a list of words, a dict of them, a bool, or None.

    Raises `BadOption` for an option that does not exist, and for too few or too many values.
    """
    positional = [option for option in options if option.typed.positional]
    named = {name: option for option in options if option not in positional for name in option.names}
    typed: dict[tuple[str, ...], Any] = {}
    free: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if word == "--":
            free += left
            break
        if not is_option(word):
            free.append(word)
            continue
        called, equals, value = word.partition("=")
        option, key, on = _find(called, named, command)
        values = [value] if equals else _values(left, option, key)
        given = _one_key(option, key, values) if key else _given(option, called, values, on=on)
        before = typed.get(option.path)
        if isinstance(given, dict) and before:
            given = {**before, **given}
        elif equals and isinstance(given, list) and before:
            given = [*before, *given]
        typed[option.path] = given
    return {**_placed(free, positional, command), **typed}


def is_option(word: str) -> bool:
    """Whether a word names an option: it begins with a hyphen and is no negative number."""
    if not word.startswith("-") or word == "-":
        return False
    try:
        float(word)
    except ValueError:
        return True
    return False


def _find(called: str, named: Mapping[str, Option], command: str) -> tuple[Option, str, bool]:
    """The option of this name, the key in its table that the name ends in, and whether it is turned on."""
    name = called if called in named else called.replace("_", "-")
    if name in named:
        return named[name], "", True
    switched = {o.off: o for o in named.values() if o.flag or o.optional}
    if name in switched:
        return switched[name], "", False
    table, dot, key = called.rpartition(".")
    while dot and (table not in named or not named[table].table):
        table, dot, more = table.rpartition(".")
        key = f"{more}.{key}"
    if dot:
        return named[table], key, True
    near = get_close_matches(name, [*named, *switched], n=1)
    meant = f"did you mean {near[0]}?" if near else "choose another."
    raise BadOption(f"There is no option {called}: {meant} `tomosoup {command} --help-all` lists all options.")


def _values(left: list[str], option: Option, key: str) -> list[str]:
    """The words after an option's name that are its values, taken off those that are left."""
    most = words_of(get_args(option.type)[1]) if key else option.count
    if most == 0 and option.optional and left and left[0].lower() in (*TRUE, *FALSE, "none"):
        most = 1  # what was written before --neighbours and --no-neighbours
    values: list[str] = []
    while left and (most is None or len(values) < most) and not is_option(left[0]):
        values.append(left.pop(0))
        if values == ["None"] and option.optional:
            break
    return values


def _given(option: Option, called: str, values: list[str], *, on: bool) -> Any:
    """The words for an option, as pydantic can validate them."""
    if not on:
        if values and not option.flag:
            raise BadOption(f"{called} takes no value, got {' '.join(values)}.")
        return False if option.flag else None
    if option.optional and [value.lower() for value in values] == ["none"]:
        return None
    if option.flag:
        if values and values[0].lower() not in (*TRUE, *FALSE):
            raise BadOption(f"{called} takes no value, got {values[0]}; {option.off} turns it off.")
        return not values or values[0].lower() in TRUE
    if option.table:
        return _table(option, called, values)
    if option.count is None:
        return values
    if len(values) != option.count:
        expected = f"{counted(option.count, 'value')} ({option.value})"
        raise BadOption(f"{called}: expected {expected}, got {len(values) or 'none'}.")
    return values if option.count > 1 else values[0]


def _table(option: Option, called: str, values: list[str]) -> dict[str, Any]:
    size = 1 + (words_of(get_args(option.type)[1]) or 1)
    if not values or len(values) % size:
        raise BadOption(f"{called}: expected {option.value}, got {' '.join(values) or 'nothing'}.")
    groups = [values[i : i + size] for i in range(0, len(values), size)]
    return {name: rest[0] if size == 2 else rest for name, *rest in groups}


def _one_key(option: Option, key: str, values: list[str]) -> dict[str, Any]:
    return _table(option, f"{option.name}.{key}", [key, *values])


def _placed(free: Sequence[str], positional: Sequence[Option], command: str) -> dict[tuple[str, ...], Any]:
    """The words without a name, by the places that they are given to."""
    if len(positional) == 1 and positional[0].count is None:
        return {positional[0].path: list(free)} if free else {}
    if len(free) > len(positional):
        raise BadOption(f"Unexpected {free[len(positional)]!r}: {in_order(positional, command)}.")
    return {option.path: word for option, word in zip(positional, free, strict=False)}


def in_order(options: Sequence[Option], command: str) -> str:
    """In which order a command is typed, for messages."""
    names = [f"{o.name} ..." if o.count is None else o.name for o in options if o.typed.positional]
    return f"expected `{' '.join(['tomosoup', command, *names])}`, then options"


def by_todays_names(model: type[Options], words: Sequence[str]) -> list[str]:
    """The words with options that were renamed under today's names: old ones stay valid for a release."""
    todays = dict(renamed(model))
    split = (word.partition("=") for word in words)
    return [_today(option, todays) + equals + value for option, equals, value in split]


def _today(word: str, todays: Mapping[str, str]) -> str:
    """The word under today's name, be it an option or a key in a table."""
    if not word.startswith("--"):
        return word
    name = word.replace("_", "-")
    if name in todays:
        return todays[name]
    table, dot, key = word.rpartition(".")
    return f"{_today(table, todays)}.{key}" if dot else word


def renamed(model: type[Options], before: str = "", now: str = "") -> Iterator[tuple[str, str]]:
    """The old name and today's name of every option that was renamed, or is in a set that was, as they are typed."""
    for name, field in model.model_fields.items():
        said, inner = typed_as(field), sections(field.annotation)
        today = name.replace("_", "-") if said.name is None else said.name
        for called in (today, *(old.replace("_", "-") for old, new in model.RENAMED.items() if new == name)):
            for section in inner:
                yield from renamed(
                    section, f"{before}{called}." if called else before, f"{now}{today}." if today else now
                )
            if not inner and f"{before}{called}" != f"{now}{today}":
                yield f"--{before}{called}", f"--{now}{today}"
                yield f"--{before}no-{called}", f"--{now}no-{today}"
