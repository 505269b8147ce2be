"""Text files and the numbers in them."""

from __future__ import annotations

import gzip
import math
import re
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from tomosoup.core.errors import InputError, first_line
from tomosoup.core.types import Array

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eEdD][+-]?[0-9]+)?")
"""A decimal number, also with Fortran's D; Python's own `float` takes 1_000, infinity and True, too."""
LINE_END = re.compile(r"\r\n|\r|\n")


def read_text(path: Path, *, kind: str) -> str:
    """The text of a file (UTF-8; packed where its name ends in .gz). Raises `InputError` where there is none."""
    try:
        content = path.read_bytes()
        if path.suffix.lower() == ".gz":
            content = gzip.decompress(content)
        return content.decode("utf-8-sig")
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
