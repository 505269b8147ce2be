"""ChimeraX's markers (.cmm), and a script (.cxc) that opens them on their tomogram.

Sources. The user guide's "Markers and Links": XML, positions in Å of the scene, colours from 0 to 1, attributes of
one's own are kept (here: `score`); several sets in a file stand in `marker_sets`, as ChimeraX writes them. A volume's
voxel 0 has its centre at the volume's origin (T. Goddard, chimera-dev, October 2007: the origin is the position of
index 0, 0, 0); the script sets that origin to 0 and the voxel size, whatever the file says. ChimeraX runs a script in
the script's folder.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

import numpy as np

from tomosoup.core.errors import InputError, first_line
from tomosoup.data.copick.files import COLOURS, rgba
from tomosoup.data.formats.base import Block, Details, placed
from tomosoup.data.formats.tables.text import finite, read_text

UNNAMED = re.compile("(marker set( [0-9]+)?)?")
"""What ChimeraX calls a set of markers that a user has not named."""


def encode(blocks: Sequence[Block], details: Details) -> dict[str, bytes]:
    """A set of markers a species, as large as the species' radius and in its colour, and the script."""
    sets = [_marker_set(block, details) for block in blocks]
    text = "\n".join(["<marker_sets>", *sets, "</marker_sets>"] if len(sets) > 1 else sets)
    return {".cmm": (text + "\n").encode(), ".cxc": _script(blocks, details).encode()}


def _marker_set(block: Block, details: Details) -> str:
    name = block.species or ""
    red, green, blue, _ = (part / 255 for part in rgba(COLOURS[details.number(name) % len(COLOURS)]))
    look = f'r="{red:.4f}" g="{green:.4f}" b="{blue:.4f}" radius="{details.radius(name):g}"'
    markers = [
        f'<marker id="{i}" x="{x:.4f}" y="{y:.4f}" z="{z:.4f}" {look} score="{score:.6g}"/>'
        for i, ((z, y, x), score) in enumerate(zip(block.picks.zyx, block.picks.score, strict=True), start=1)
    ]
    return "\n".join([f"<marker_set name={quoteattr(name)}>", *markers, "</marker_set>"])


def _script(blocks: Sequence[Block], details: Details) -> str:
    """Commands that open the tomogram, where it is known, and the markers."""
    run = blocks[0].run or ""
    lines = []
    if details.volume:
        size = details.grids[run].voxel_size
        lines += [
            f"open {quoted(details.volume.replace('{run}', run))}",
            f"volume #1 voxelSize {size:.6g} originIndex 0,0,0",
            "volume #1 style image",
        ]
    lines += [f"open {quoted(details.file)}", "view"]
    return "\n".join(lines) + "\n"


def quoted(name: str) -> str:
    """A file name as one word of a ChimeraX command. Raises `InputError` for one with both kinds of quotes."""
    if '"' in name and "'" in name:
        raise InputError(f"ChimeraX cannot be given the file name {name!r}: choose one without quotes.")
    return f"'{name}'" if '"' in name else f'"{name}"'


def decode(path: Path, details: Details) -> list[Block]:  # noqa: ARG001
    """A block a marker set, named by it unless ChimeraX gave the name."""
    text = read_text(path, kind="ChimeraX markers")
    if "<!" in text.replace("<!--", ""):  # entities could be made to grow without end
        raise InputError(f"{path} declares a document type, which marker files do not: it is not opened.")
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is not a ChimeraX marker file ({first_line(error)}): check the file.") from error
    sets = list(root.iter("marker_set"))
    if not sets:
        raise InputError(f"{path} holds no <marker_set>; expected a ChimeraX marker file.")
    blocks = []
    for found in sets:
        markers = list(found.iter("marker"))
        unscored = sum(m.get("score") is None for m in markers)
        rows = [[m.get("z"), m.get("y"), m.get("x"), m.get("score", "1")] for m in markers]
        values = finite(rows, where=str(path), columns=4)
        picks = placed(values[:, :3], np.ascontiguousarray(values[:, 3]))
        blocks.append(
            Block(
                None,
                None if UNNAMED.fullmatch(found.get("name", "")) else found.get("name"),
                picks,
                scored_by="score" if unscored < len(markers) else None,
                unscored=unscored,
            )
        )
    return blocks
