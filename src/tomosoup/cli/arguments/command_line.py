"""Options -> the command that they were typed as."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tomosoup.cli.arguments.fields import Option, command_name, options_of, value_at
from tomosoup.cli.arguments.parse import recipe_values
from tomosoup.cli.arguments.words import is_option
from tomosoup.core.config import Options, merged


def command_line(options: Options) -> list[str]:
    """The words of the command that has these options: tomosoup, its name, then all that is not by default."""
    model = type(options)
    typed = list(options_of(model, options))
    given = {name: getattr(options, name) for name in model.model_fields}
    set_by_recipe = {name: value for name, value in recipe_values(model, given).items() if isinstance(value, dict)}
    usual = merged(model.model_construct(None).model_dump(), set_by_recipe)
    places = [str(word) for option in typed if option.typed.positional for word in _words(option, options)]
    named = (word for option in typed if not option.typed.positional for word in changed(option, options, usual))
    return ["tomosoup", command_name(model), *places, *named]


def changed(option: Option, options: Options, usual: Mapping[str, Any]) -> Iterator[str]:
    """The words that give an option its value, if that is not the usual one."""
    value = value_at(options, option.path)
    try:
        before = value_at(usual, option.path)
    except KeyError:  # of another net than the recipe's
        before = option.field.get_default(call_default_factory=True)
    if value == before:
        return
    if value is None or value is False:
        yield option.off
        return
    if option.table:
        new = {name: inner for name, inner in value.items() if before.get(name) != inner}
        words = [str(word) for name, inner in new.items() for word in (name, *_several(inner))]
    else:
        words = [] if option.flag else list(map(str, _several(value)))
    if any(map(is_option, words)):  # they would be taken for options
        yield from (f"{option.name}={word}" for word in words)
    else:
        yield from (option.name, *words)


def _words(option: Option, options: Options) -> tuple[Any, ...]:
    value = value_at(options, option.path)
    return () if value is None else _several(value)


def _several(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
