"""STOPGAP's motive lists (.star), with its list of tomograms (.txt).

Sources. Columns: sg_toolbox/sg_get_motl_fields.m; every one is written, as `sg_motl_read2` warns of those that lack. It
refuses others, also names with a number behind them (`_score #9`), as the package starfile writes them. Half-sets are A
and B in turn. All else: `motive_list`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tomosoup.core.errors import InputError
from tomosoup.data.formats.base import Block, Details
from tomosoup.data.formats.programs.motive_list import MAP, MotiveList
from tomosoup.data.formats.programs.star import plain
from tomosoup.data.formats.tables.star import read_star

TABLE = "stopgap_motivelist"
TOMOGRAM, SCORE = "tomo_num", "score"
POSITIONS, SHIFTS, ANGLES = (
    ["orig_x", "orig_y", "orig_z"],
    ["x_shift", "y_shift", "z_shift"],
    ["phi", "psi", "the"],
)
COLUMNS = ["motl_idx", TOMOGRAM, "object", "subtomo_num", "halfset", *POSITIONS, SCORE, *SHIFTS, *ANGLES, "class"]


def encode(blocks: Sequence[Block], details: Details) -> dict[str, bytes]:
    """The list, and the map of its tomograms."""
    for block in blocks:
        plain(block.run or "")
    motl, tomograms = MotiveList.of(blocks, details)
    lines = ["", f"data_{TABLE}", "", "loop_", *(f"_{name}" for name in COLUMNS), ""]
    rows = zip(motl.tomograms, motl.positions, motl.scores, motl.shifts, motl.angles, strict=True)
    for i, (tomogram, (x, y, z), score, shifts, angles) in enumerate(rows, start=1):
        rest = " ".join(f"{value:.6f}" for value in (score, *shifts, *angles))
        lines.append(f"{i} {tomogram} 1 {i} {'AB'[(i - 1) % 2]} {x:.0f} {y:.0f} {z:.0f} {rest} 1")
    return {".star": ("\n".join(lines) + "\n").encode(), MAP: tomograms}


def decode(path: Path, details: Details) -> list[Block]:  # noqa: ARG001
    """A block a tomogram. Raises `InputError` for a file without a table of this name, or with several."""
    tables = [table for table in read_star(path) if table.name == TABLE]
    if len(tables) != 1:
        raise InputError(
            f"{path} has {len(tables)} tables data_{TABLE}; expected one: choose another `format`, or another file."
        )
    (table,) = tables
    scores = table.numbers([SCORE])[:, 0]
    motl = MotiveList(
        table.numbers([TOMOGRAM])[:, 0],
        table.numbers(POSITIONS),
        scores,
        table.numbers(SHIFTS),
        table.numbers(ANGLES),
    )
    return motl.blocks(path, score=SCORE)
