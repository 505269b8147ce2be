"""Species as a CSV table."""

from __future__ import annotations

from pathlib import Path

from tomosoup.core.errors import InputError
from tomosoup.core.types import Species
from tomosoup.data.formats.tables.delimited import read_delimited


def read_species(path: Path) -> tuple[Species, ...]:
    """Species from a CSV file with the columns name, radius (Å) and, if known, weight.

    Raises `InputError` for a file without those columns, a species that stands there twice, and values out of range.
    """
    table = read_delimited(path, ["name", "radius"], expected="name, radius (Å) and, if known, weight")
    if not len(table):
        raise InputError(f"{path} lists no species: add a line for each, name,radius (Å).")
    radii = table.numbers(["radius"])[:, 0].tolist()
    weights = table.numbers(["weight"])[:, 0].tolist() if "weight" in table else [1.0] * len(table)
    lines = dict(zip(reversed(table.text("name")), reversed(table.lines), strict=True))
    species = []
    for name, radius, weight, line in zip(table.text("name"), radii, weights, table.lines, strict=True):
        if line != lines[name]:
            raise InputError(f"{path}, line {line}: {name[:100]!r} stands in line {lines[name]}, too: remove one.")
        species.append(Species(name, radius, weight))
    return tuple(species)
