"""Dynamo's tables (.tbl), with the map of tomogram numbers to files (.doc).

Sources. Columns: the wiki's "Table convention". Positions: its "Volume center": coordinates begin at the outer corner
of the first pixel, so that the centre of a voxel is a half number, 0.5 for the first (columns 24 to 26 of a table that
cropping made are such halves); pixel *indices* begin at 1. Columns 4 to 6 are shifts that are added. Column 36, where
it is there and not 0, is Å a voxel. A column 10 of zeros alone holds no scores: Dynamo writes it before an alignment.
Orientations: `euler_angles`. The .doc has one line per tomogram: its number, its file (as teamtomo's `dynamotable`
reads it). Three zeros as angles are taken for an orientation that is not known, as Dynamo itself begins with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tomosoup.core.errors import InputError
from tomosoup.core.types import Array, Picks
from tomosoup.data.formats.base import Block, Details
from tomosoup.data.formats.geometry.euler_angles import dynamo_angles, from_dynamo
from tomosoup.data.formats.tables.text import finite, number, read_text
from tomosoup.data.formats.tables.tomogram_map import map_content, names_of

COLUMNS = 35
"""Of the tables that Dynamo writes."""
TAG, ALIGNED, SHIFT, ANGLES, SCORE, TOMOGRAM = 0, 1, slice(3, 6), slice(6, 9), 9, 19
POSITION, APIX = slice(23, 26), 35
"""Columns, counted from 0."""


def encode(blocks: Sequence[Block], details: Details) -> dict[str, bytes]:  # noqa: ARG001
    """The table, tomograms numbered from 1 as they come, and the map."""
    runs = list(dict.fromkeys(block.run or "" for block in blocks))
    rows = np.zeros((sum(len(block.picks) for block in blocks), COLUMNS))
    rows[:, TAG], rows[:, ALIGNED] = np.arange(1, len(rows) + 1), 1
    start = 0
    for block in blocks:
        part = rows[start : start + len(block.picks)]
        part[:, POSITION] = block.picks.zyx[:, ::-1]
        part[:, SCORE] = block.picks.score
        part[:, TOMOGRAM] = runs.index(block.run or "") + 1
        if block.picks.rotations is not None:
            part[:, ANGLES] = dynamo_angles(block.picks.rotations)
        start += len(part)
    table = "".join(" ".join(f"{value:.9g}" for value in row) + "\n" for row in rows)
    return {".tbl": table.encode(), ".doc": map_content({run: i for i, run in enumerate(runs, start=1)})}


def decode(path: Path, details: Details) -> list[Block]:  # noqa: ARG001
    """One block per tomogram; the run is the file that the .doc beside the table names, or None without a .doc."""
    rows, sizes = _numbers(path)
    numbers = np.unique(rows[:, TOMOGRAM])
    names = names_of(numbers.tolist(), path, ".doc")
    if not names and len(numbers) > 1:
        raise InputError(
            f"{path} holds picks of {len(numbers)} tomograms by number: put the map of their names (number, file) "
            f"beside it, as {path.with_suffix('.doc').name}."
        )
    blocks = []
    for tomogram, size in sorted(set(zip(rows[:, TOMOGRAM].tolist(), sizes.tolist(), strict=True))):
        part = rows[(rows[:, TOMOGRAM] == tomogram) & (sizes == size)]
        rotations = from_dynamo(part[:, ANGLES]) if part[:, ANGLES].any() else None
        zyx = (part[:, POSITION] + part[:, SHIFT])[:, ::-1]
        scored = "cc (column 10)" if rows[:, SCORE].any() else None
        picks = Picks(zyx, part[:, SCORE], rotations)
        blocks.append(Block(names.get(tomogram), None, picks, size or None, scored_by=scored))
    return blocks


def _numbers(path: Path) -> tuple[Array, Array]:
    """The columns up to the positions `(n, 26)`, and Å a voxel `(n,)`, 0 where the table does not say.

    Raises `InputError` for rows that are not all of one length, of 26 columns or more.
    """
    lines = [line.split() for line in read_text(path, kind="a Dynamo table").splitlines() if line.strip()]
    width = len(lines[0]) if lines else 0
    other = next((i for i, words in enumerate(lines, start=1) if len(words) != width), None)
    if other or width < POSITION.stop:
        raise InputError(
            f"{path}, row {other or 1}: expected a Dynamo table, {POSITION.stop} or more columns of numbers and as "
            f"many in each row, got {len(lines[other - 1]) if other else width} columns."
        )
    rows = finite((words[: POSITION.stop] for words in lines), where=str(path), columns=POSITION.stop)
    sizes = np.array([number(words[APIX]) if width > APIX else 0.0 for words in lines])
    return rows, np.where(sizes > 0, sizes, 0.0)
