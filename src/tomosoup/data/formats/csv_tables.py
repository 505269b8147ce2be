"""Picks as CSV tables: ours, and the contest's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

from tomosoup.core.errors import InputError, first_line
from tomosoup.core.files import written_aside
from tomosoup.core.types import Picks, PicksByRun, PicksBySpecies, check_name

COLUMNS = ["experiment", "particle_type", "x", "y", "z"]


def write_csv(path: Path, picks: PicksByRun | Iterable[tuple[str, PicksBySpecies]], *, scores: bool = True) -> None:
    """One row a pick, in Å: experiment, particle_type, x, y, z, score; run by run, as they come.

    Without `scores` it is the contest's submission: id, experiment, particle_type, x, y, z.
    """
    with written_aside(path) as aside, aside.open("w", newline="") as file:
        write_rows(file, picks, scores=scores)


def write_rows(file: IO[str], picks: PicksByRun | Iterable[tuple[str, PicksBySpecies]], *, scores: bool = True) -> None:
    """What `write_csv` writes, into an open file."""
    first = 0
    pairs = picks.items() if isinstance(picks, Mapping) else picks
    for run, species in chain([("", {})], pairs):  # first nothing, for the header
        table = pd.DataFrame(
            [
                (run, name, x, y, z, score)
                for name, found in species.items()
                for (z, y, x), score in zip(found.zyx, found.score, strict=True)
            ],
            columns=[*COLUMNS, "score"],
        )
        if not scores:
            rows = range(first, first + len(table))
            table = table.drop(columns="score").set_index(pd.Index(rows, name="id")).reset_index()
            first += len(table)
        header = not file.tell()
        table.to_csv(file, index=False, header=header, float_format="%.6g" if scores else "%.3f")


def read_csv(path: Path) -> dict[str, dict[str, Picks]]:
    """Picks by run and species, from any table with the columns `COLUMNS`; score is 1 where the column is missing.

    Raises `InputError` for a file without those columns, or with positions that are not numbers.
    """
    try:
        table = pd.read_csv(path, dtype={"experiment": str, "particle_type": str})
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a CSV table ({first_line(error)}).") from error
    missing = [c for c in COLUMNS if c not in table.columns]
    if missing:
        raise InputError(
            f"{path} lacks the columns {', '.join(missing)}; expected {', '.join(COLUMNS)} (Å) and, if known, score."
        )
    columns = table.assign(score=table.get("score", 1.0))[["z", "y", "x", "score"]]
    numbers = columns.apply(pd.to_numeric, errors="coerce")
    bad = ~np.isfinite(numbers.to_numpy(dtype=float)).all(axis=1) | table[COLUMNS[:2]].isna().any(axis=1).to_numpy()
    if bad.any():
        raise InputError(
            f"{path}, line {int(np.argmax(bad)) + 2}: expected a run, a species and numbers x, y, z (and score); "
            "correct or drop the line."
        )
    picks: dict[str, dict[str, Picks]] = {}
    for (run, name), rows in numbers.groupby([table["experiment"], table["particle_type"]]):
        check_name(str(run), what="a run")
        check_name(str(name), what="a species")
        values = rows.to_numpy(dtype=float)
        picks.setdefault(str(run), {})[str(name)] = Picks(values[:, :3], values[:, 3])
    return picks
