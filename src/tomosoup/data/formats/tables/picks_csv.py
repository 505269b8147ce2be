"""Picks as CSV tables: ours, and the contest's."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import IO

import numpy as np

from tomosoup.core.errors import InputError
from tomosoup.core.files import refuse_packed, written_aside
from tomosoup.core.types import Array, Picks, PicksByRun, PicksBySpecies, check_name
from tomosoup.data.formats.tables.delimited import read_delimited
from tomosoup.data.formats.tables.score_names import scores_of
from tomosoup.data.formats.tables.table import Table

COLUMNS = ["experiment", "particle_type", "x", "y", "z"]


Notes = tuple[str, Callable[[str, str, Picks], Sequence[str]]]
"""A further column: its heading and, of a run, a species and its picks, the text of each pick."""


def _distances(_: str, __: str, picks: Picks) -> Sequence[str]:
    known = [np.nan] * len(picks) if picks.mask_distance is None else picks.mask_distance.tolist()
    return [f"{distance:.1f}" if np.isfinite(distance) else "" for distance in known]


MASK_DISTANCE: Notes = ("mask_distance", _distances)
"""Å to the surface of the mask that the picks are kept in; nothing for picks that have none."""


def measured(picks: PicksByRun) -> bool:
    """Whether any of the picks have distances to a mask."""
    return any(found.mask_distance is not None for those in picks.values() for found in those.values())


def write_csv(
    path: Path,
    picks: PicksByRun | Iterable[tuple[str, PicksBySpecies]],
    *,
    scores: bool = True,
    notes: Sequence[Notes] = (),
) -> None:
    """One row a pick, in Å: experiment, particle_type, x, y, z, score; run by run, as they come.

    The columns of `notes` follow, and MASK_DISTANCE where a mapping holds distances. Without `scores` it is the
    contest's submission: id, experiment, particle_type, x, y, z.
    """
    refuse_packed(path)
    with written_aside(path) as aside, aside.open("w", newline="") as file:
        write_rows(file, picks, scores=scores, notes=notes)


def write_rows(
    file: IO[str],
    picks: PicksByRun | Iterable[tuple[str, PicksBySpecies]],
    *,
    scores: bool = True,
    notes: Sequence[Notes] = (),
) -> None:
    """What `write_csv` writes, into an open file."""
    if isinstance(picks, Mapping) and measured(picks):
        notes = [*notes, MASK_DISTANCE]
    rows, identifier = csv.writer(file, lineterminator="\n"), count()
    rows.writerow([*COLUMNS, "score", *(heading for heading, _ in notes)] if scores else ["id", *COLUMNS])
    for run, species in picks.items() if isinstance(picks, Mapping) else picks:
        for name, found in species.items():
            further = [texts(run, name, found) for _, texts in notes]
            for (z, y, x), score, *last in zip(found.zyx.tolist(), found.score.tolist(), *further, strict=True):
                if scores:
                    rows.writerow([run, name, *(_short(value) for value in (x, y, z)), f"{score:.6g}", *last])
                else:
                    rows.writerow([next(identifier), run, name, f"{x:.3f}", f"{y:.3f}", f"{z:.3f}"])


def _short(value: float) -> str:
    """Å with four decimal places, without those that are 0."""
    return f"{value:.4f}".rstrip("0").rstrip(".")


def read_csv(path: Path) -> dict[str, dict[str, Picks]]:
    """Picks by run and species, from any table with the columns `COLUMNS`; score is 1 where the table has none.

    Raises `InputError` for a file without those columns, or with positions that are not numbers.
    """
    return picks_of(read_table(path))


def read_table(path: Path) -> Table:
    """A table that has the columns `COLUMNS`, as text."""
    return read_delimited(path, COLUMNS, expected=f"{', '.join(COLUMNS)} (Å) and, if known, score")


def picks_of(table: Table) -> dict[str, dict[str, Picks]]:
    """The picks of such a table by run and species."""
    groups = sorted(table.by(*COLUMNS[:2]).items())
    for (run, name), rows in groups:
        if not run or not name:
            raise InputError(
                f"{table.path}, line {table.lines[rows[0]]}: expected a run and a species; correct or drop the line."
            )
        check_name(run, what="a run")
        check_name(name, what="a species")
    numbers, score, distances = table.numbers(["z", "y", "x"]), scores_of(table), distances_of(table, MASK_DISTANCE[0])
    picks: dict[str, dict[str, Picks]] = {}
    for (run, name), rows in groups:
        distance = None if distances is None else distances[rows]
        picks.setdefault(run, {})[name] = Picks(numbers[rows], score[rows], None, distance)
    return picks


def distances_of(table: Table, column: str) -> Array | None:
    """The distance (Å) of each row to a mask `(n,)`, NaN where the column is empty; None without the column."""
    if column not in table:
        return None
    distance, known = np.full(len(table), np.nan), np.flatnonzero(table.known(column))
    distance[known] = table.where(known.tolist()).numbers([column])[:, 0]
    return distance
