"""What was typed -> the options of a command."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from shutil import get_terminal_size
from textwrap import fill
from typing import Annotated, Any, TypeVar, get_args

import tyro
from pydantic import Field, ValidationError, create_model

from tomosoup.cli.options.commands import (
    UNPREFIXED,
    PickCommand,
    SimulateCommand,
    SoupCommand,
    TrainCommand,
    TuneCommand,
)
from tomosoup.cli.options.output import Voice
from tomosoup.core.config import Options, Recipe
from tomosoup.core.errors import InputError
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.simulation.options import SimulationRecipe
from tomosoup.training.options import TrainingRecipe

Taken = TypeVar("Taken", bound=Options)


def overview(models: Mapping[str, type[Options]]) -> str:
    """What `tomosoup --help` prints."""
    about = {name: " ".join((model.__doc__ or "").split()) for name, model in models.items()} | {
        "--version": "",
        "--print-completion bash|zsh|tcsh": "Print what the shell is to source to complete commands and options.",
    }
    lines = [
        fill(f"  {name:<11} {text}", _width(), subsequent_indent=" " * 14).rstrip() for name, text in about.items()
    ]
    first = "tomosoup finds particles in cryo-electron tomograms."
    return "\n".join([first, "", "usage: tomosoup COMMAND [--help]", "", *lines])


def _width() -> int:
    return min(80, get_terminal_size().columns)


def with_voice(model: type[Taken]) -> type[Taken]:
    """A command's options and, as field `voice`, those that all commands share."""
    shared: Any = (Annotated[Voice, UNPREFIXED], Field(Voice(), description=Voice.__doc__))
    return create_model(model.__name__, __base__=model, __doc__=model.__doc__, voice=shared)


def parse(model: type[Taken], name: str, words: Sequence[str]) -> tuple[Taken, Voice]:
    """The options of a command, and how much it says. Bad ones end the program with a line that names them."""
    words = by_todays_names(model, words)
    default: Any = tyro.MISSING
    asked = with_voice(model)
    if recipe := RECIPES.get(model):
        named_by, field, kind = recipe
        usual = FINE_TUNING if model is TrainCommand and _starts_from(words) else model.model_fields[named_by].default
        chosen = _last_value(f"--{named_by}", words) or usual
        values: dict[str, Any] = {n: tyro.MISSING for n, f in model.model_fields.items() if f.is_required()}
        values |= {named_by: chosen, field: kind.read(chosen)}
        default = asked.model_construct(None, **values)
    about = fill(" ".join((model.__doc__ or "").split()), _width(), subsequent_indent=" ")  # else tyro joins its lines
    try:
        said: Any = tyro.cli(
            asked,
            prog=f"tomosoup {name}",
            description=about,
            args=words,
            default=default,
            config=(tyro.conf.FlagCreatePairsOff,),
        )
    except ValidationError as error:  # of options that do not go together; tyro tells of single ones
        raise InputError(model.what_is_wrong(error)) from error
    return model.model_construct(None, **{n: getattr(said, n) for n in model.model_fields}), said.voice


def by_todays_names(model: type[Options], words: Sequence[str]) -> list[str]:
    """The words with options that were renamed under today's names: old ones stay valid for a release."""
    todays = dict(renamed(model))
    split = ((word.partition("=")) for word in words)
    return [todays.get(option, option) + equals + value for option, equals, value in split]


def renamed(model: type[Options], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The old name and today's name of every option that was renamed, as they are typed."""
    for old, name in model.RENAMED.items():
        before, now = f"--{prefix}{old.replace('_', '-')}", f"--{prefix}{name.replace('_', '-')}"
        yield before, now
        for section in sections(model.model_fields[name].annotation):
            fields = {**{field: field for field in section.model_fields}, **section.RENAMED}
            yield from (
                (f"{before}.{was.replace('_', '-')}", f"{now}.{field.replace('_', '-')}")
                for was, field in fields.items()
            )
    for name, field in model.model_fields.items():
        mark = next((mark for mark in field.metadata if hasattr(mark, "aliases")), None)
        called = name.replace("_", "-") if mark is None or mark.name is None else mark.name
        for section in sections(field.annotation):
            yield from renamed(section, f"{prefix}{called}." if called else prefix)


def sections(annotation: Any) -> Iterator[type[Options]]:
    """The sets of options in the type of a field."""
    if isinstance(annotation, type) and issubclass(annotation, Options):
        yield annotation
    for inner in get_args(annotation):
        yield from sections(inner)


RECIPES: dict[Any, tuple[str, str, type[Recipe]]] = {
    TrainCommand: ("recipe", "training", TrainingRecipe),
    SimulateCommand: ("recipe", "simulation", SimulationRecipe),
    PickCommand: ("plan", "picking", PickingPlan),
    TuneCommand: ("plan", "picking", PickingPlan),
    SoupCommand: ("plan", "picking", PickingPlan),
}
"""Commands with a --recipe or --plan: that option, and the field that it fills, so that --help shows its values and
options change them."""


FINE_TUNING = "finetune"
"""The recipe of a training that starts from weights, if it names none."""


def _starts_from(words: Sequence[str]) -> bool:
    return bool(_last_value("--from", words) or _last_value("--start-from", words))


def _last_value(option: str, words: Sequence[str]) -> str | None:
    """The last value given to an option, as `--option value` or `--option=value`."""
    values = [b for a, b in pairwise(words) if a == option]
    values += [w.removeprefix(f"{option}=") for w in words if w.startswith(f"{option}=")]
    return values[-1] if values else None


def read_thresholds(words: Sequence[str], names: Sequence[str]) -> dict[str, float]:
    """`0.3` for all of `names`, `ribosome=0.4` for one; later words win. Raises `InputError` for anything else."""
    thresholds: dict[str, float] = {}
    for word in words:
        name, _, value = word.rpartition("=")
        if name and name not in names:
            raise InputError(f"--threshold {word}: there is no species {name!r}; expected one of {', '.join(names)}.")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if math.isnan(number):
            raise InputError(f"--threshold {word}: expected a number (0.3) or a species and a number (ribosome=0.4).")
        thresholds |= {name: number} if name else dict.fromkeys(names, number)
    return thresholds
