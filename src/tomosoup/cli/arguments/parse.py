"""What was typed -> the options of a command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any, TypeVar

from pydantic import ValidationError

from tomosoup.cli.arguments.fields import Option, options_of, value_at
from tomosoup.cli.arguments.messages import as_options
from tomosoup.cli.arguments.words import BadOption, by_todays_names, in_order, split
from tomosoup.cli.options.output import Voice
from tomosoup.core.config import Options, merged, problem
from tomosoup.core.errors import InputError

Taken = TypeVar("Taken", bound=Options)

FINE_TUNING = "finetune"
"""The recipe of a training that starts from weights, if it names none."""


def parse(model: type[Taken], name: str, words: Sequence[str]) -> tuple[Taken, Voice]:
    """The options of a command, and how much it says. Raises `BadOption`, one sentence, for any that are not valid."""
    options = list(options_of(model))
    shared = list(options_of(Voice))
    typed = split(by_todays_names(model, words), [*options, *shared], name)
    voices = {option.path for option in shared}
    said = {path: value for path, value in typed.items() if path in voices}
    own = {path: value for path, value in typed.items() if path not in voices}
    missing = [o for o in options if o.field.is_required() and o.path not in own]
    if missing:
        raise BadOption(missing_sentence(missing[0], name, options))
    return filled(model, nested(own), options), filled(Voice, nested(said), shared)


def missing_sentence(option: Option, command: str, options: Sequence[Option]) -> str:
    """What to say where an option is missing that has to be given."""
    explained = f"(`tomosoup {command} --help` explains it)"
    if option.typed.positional:
        return f"{option.name} is missing: {in_order(options, command)} {explained}."
    return f"{option.name} {option.value} is missing: add it {explained}."


def filled(model: type[Taken], given: Mapping[str, Any], options: Sequence[Option] | None = None) -> Taken:
    """The options that were `given`, the others as the recipe that they name has them, or by default."""
    try:
        values = recipe_values(model, given)
    except InputError as error:
        raise BadOption(str(error)) from error
    options = options or list(options_of(model))
    refuse_nothing(given, values, options)
    try:
        return model.model_validate(merged(values, given))
    except ValidationError as error:
        raise BadOption(as_sentence(error, options, model)) from error


def refuse_nothing(given: Mapping[str, Any], usual: Mapping[str, Any], options: Sequence[Option]) -> None:
    """Raises `BadOption` for an option without values that has none by default, as `--runs $EMPTY` in a script."""
    for option in options:
        with suppress(KeyError):
            if value_at(given, option.path) == [] and not _usual(option, usual):
                raise BadOption(f"{option.name}: expected one or more values ({option.value}), got none.")


def _usual(option: Option, usual: Mapping[str, Any]) -> Any:
    """The value of an option that is not given."""
    try:
        return value_at(usual, option.path)
    except KeyError:
        return option.field.get_default(call_default_factory=True)


def recipe_values(model: type[Options], given: Mapping[str, Any]) -> dict[str, Any]:
    """The options that the recipe or plan sets, which is the one that was `given`, or a command's usual one."""
    if not model.RECIPE:
        return {}
    named_by, field = model.RECIPE
    kind: Any = model.model_fields[field].annotation
    usual = FINE_TUNING if given.get("start_from") else model.model_fields[named_by].default
    chosen = given.get(named_by) or usual
    return {named_by: chosen, field: kind.read(chosen).model_dump()}


def nested(typed: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    """Values by path -> dicts in dicts."""
    made: dict[str, Any] = {}
    for (*sections, name), value in typed.items():
        inner = made
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[name] = value
    return made


def as_sentence(error: ValidationError, options: Sequence[Option], model: type[Options]) -> str:
    """The first problem of a failed validation, with the option's name as it is typed."""
    first = error.errors()[0]
    where = [str(part) for part in first["loc"]]
    matches = [o for o in options if _leads_to(o.path, where)]
    said = as_options(problem(first), model)
    if not matches:
        return f"{said[0].upper()}{said[1:]}."
    best = max(matches, key=lambda option: len(option.path))
    if first["type"] == "extra_forbidden":
        return f"{best.name} does not go with the chosen {best.path[-2]}: leave it out, or choose another."
    key = where[-1] if best.table and where[-1] not in best.path else ""
    where_from = "" if best.name in said else f"{best.name}{' ' + key if key else ''}: "
    return f"{where_from}{said.rstrip('.')}."


def _leads_to(path: Sequence[str], where: Sequence[str]) -> bool:
    """Whether the names of an option's path are in a place, in order, with names of unions' members between them."""
    left = iter(where)
    return all(name in left for name in path)


def defaults(model: type[Options], words: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """The recipe or plan that these words name, though others may be wrong, and what it sets: what help shows."""
    if not model.RECIPE:
        return "", {}
    named_by, field = model.RECIPE
    kind: Any = model.model_fields[field].annotation
    starts = last_value("--from", words) or last_value("--start-from", words)
    usual = FINE_TUNING if starts and "start_from" in model.model_fields else model.model_fields[named_by].default
    chosen = last_value(f"--{named_by}", words) or usual
    return chosen, {field: kind.read(chosen)}


def last_value(option: str, words: Sequence[str]) -> str | None:
    """The last value given to an option, as `--option value` or `--option=value`."""
    values = [b for a, b in pairwise(words) if a == option]
    values += [w.removeprefix(f"{option}=") for w in words if w.startswith(f"{option}=")]
    return values[-1] if values else None
