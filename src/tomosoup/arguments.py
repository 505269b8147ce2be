"""What was typed -> the options of a command."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from shutil import get_terminal_size
from textwrap import fill
from typing import Annotated, Any, TypeVar

import tyro
from pydantic import Field, ValidationError, create_model

from tomosoup.errors import InputError
from tomosoup.recipes.base import Recipe
from tomosoup.recipes.commands import (
    UNPREFIXED,
    PickCommand,
    SimulateCommand,
    SoupCommand,
    TrainCommand,
    TuneCommand,
)
from tomosoup.recipes.picking import PickingPlan
from tomosoup.recipes.simulation import SimulationRecipe
from tomosoup.recipes.training import TrainingRecipe
from tomosoup.recipes.voice import Voice

Options = TypeVar("Options", bound=Recipe)


def overview(models: Mapping[str, type[Recipe]]) -> str:
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


def with_voice(model: type[Options]) -> type[Options]:
    """A command's options and, as field `voice`, those that all commands share."""
    shared: Any = (Annotated[Voice, UNPREFIXED], Field(Voice(), description=Voice.__doc__))
    return create_model(model.__name__, __base__=model, __doc__=model.__doc__, voice=shared)


def parse(model: type[Options], name: str, words: Sequence[str]) -> tuple[Options, Voice]:
    """The options of a command, and how much it says. Bad ones end the program with a line that names them."""
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
