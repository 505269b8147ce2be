"""IMOD's models: binary (.mod), and as text.

Sources. Binary: bio3d.colorado.edu/imod/doc/binspec.html; text: its asciispec.html and `imodWriteAscii`
(libimod/imodel_files.c), which `imodinfo -a` uses. A model counts in voxels; the centre of the first voxel is at x = y
= 0.5 and z = 0 (MatTomo's guide, "Indexing and coordinate mapping between IMOD and Matlab"). One object per species,
one contour of scattered points (flags 1 << 3 and 1 << 9), spheres of the species' radius. Scores are general values of
points: in the binary file items of type 10 with the flags (float << 2) | one point (1 << 7) in a COST chunk (istore.h),
in the text the fifth number of a point, after its size (-1 for none). A model counts the voxels of the image on which
it was last saved (manual page of `imodtrans`). Their size is in the reference image (MINX chunk: scale, shift, rotation
of the first image, then those of the last; `refcurscale` in the text); without one, the header's pixel size counts.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from tomosoup.core.errors import InputError
from tomosoup.core.types import Array
from tomosoup.data.copick.files import COLOURS, rgba
from tomosoup.data.formats.base import Block, Details, placed
from tomosoup.data.formats.tables.text import finite, read_content, read_text

MODEL, OBJECT, CONTOUR = (
    struct.Struct(">128s4iI4i6f5if2i3f"),
    struct.Struct(">64s16Ii I2i3fi8B2i"),
    struct.Struct(">iI2i"),
)
MESH, STORE, REFERENCE = struct.Struct(">2iI2h"), struct.Struct(">2hif"), struct.Struct(">18f")
LAST_SCALE = slice(9, 12)
SCATTERED, FLIPPED = 1 << 3 | 1 << 9, 1 << 16
VALUE, VALUE_FLAGS = 10, 1 << 2 | 1 << 7
LONGEST_NAME = 63
METRE = 1
UNITS = {"km": 3, "m": METRE, "cm": -2, "mm": -3, "um": -6, "nm": -9, "A": -10, "pm": -12}
"""The unit of a model's pixel size: as text, and in a binary model (0 is a pixel, whose size is not known)."""


def encode(blocks: Sequence[Block], details: Details) -> dict[str, bytes]:
    """The binary model."""
    (xmax, ymax, zmax), size = _size(blocks, details)
    sizes = xmax, ymax, zmax, len(blocks), 0, 1, 1, 0, 255
    header = MODEL.pack(
        _name("tomosoup"), *sizes, *(0.0,) * 3, *(1.0,) * 3, 0, 0, 0, 3, 128, size / 10, -9, 0, *(0.0,) * 3
    )
    parts = [b"IMODV1.2", header]
    for block in blocks:
        name, colour, radius = _look(block, details, size)
        looks = *colour, radius, 1, 3, 1, 1, 0, 0, 0, 0
        parts += [b"OBJT", OBJECT.pack(_name(name), *(0,) * 16, 1, SCATTERED, 0, 1, *looks, 0, 0)]
        parts += [b"CONT", CONTOUR.pack(len(block.picks), 0, 0, 0), block.picks.zyx[:, ::-1].astype(">f4").tobytes()]
        scores = [STORE.pack(VALUE, VALUE_FLAGS, i, score) for i, score in enumerate(block.picks.score.tolist())]
        parts += [b"COST", struct.pack(">i", len(scores) * STORE.size), *scores]
    return {".mod": b"".join([*parts, b"IEOF"])}


def encode_text(blocks: Sequence[Block], details: Details) -> dict[str, bytes]:
    """The model as `imodinfo -a` writes it."""
    (xmax, ymax, zmax), size = _size(blocks, details)
    lines = ["# imod ascii file version 2.0", "", f"imod {len(blocks)}", f"max {xmax} {ymax} {zmax}"]
    lines += ["offsets 0 0 0", "angles 0 0 0", "scale 1 1 1", f"pixsize {size / 10:g}", "units nm", ""]
    for number, block in enumerate(blocks):
        name, (red, green, blue), radius = _look(block, details, size)
        lines += [f"object {number} 1 0", f"name {name}", f"color {red:.4f} {green:.4f} {blue:.4f} 0"]
        lines += ["open", "scattered", f"pointsize {radius}", f"contour 0 0 {len(block.picks)}"]
        points = zip(block.picks.zyx.tolist(), block.picks.score.tolist(), strict=True)
        lines += [f"{x:.9g} {y:.9g} {z:.9g} -1 {score:.9g}" for (z, y, x), score in points]
    return {".txt": ("\n".join([*lines, "# end of IMOD model"]) + "\n").encode()}


def _size(blocks: Sequence[Block], details: Details) -> tuple[tuple[int, int, int], float]:
    """Voxels along x, y, z (of the picks, where the tomogram's are not known), and Å a voxel."""
    grid = details.grids[blocks[0].run or ""]
    if grid.shape is not None:
        return (grid.shape[2], grid.shape[1], grid.shape[0]), grid.voxel_size
    x, y, z = np.max([block.picks.zyx.max(axis=0)[::-1] for block in blocks], axis=0)
    return (int(max(x, 0)) + 1, int(max(y, 0)) + 1, int(max(z, 0)) + 1), grid.voxel_size


def _look(block: Block, details: Details, voxel_size: float) -> tuple[str, tuple[float, float, float], int]:
    """An object's name, colour, and radius in voxels."""
    name = block.species or ""
    red, green, blue, _ = (part / 255 for part in rgba(COLOURS[details.number(name) % len(COLOURS)]))
    return name, (red, green, blue), max(1, round(details.radius(name) / voxel_size))


def _name(name: str) -> bytes:
    content = name.encode()
    if len(content) > LONGEST_NAME:
        raise InputError(f"IMOD names objects in {LONGEST_NAME} bytes, too few for {name!r}: choose a shorter name.")
    return content


def decode(path: Path, details: Details) -> list[Block]:  # noqa: ARG001
    """A block an object that has points: of a binary model or of one as text. Its contours count alike."""
    content = read_content(path, kind="an IMOD model")
    objects, pixel_size = _binary(content, path) if content.startswith(b"IMOD") else _text(path)
    blocks = []
    for name, rows in objects:
        unscored = sum(row[3] is None for row in rows)
        values = finite(
            ([*row[:3], 1.0 if row[3] is None else row[3]] for row in rows),
            where=f"{path}, object {name!r}",
            columns=4,
        )
        scored = "the values of its points" if unscored < len(rows) else None
        if len(values):
            picks = placed(values[:, 2::-1], values[:, 3])
            blocks.append(Block(None, name or None, picks, pixel_size, scored_by=scored, unscored=unscored))
    return blocks


Objects = list[tuple[str, list[list[object]]]]
"""Name, and x, y, z, score of each point; the score is None where it has none."""


def _pixel_size(scale: Sequence[float], size: float, unit: int | None, path: Path) -> float | None:
    """Å a pixel: of the image (x, y, z; 1 if unknown), else of a size and the power of ten of its unit in metres."""
    if len({round(float(s), 3) for s in scale}) > 1:
        raise InputError(
            f"{path} was saved on an image whose voxels are {scale[0]:g} x {scale[1]:g} x {scale[2]:g} Å: open it in "
            "3dmod on the tomogram and save it there."
        )
    if scale and 0 < scale[0] < math.inf and scale[0] != 1:
        return float(scale[0])
    return size * 10.0 ** (0 if unit == METRE else unit) * 1e10 if unit and 0 < size < math.inf else None


def _binary(content: bytes, path: Path) -> tuple[Objects, float | None]:
    """What a binary model holds, and Å a pixel; every size that it claims is checked against what is there."""
    if not content.startswith(b"IMODV1.2") or len(content) < 8 + MODEL.size:
        raise InputError(f"{path} is not a binary IMOD model of version 1.2: convert it with IMOD's imodinfo -a.")
    header = MODEL.unpack_from(content, 8)
    if header[5] & FLIPPED:
        raise InputError(
            f"{path} was drawn with y and z exchanged: turn it back in 3dmod (Edit, Model, Flip) and save."
        )
    objects: Objects = []
    points: list[list[object]] = []
    scale: Sequence[float] = ()
    for kind, data in _chunks(content, 8 + MODEL.size, path):
        if kind == b"OBJT":
            objects.append((data[:64].split(b"\0")[0].decode(errors="replace"), []))
        elif kind == b"MINX" and len(data) >= REFERENCE.size:
            scale = REFERENCE.unpack_from(data)[LAST_SCALE]
        elif not objects:
            continue
        elif kind == b"CONT":
            places: Array = np.frombuffer(data, ">f4", offset=CONTOUR.size).astype(float).reshape(-1, 3)
            points = [[*place, None] for place in places.tolist()]
            objects[-1][1].extend(points)
        elif kind == b"COST":
            for item, flags, index, value in STORE.iter_unpack(data[: len(data) // STORE.size * STORE.size]):
                if (item, flags & 15) == (VALUE, VALUE_FLAGS & 15) and 0 <= index < len(points):
                    points[index][3] = value
    size, unit = header[21:23]
    return objects, _pixel_size(scale, size, unit if unit in UNITS.values() else None, path)


def _chunks(content: bytes, at: int, path: Path) -> Iterator[tuple[bytes, bytes]]:
    """The parts of a model behind its header: their names and contents."""
    heads = {b"OBJT": OBJECT.size, b"CONT": CONTOUR.size, b"MESH": MESH.size}
    while (kind := content[at : at + 4]) != b"IEOF":
        at += 4
        end = at + heads.get(kind, 4)
        if len(kind) < 4 or len(content) < end:
            raise InputError(f"{path} ends before its end mark: it was cut, copy it again.")
        first, second = struct.unpack_from(">2i", content[at:end].ljust(8, b"\0"))
        follows = {b"OBJT": 0, b"CONT": 12 * first, b"MESH": 12 * first + 4 * second}.get(kind, first)
        if follows < 0 or end + follows > len(content):
            raise InputError(f"{path} claims more points than it holds: check the file.")
        yield kind, content[at if kind in heads else end : end + follows]
        at = end + follows


def _text(path: Path) -> tuple[Objects, float | None]:
    """What a model as text holds, and Å a pixel."""
    lines = iter(read_text(path, kind="an IMOD model").splitlines())
    objects: Objects = []
    size, unit = 0.0, None
    scale: Sequence[float] = ()
    if next((line.split()[0] for line in lines if line.strip() and not line.startswith("#")), "") != "imod":
        raise InputError(f"{path} is not an IMOD model: expected the line imod, after comments, or a binary file.")
    for line in lines:
        word, _, rest = line.strip().partition(" ")
        if word == "pixsize":
            size = float(finite([[rest]], where=f"{path}, pixsize", columns=1)[0, 0])
        elif word == "refcurscale":
            scale = finite([rest.split()], where=f"{path}, refcurscale", columns=3)[0].tolist()
        elif word == "units":
            unit = UNITS.get(rest.strip())
        elif word == "object":
            objects.append(("", []))
        elif word == "name" and objects:
            objects[-1] = (rest.strip(), objects[-1][1])
        elif word == "contour" and objects:
            words = rest.split()
            if len(words) < 3 or not words[2].isdecimal() or len(words[2]) > 9:
                raise InputError(f"{path}: expected a contour's number, surface and points, got {line[:80]!r}.")
            points = list(islice(lines, int(words[2])))
            if len(points) < int(words[2]):
                raise InputError(f"{path} ends before the {words[2]} points of a contour: it was cut, copy it again.")
            for values in map(str.split, points):
                objects[-1][1].append([*values[:3], values[4] if len(values) > 4 else None])
    return objects, _pixel_size(scale, size, unit, path)
