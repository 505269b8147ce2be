"""EMAN2's info files of tomograms (info/..._info.json): `boxes_3d` and `class_list`.

Source: EMAN2's programs e2spt_tempmatch.py, e2spt_extract.py and its tools that draw boxes in tomograms: a box is
[x, y, z, method, score, class], counted from the tomogram's centre (index less size / 2, voxel 0 at 0) in pixels of the
unbinned tilt series, whose size is `apix_unbin`; `class_list` has, by number, a class's name and the side of its boxes
in those pixels. Boxes that were drawn have the score 0. Without `apix_unbin`, as older versions wrote the file, boxes
count voxels of the tomogram from its first one (e2spt_extract.py and e2spt_boxer.py tell the two apart by it). Such a
file also holds the alignment of the tilt series, so what else is in it is kept.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tomosoup.core.errors import InputError, first_line
from tomosoup.data.formats.base import Block, Details, placed
from tomosoup.data.formats.tables.text import finite, read_text

METHOD = "tomosoup"
"""How boxes of ours say where they are from."""


def encode(blocks: Sequence[Block], details: Details) -> dict[str, bytes]:
    """Boxes and classes; sides are the species' diameters."""
    pixel_size = details.pixel_size or 1.0  # the frame has asked for one
    boxes: list[list[Any]] = []
    classes: dict[str, Any] = {}
    for number, block in enumerate(blocks):
        name = block.species or ""
        classes[str(number)] = {"name": name, "boxsize": 2 * int(np.ceil(details.radius(name) / pixel_size))}
        boxes += [
            [round(x, 4), round(y, 4), round(z, 4), METHOD, score, number]
            for (z, y, x), score in zip(block.picks.zyx.tolist(), block.picks.score.tolist(), strict=True)
        ]
    return {
        ".json": json.dumps({"apix_unbin": pixel_size, "class_list": classes, "boxes_3d": boxes}, indent=1).encode()
    }


def merge(old: bytes, new: bytes, path: Path) -> bytes:
    """The old file with the new boxes, in place of ours in its classes of the same names; boxes of others stay.

    Raises `InputError` for other files.
    """
    before, added = _parsed(old, path), json.loads(new)
    classes, boxes = _classes(before, path), _boxes(before, path)
    if before.get("apix_unbin", added["apix_unbin"]) != added["apix_unbin"]:
        raise InputError(
            f"{path} counts in pixels of {before['apix_unbin']} Å (apix_unbin), and `pixel_size` is "
            f"{added['apix_unbin']:g}: give the file's."
        )
    numbers = {entry["name"]: int(number) for number, entry in classes.items()}
    moved_to: dict[int, int] = {}
    for number, entry in added["class_list"].items():
        moved_to[int(number)] = numbers.setdefault(entry["name"], 1 + max(numbers.values(), default=-1))
        classes[str(moved_to[int(number)])] = entry
    others = [box for box in boxes if box[5] not in moved_to.values() or box[3] != METHOD]
    moved = [[*box[:5], moved_to[box[5]]] for box in added["boxes_3d"]]
    return json.dumps({**before, **added, "class_list": classes, "boxes_3d": others + moved}, indent=1).encode()


def decode(path: Path, details: Details) -> list[Block]:  # noqa: ARG001
    """A block a class."""
    info = _parsed(read_text(path, kind="an EMAN2 info file").encode(), path)
    classes, boxes = _classes(info, path), _boxes(info, path)
    said = info.get("apix_unbin")
    if said is not None:
        said = float(finite([[said]], where=f"{path}, apix_unbin", columns=1)[0, 0])
        if said <= 0:
            raise InputError(f"{path} says that a pixel measures {said:g} Å (apix_unbin): correct it.")
    blocks = []
    for number, entry in classes.items():
        rows = finite(
            ([*box[:3], box[4]] for box in boxes if str(box[5]) == number), where=f"{path}, boxes_3d", columns=4
        )
        if len(rows):
            scored = "the fifth of a box" if rows[:, 3].any() else None
            picks = placed(rows[:, 2::-1], rows[:, 3])
            blocks.append(Block(None, entry["name"], picks, said, scored_by=scored))
    if strangers := sorted({str(box[5]) for box in boxes} - set(classes)):
        raise InputError(f"{path} has boxes of class {strangers[0][:20]}, which its class_list does not name: add it.")
    return blocks


def _parsed(content: bytes, path: Path) -> dict[str, Any]:
    try:
        info = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as JSON ({first_line(error)}): check the file.") from error
    if not isinstance(info, dict):
        raise InputError(f"{path} is not an EMAN2 info file: expected an object with boxes_3d and class_list.")
    return info


def _classes(info: dict[str, Any], path: Path) -> dict[str, Any]:
    classes = info.get("class_list", {})
    if not isinstance(classes, dict) or not all(
        number.isdecimal() and isinstance(entry, dict) and isinstance(entry.get("name"), str)
        for number, entry in classes.items()
    ):
        raise InputError(f"{path}: expected a class_list of numbers, each with a name.")
    return {str(int(number)): entry for number, entry in classes.items()}


def _boxes(info: dict[str, Any], path: Path) -> list[list[Any]]:
    boxes = info.get("boxes_3d", [])
    if not isinstance(boxes, list) or not all(
        isinstance(box, list) and len(box) >= 6 and isinstance(box[5], int) for box in boxes
    ):
        raise InputError(f"{path}: expected boxes_3d of [x, y, z, method, score, class].")
    if boxes and "apix_unbin" not in info:
        raise InputError(
            f"{path} has no apix_unbin, so its boxes count voxels of the tomogram from its corner, as in old versions "
            "of EMAN2: write their x, y, z as text, and import them with the format xyz."
        )
    return boxes
