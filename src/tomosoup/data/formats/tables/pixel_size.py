"""The pixel size that the positions of a STAR file are in, row by row.

Sources. RELION 3.0: rlnDetectorPixelSize (micrometres) / rlnMagnification x 10^4 is Å. RELION 3.1 and later: sizes
stand in the table `optics`, a row for each rlnOpticsGroup. pytom-match-pick writes rlnDetectorPixelSize in Å and no
magnification.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tomosoup.core.errors import InputError
from tomosoup.core.types import Array
from tomosoup.data.formats.tables.table import Table

DETECTOR, MAGNIFICATION, GROUP = "rlnDetectorPixelSize", "rlnMagnification", "rlnOpticsGroup"
SAME = 0.02
"""Pixel sizes that differ by a smaller fraction are one, differently rounded."""


def pixel_sizes(rows: Table, optics: Table | None, names: Sequence[str], *, agree: bool = True) -> Array | None:
    """Å a pixel, of each row `(n,)`; None where the file does not say.

    Args:
        rows: The particles.
        optics: The optics that belong to them.
        names: The columns of sizes, in the order in which they count; the detector's counts last.
        agree: Whether columns that disagree are an error.

    Raises `InputError` where two columns disagree, an optics group is not defined once, or a size is not above 0.
    """
    stated = {name: sizes for name in (*names, DETECTOR) if (sizes := _of_rows(rows, optics, name)) is not None}
    magnification = _of_rows(rows, optics, MAGNIFICATION) if DETECTOR in stated else None
    if magnification is not None:
        stated[DETECTOR] = stated[DETECTOR] * 1e4 / magnification
    if not stated:
        return None
    first = next(iter(stated))
    for other, sizes in stated.items():
        if agree and (differ := np.abs(sizes / stated[first] - 1) > SAME).any():
            i = int(np.argmax(differ))
            raise InputError(
                f"{rows.path}, line {rows.lines[i]}: the pixel size is {stated[first][i]:g} Å by {first} and "
                f"{sizes[i]:g} Å by {other}: give the right one as `pixel_size`."
            )
    return stated[first]


def _of_rows(rows: Table, optics: Table | None, column: str) -> Array | None:
    """A column of the particles, or else of their optics; None where neither has it. All values are above 0."""
    table = rows if column in rows else optics if optics is not None and column in optics else None
    if table is None or not any(table.known(column)):
        return None
    values = table.numbers([column])[:, 0]
    if not (values > 0).all():
        line = table.lines[int(np.argmin(values > 0))]
        raise InputError(
            f"{rows.path}, line {line}: expected {column} above 0, got {values.min():g}: correct the file."
        )
    return values if table is rows else values[_groups(rows, table)]


def _groups(rows: Table, optics: Table) -> list[int]:
    """The row of the optics that each particle belongs to."""
    if len(optics) == 1 and (GROUP not in rows or GROUP not in optics):
        return [0] * len(rows)
    for table, called in ((rows, "particles"), (optics, "optics")):
        if GROUP not in table:
            raise InputError(
                f"{rows.path} has {len(optics)} optics groups, and its {called} have no column {GROUP}: add it."
            )
    groups = optics.numbers([GROUP])[:, 0].tolist()
    places = {group: i for i, group in enumerate(groups)}
    if len(places) < len(groups):
        raise InputError(f"{rows.path} defines an optics group twice: correct its table optics.")
    wanted = rows.numbers([GROUP])[:, 0].tolist()
    if unknown := [i for i, group in enumerate(wanted) if group not in places]:
        raise InputError(
            f"{rows.path}, line {rows.lines[unknown[0]]}: optics group {wanted[unknown[0]]:g} is not in the table "
            "optics: correct the file."
        )
    return [places[group] for group in wanted]
