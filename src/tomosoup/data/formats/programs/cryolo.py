"""crYOLO's picks in tomograms: centres (.coords) and boxes with confidences (.cbox).

Source: crYOLO 1.9.9, cryolo/CoordsIO.py. A .coords line is x, y, z of the centre, in voxels; z is the slice. A .cbox
file is STAR, its table `cryolo`: _CoordinateX/Y is a box's lower left corner, so the centre less half of
_Width/_Height, _CoordinateZ the centre's slice; `cryolo_include` lists the slices that were looked at. crYOLO counts
voxels from 0 and does not say where in a voxel a whole number is: at its centre, as slices are numbered.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import starfile

from tomosoup.core.errors import InputError
from tomosoup.core.types import Picks
from tomosoup.data.formats.base import Block, Details, placed
from tomosoup.data.formats.tables.score_names import score_column, scores_of
from tomosoup.data.formats.tables.star import read_star
from tomosoup.data.formats.tables.text import finite, read_text

CORNER, SIZE = ["CoordinateX", "CoordinateY", "CoordinateZ"], ["Width", "Height"]


def encode_coords(blocks: Sequence[Block], details: Details) -> dict[str, bytes]:  # noqa: ARG001
    """A line a pick."""
    lines = [f"{x:.6f} {y:.6f} {z:.6f}\n" for block in blocks for z, y, x in block.picks.zyx]
    return {".coords": "".join(lines).encode()}


def decode_coords(path: Path, details: Details) -> list[Block]:  # noqa: ARG001
    """One block; a fourth number a line, a filament's, is left out."""
    lines = read_text(path, kind="crYOLO coordinates").splitlines()
    words = (line.split() for line in lines if line.strip())
    rows = finite((row[:3] if len(row) == 4 else row for row in words), where=str(path), columns=3)
    return [Block(None, None, placed(rows[:, ::-1]))]


def encode_cbox(blocks: Sequence[Block], details: Details) -> dict[str, bytes]:
    """Boxes as large as the species' diameter."""
    (block,) = blocks
    picks = block.picks
    side = max(2.0, np.ceil(2 * details.radius(block.species or "") / details.grids[block.run or ""].voxel_size))
    table = pd.DataFrame(picks.zyx[:, ::-1] - [side / 2, side / 2, 0], columns=CORNER)
    table[["Width", "Height", "Depth"]] = side
    table["Confidence"] = picks.score
    slices = pd.DataFrame({"slice_index": np.unique(np.rint(picks.zyx[:, 0]).astype(int))})
    parts = {"global": {"cbox_format_version": "1.0"}, "cryolo": table, "cryolo_include": slices}
    return {".cbox": starfile.to_string(parts, float_format="%.6f").encode()}


def decode_cbox(path: Path, details: Details) -> list[Block]:  # noqa: ARG001
    """One block."""
    tables = [table for table in read_star(path) if set(CORNER + SIZE) <= set(table.columns)]
    if len(tables) != 1:
        raise InputError(
            f"{path} has {len(tables)} tables with the columns {', '.join(CORNER + SIZE)}; expected one, named "
            "cryolo: choose another `format`, or another file."
        )
    (table,) = tables
    corner, size = table.numbers(CORNER), table.numbers(SIZE)
    xyz = corner + np.column_stack((size / 2, np.zeros(len(size))))
    return [Block(None, None, Picks(xyz[:, ::-1], scores_of(table)), scored_by=score_column(table))]
