"""What was typed -> the options of a command."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, TypeVar

import tyro
from pydantic import ValidationError

from tomosoup.errors import InputError
from tomosoup.recipes.base import Recipe
from tomosoup.recipes.commands import PickCommand, SimulateCommand, SoupCommand, TrainCommand, TuneCommand
from tomosoup.recipes.picking import PickingPlan
from tomosoup.recipes.simulation import SimulationRecipe
from tomosoup.recipes.training import TrainingRecipe

Options = TypeVar("Options", bound=Recipe)


def parse(model: type[Options], name: str, words: Sequence[str]) -> Options:
    """The options of a command. Bad ones end the program with a line that names them."""
    default: Any = tyro.MISSING
    if recipe := RECIPES.get(model):
        named_by, field, kind = recipe
        chosen = _last_value(f"--{named_by}", words) or model.model_fields[named_by].default
        values: dict[str, Any] = {n: tyro.MISSING for n, f in model.model_fields.items() if f.is_required()}
        values |= {named_by: chosen, field: kind.read(chosen)}
        default = model.model_construct(None, **values)
    try:
        options: Options = tyro.cli(
            model, prog=f"tomosoup {name}", args=words, default=default, config=(tyro.conf.FlagCreatePairsOff,)
        )
    except ValidationError as error:  # of options that do not go together; tyro tells of single ones
        raise InputError(model.what_is_wrong(error)) from error
    return options


RECIPES: dict[Any, tuple[str, str, type[Recipe]]] = {
    TrainCommand: ("recipe", "training", TrainingRecipe),
    SimulateCommand: ("recipe", "simulation", SimulationRecipe),
    PickCommand: ("plan", "picking", PickingPlan),
    TuneCommand: ("plan", "picking", PickingPlan),
    SoupCommand: ("plan", "picking", PickingPlan),
}
"""Commands with a --recipe or --plan: that option, and the field that it fills, so that --help shows its values and
options change them."""


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
