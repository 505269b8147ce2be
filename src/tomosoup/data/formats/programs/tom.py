"""Motive lists of TOM, AV3, Artiatomi and subTOM: EM files of 20 rows, a column a particle, with a map (.txt).

Sources. EM files: Hegerl, J Struct Biol 116, 1996, and STOPGAP's sg_toolbox/sg_emread.m: a header of 512 bytes. Its
first byte is the machine (6: little endian; 0, 3 and 5: big endian), the fourth the type of numbers. Then come three
sizes of four bytes, the fastest first. Rows: ArtiaX, src/io/Artiatomi/ArtiatomiParticleData.py, and cryoCAT,
cryomotl.py: 1 the score, 4 the particle's number, 5 the tomogram's, which subTOM also keeps in 7, 8 to 10 the position,
11 to 13 the shift, 17 to 19 phi, psi and the, 20 the class. All else: `motive_list`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tomosoup.core.errors import InputError
from tomosoup.core.types import Array
from tomosoup.data.formats.base import Block, Details
from tomosoup.data.formats.programs.motive_list import MAP, MotiveList
from tomosoup.data.formats.tables.text import read_content

HEADER, ROWS = 512, 20
ORDERS = {6: "<", 0: ">", 3: ">", 5: ">"}
"""Byte order by the machine's code."""
TYPES = {1: "i1", 2: "i2", 4: "i4", 5: "f4", 9: "f8"}
"""NumPy's type by the code in the header."""
PC, FLOAT = 6, 5
SCORE, NUMBER, TOMOGRAM, OBJECT, WEDGE, CLASS = 0, 3, 4, 5, 6, 19
POSITIONS, SHIFTS, ANGLES = slice(7, 10), slice(10, 13), slice(16, 19)
"""Rows, counted from 0."""


def encode(blocks: Sequence[Block], details: Details) -> dict[str, bytes]:
    """The list, and the map of its tomograms."""
    motl, tomograms = MotiveList.of(blocks, details)
    values = np.zeros((len(motl.scores), ROWS), dtype="<f4")
    values[:, NUMBER] = np.arange(1, len(values) + 1)
    values[:, [OBJECT, CLASS]] = 1
    values[:, TOMOGRAM] = values[:, WEDGE] = motl.tomograms
    values[:, SCORE] = motl.scores
    values[:, POSITIONS], values[:, SHIFTS], values[:, ANGLES] = motl.positions, motl.shifts, motl.angles
    header = struct.pack("<4b3i", PC, 0, 0, FLOAT, ROWS, len(values), 1).ljust(HEADER, b"\0")
    return {".em": header + values.tobytes(), MAP: tomograms}


def decode(path: Path, details: Details) -> list[Block]:  # noqa: ARG001
    """A block a tomogram. Raises `InputError` for what is no EM file of 20 rows."""
    values = _read(path)
    motl = MotiveList(values[:, TOMOGRAM], values[:, POSITIONS], values[:, SCORE], values[:, SHIFTS], values[:, ANGLES])
    return motl.blocks(path, score="row 1")


def _read(path: Path) -> Array:
    """The numbers of a list `(particles, 20)`. Its header must fit the file, and its numbers must be finite."""
    content = read_content(path, kind="an EM file")
    machine, kind = (content[0], content[3]) if len(content) >= HEADER else (None, None)
    if machine not in ORDERS or kind not in TYPES:
        raise InputError(f"{path} is not an EM file: expected its header of {HEADER} bytes; check the file.")
    columns, particles, depth = struct.unpack_from(f"{ORDERS[machine]}3i", content, 4)
    if columns != ROWS or particles < 1 or depth != 1:
        raise InputError(
            f"{path} is an EM file of {columns} x {particles} x {depth} numbers; expected a motive list of {ROWS} rows."
        )
    form = np.dtype(f"{ORDERS[machine]}{TYPES[kind]}")
    size = HEADER + ROWS * particles * form.itemsize
    if len(content) != size:
        raise InputError(f"{path} has {len(content)} bytes; its header says {size}: copy it again.")
    values: Array = np.frombuffer(content, form, offset=HEADER).astype(float).reshape(particles, ROWS)
    if not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values).all(axis=1))) + 1
        raise InputError(f"{path}, particle {row}: expected finite numbers: correct the list.")
    return values
