"""Text files and the numbers in them."""

from __future__ import annotations

import bz2
import gzip
import math
import re
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from tomosoup.core.errors import InputError, first_line
from tomosoup.core.files import refuse_irregular
from tomosoup.core.types import Array

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eEdD][+-]?[0-9]+)?")
"""A decimal number, also with Fortran's D; Python's own `float` takes 1_000, infinity and True, too."""
UNPACK: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.decompress, ".bz2": bz2.decompress}
LINE_END = re.compile(r"\r\n|\r|\n")


def read_content(path: Path, *, kind: str, most: int = -1) -> bytes:
    """What a file holds, or its first bytes, `most` of them.

    Raises `InputError` where there is none, and for what is no regular file, such as a pipe.
    """
    try:
        refuse_irregular(path, expected=kind)
        with path.open("rb") as file:
            return file.read(most)
    except OSError as error:
        raise InputError(f"{path} cannot be read as {kind} ({first_line(error)}): check the file.") from error


def read_text(path: Path, *, kind: str) -> str:
    """The text of a file (UTF-8; packed where its name says so). Raises `InputError` where there is none."""
    content, unpack = read_content(path, kind=kind), UNPACK.get(path.suffix.lower(), bytes)
    try:
        return unpack(content).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text in UTF-8; expected {kind}: save it as UTF-8.") from error
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read as {kind} ({first_line(error)}): check the file.") from error


def number(word: object) -> float:
    """The finite number that a word, or a value of JSON, says; else NaN."""
    if isinstance(word, str):
        word = word.strip()
        value = float(word.lower().replace("d", "e")) if NUMBER.fullmatch(word) else math.nan
    elif isinstance(word, int | float | np.number) and not isinstance(word, bool):
        try:
            value = float(word)
        except OverflowError:
            value = math.nan
    else:
        value = math.nan
    return value if math.isfinite(value) else math.nan


def finite(rows: Iterable[Sequence[object]], *, where: str, columns: int) -> Array:
    """Numbers `(n, columns)` from rows of words. Raises `InputError` naming the first row that is no such numbers."""
    values = []
    for count, row in enumerate(rows, start=1):
        numbers = [number(word) for word in row]
        if len(numbers) != columns or any(map(math.isnan, numbers)):
            raise InputError(f"{where}, row {count}: expected {columns} numbers, got {' '.join(map(str, row))[:80]!r}.")
        values.append(numbers)
    return np.asarray(values, dtype=float).reshape(-1, columns)
