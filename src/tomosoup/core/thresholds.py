"""Thresholds as users give them: one score for all species, or one a species."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tomosoup.core.config import shown_value
from tomosoup.core.errors import InputError
from tomosoup.core.types import Picks, PicksBySpecies


@dataclass(frozen=True)
class Thresholds:
    """The score that a pick must reach: `by_species` where the species is named there, else `default`."""

    default: float | None = None
    """None keeps what somebody else has set for the species, or all its picks."""
    by_species: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, words: Iterable[str]) -> Thresholds:
        """`0.3` for all species, `ribosome=0.4` for one; later words win. Raises `InputError` for anything else."""
        default: float | None = None
        by_species: dict[str, float] = {}
        for word in words:
            name, _, value = word.rpartition("=")
            try:
                number = float(value)
            except ValueError:
                number = math.nan
            if math.isnan(number):
                raise InputError(
                    f"`threshold` {word}: expected a number (0.3) or a species and a number (ribosome=0.4)."
                )
            if name:
                by_species[name] = number
            else:
                default, by_species = number, {}
        return cls(default, by_species)

    def over(self, others: Mapping[str, float], species: Sequence[str]) -> dict[str, float]:
        """The thresholds of these species, by name: these, or the `others` where these say nothing.

        Raises `InputError` where one is given for a species that is not among them.
        """
        for name, number in self.by_species.items():
            if name not in species:
                raise InputError(
                    f"`threshold` {name}={number:g}: there is no species {name!r}; expected one of "
                    f"{', '.join(species)}."
                )
        given = {} if self.default is None else dict.fromkeys(species, self.default)
        return {**others, **given, **self.by_species}


@dataclass(frozen=True)
class MaxFdr:
    """In place of thresholds: of each species in each tomogram the most picks with a low false-discovery rate."""

    rate: float
    """The largest fraction of them that is expected to be false, above 0 and below 1."""

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1:
            raise InputError(f"`max_fdr` {self.rate:g}: expected a fraction above 0 and below 1, such as 0.1.")


Limits = Mapping[str, float] | MaxFdr
"""What picks must reach: a score by species, or a probability of the set."""


def finite(value: object) -> float:
    """A number of a file's metadata. Raises `ValueError` for anything else, infinities and NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"a number, got {shown_value(value)}")
    return float(value)


def positive(value: object) -> float:
    """The same above 0."""
    number = finite(value)
    if number <= 0:
        raise ValueError(f"a number above 0, got {number:g}")
    return number


def finite_numbers(values: Mapping[str, object]) -> dict[str, float]:
    """Such numbers by species. Raises `ValueError` or `AttributeError` for anything else."""
    return {str(name): finite(value) for name, value in values.items()}


def apply_thresholds(picks: PicksBySpecies, thresholds: Mapping[str, float]) -> dict[str, Picks]:
    """The picks that reach their species' threshold; species without one keep all."""
    return {name: found.above(thresholds.get(name, -math.inf)) for name, found in picks.items()}
