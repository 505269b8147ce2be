"""Points and nothing else: plain text (x y z), IMOD's model2point, and napari's CSV. None says what its unit is.

Sources. model2point (flib/model/model2point.f90, and its manual page): a point a line, in a model's voxels (`imod`).
With -contour the contour's number is in front, with -object also the object's, and with -values a value is behind. Its
coordinates have decimal points, and the numbers in front have none. z of the first slice is 0, or 0.5 with -zcoord.
napari (napari_builtins/io/_write.py, `napari_write_points`): the columns index and axis-0, axis-1, ..., then the
properties of the points. Axes are z, y, x in voxels, as in a layer that is not scaled; a whole number is the centre of
a voxel. Plain text has no rule of its own. We count as in napari.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tomosoup.core.errors import InputError
from tomosoup.data.formats.base import Block, Details, placed
from tomosoup.data.formats.tables.delimited import read_delimited
from tomosoup.data.formats.tables.score_names import score_column, scores_of
from tomosoup.data.formats.tables.text import finite, read_text

AXES, SCORE = ["axis-0", "axis-1", "axis-2"], "score"


def encode_text(blocks: Sequence[Block], details: Details) -> dict[str, bytes]:  # noqa: ARG001
    """A line a pick: x y z."""
    return {".txt": "".join(f"{x:.6f} {y:.6f} {z:.6f}\n" for block in blocks for z, y, x in block.picks.zyx).encode()}


def encode_napari(blocks: Sequence[Block], details: Details) -> dict[str, bytes]:  # noqa: ARG001
    """The table of a layer of points, with their scores as a property."""
    points = [point for block in blocks for point in block.picks.zyx.tolist()]
    scores = [score for block in blocks for score in block.picks.score.tolist()]
    rows = [
        f"{i},{z:.6f},{y:.6f},{x:.6f},{score:.6f}"
        for i, ((z, y, x), score) in enumerate(zip(points, scores, strict=True))
    ]
    return {".csv": ("\n".join([",".join(["index", *AXES, SCORE]), *rows]) + "\n").encode()}


def decode_text(path: Path, details: Details) -> list[Block]:  # noqa: ARG001
    """One block. Raises `InputError` for lines that are not three numbers."""
    return [Block(None, None, placed(finite(_rows(path), where=str(path), columns=3)[:, ::-1]))]


def decode_model2point(path: Path, details: Details) -> list[Block]:  # noqa: ARG001
    """One block; a value behind the coordinates is the score.

    Raises `InputError` for points of several objects, and where coordinates cannot be told from other numbers.
    """
    rows = _rows(path)
    width = len(rows[0]) if rows else 3
    values = finite(rows, where=str(path), columns=width)
    whole = [not any("." in row[i] for row in rows) for i in range(width)]
    ahead = 0 if width == 3 else next((i for i, without in enumerate(whole) if not without), width)
    if ahead > 2 or width - ahead not in (3, 4):
        raise InputError(
            f"{path}: expected x y z with decimal points, with at most the numbers of object and contour in front and "
            f"a value behind, got {' '.join(rows[0])[:80]!r}: run model2point -float."
        )
    if ahead == 2 and len(set(values[:, 0].tolist())) > 1:
        raise InputError(
            f"{path} has points of several objects, which have numbers here and no names: import the model itself "
            "with the format imod, or write a file an object."
        )
    scored = width - ahead == 4
    picks = placed(values[:, ahead : ahead + 3][:, ::-1], values[:, -1] if scored else None)
    return [Block(None, None, picks, scored_by="the values of its points" if scored else None)]


def decode_napari(path: Path, details: Details) -> list[Block]:  # noqa: ARG001
    """One block. Raises `InputError` for shapes, and for points that have not three axes."""
    table = read_delimited(
        path, AXES, expected="a layer of points of napari: index, axis-0 (z), axis-1 (y), axis-2 (x)"
    )
    if "axis-3" in table or "shape-type" in table:
        what = "four axes" if "axis-3" in table else "shapes"
        raise InputError(f"{path} has {what}; expected points with three axes: save a layer of points of one tomogram.")
    return [Block(None, None, placed(table.numbers(AXES), scores_of(table)), scored_by=score_column(table))]


def _rows(path: Path) -> list[list[str]]:
    """The words of each line that is neither empty nor a comment; commas count as spaces."""
    lines = (line.split("#")[0] for line in read_text(path, kind="a list of points").splitlines())
    return [line.replace(",", " ").split() for line in lines if line.strip()]
