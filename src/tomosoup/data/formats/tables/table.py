"""A table of text: names stay as they stand, and numbers are made of the columns that are asked for as numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tomosoup.core.errors import InputError, counted
from tomosoup.core.types import Array
from tomosoup.data.formats.tables.text import number

MISSING = {"", "<na>", "nan", "na", "n/a", "none", "null"}
"""Words for a number that is not known, in small letters. A name may be any of them."""


@dataclass(frozen=True)
class Table:
    """Rows of text under named columns."""

    path: Path
    name: str
    """Of the block in a STAR file; empty elsewhere."""
    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    lines: Sequence[int]
    """The line of each row in its file, counted from 1."""

    def __post_init__(self) -> None:
        doubled = [column for column in self.columns if column and self.columns.count(column) > 1]
        if doubled:
            raise InputError(f"{self.path} has the column {doubled[0][:80]} twice: rename or remove one.")

    def __len__(self) -> int:
        return len(self.rows)

    def __contains__(self, column: str) -> bool:
        return column in self.columns

    def text(self, column: str) -> list[str]:
        """A column as it stands in the file."""
        at = self.columns.index(column)
        return [row[at] for row in self.rows]

    def numbers(self, names: Sequence[str]) -> Array:
        """Columns of numbers `(n, len(names))`.

        Raises `InputError` for a column that is missing, and for the first value that is no finite number, by its line.
        """
        if missing := [name for name in names if name not in self.columns]:
            belongs = f", which belongs to {', '.join(names)}" if len(names) > 1 else ""
            raise InputError(f"{self.path} lacks the column {missing[0]}{belongs}: check the file.")
        at = [self.columns.index(name) for name in names]
        values = np.array([[number(row[i]) for i in at] for row in self.rows], dtype=float).reshape(-1, len(names))
        if bad := np.argwhere(np.isnan(values)).tolist():
            row, column = bad[0]
            raise InputError(
                f"{self.path}, line {self.lines[row]}: expected a number in the column {names[column]}, got "
                f"{self.rows[row][at[column]][:80]!r}."
            )
        return values

    def known(self, column: str) -> list[bool]:
        """Of each row, whether it says anything in a column of numbers."""
        return [value.strip().lower() not in MISSING for value in self.text(column)]

    def where(self, rows: Sequence[int]) -> Table:
        """Some of the rows, by their numbers."""
        return replace(self, rows=[self.rows[i] for i in rows], lines=[self.lines[i] for i in rows])

    def renamed(self, names: Mapping[str, str]) -> Table:
        """The same with other names of columns."""
        return replace(self, columns=tuple(names.get(column, column) for column in self.columns))

    def by(self, *columns: str) -> dict[tuple[str, ...], list[int]]:
        """The numbers of the rows that have the same text in these columns, by that text, in the order of the file."""
        groups: dict[tuple[str, ...], list[int]] = {}
        for i, key in enumerate(zip(*map(self.text, columns), strict=True)):
            groups.setdefault(key, []).append(i)
        return groups


def table_of(path: Path, name: str, columns: Sequence[str], rows: Sequence[tuple[int, Sequence[str]]]) -> Table:
    """A table of numbered lines. Raises `InputError` for a row with more or fewer values than there are columns."""
    for line, row in rows:
        if len(row) != len(columns):
            raise InputError(
                f"{path}, line {line}: expected {counted(len(columns), 'value')}, one a column, got {len(row)}: "
                "correct the line."
            )
    return Table(path, name, tuple(columns), [row for _, row in rows], [line for line, _ in rows])
