"""What programs call the score of a pick."""

from __future__ import annotations

import numpy as np

from tomosoup.core.errors import InputError
from tomosoup.core.types import Array
from tomosoup.data.formats.tables.table import Table

SCORES = (
    "score",
    "rlnAutopickFigureOfMerit",
    "rlnLCCmax",
    "ptmLCCmax",
    "LCCmax",
    "confidence",
    "probability",
    "figure_of_merit",
    "ccc",
    "cc",
    "peak",
)
"""Columns of scores, the first that is not empty counts; capital letters do not. pytom-match-pick writes LCCmax with
ptm (before its version 0.7) or rln in front, crYOLO Confidence, Warp and RELION the figure of merit."""
USUAL = {"score", "rlnAutopickFigureOfMerit", "Confidence"}
"""Columns of scores that need no remark: tomosoup writes these."""


def score_column(table: Table) -> str | None:
    """The column with the scores of a table; None where it has none, or no value in it."""
    small = {column.lower(): column for column in table.columns}
    there = [small[name.lower()] for name in SCORES if name.lower() in small]
    return next((column for column in there if any(table.known(column))), None)


def scores_of(table: Table) -> Array:
    """The score of each row `(n,)`; 1 where the table has none.

    Raises `InputError`, with its line, for a row without a score where others have one.
    """
    column = score_column(table)
    if column is None:
        return np.ones(len(table))
    known = table.known(column)
    if not all(known):
        raise InputError(
            f"{table.path}, line {table.lines[known.index(False)]}: the column {column} has no score here, and has in "
            "other lines: add it, or remove the line."
        )
    return table.numbers([column])[:, 0]
