"""CSV tables read as text."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from tomosoup.core.errors import InputError, first_line
from tomosoup.data.formats.tables.table import Table, table_of
from tomosoup.data.formats.tables.text import read_text

OTHERS = {";": "semicolons", "\t": "tabs"}


def read_delimited(path: Path, needed: Sequence[str], *, expected: str) -> Table:
    """A table with commas; values without spaces around them, and the names of columns in small letters.

    Args:
        path: The file.
        needed: Columns that it must have, in small letters.
        expected: What the columns are to be, for the message where one of them is missing.

    Raises `InputError` for other separators, missing columns, and rows with more or fewer values than the header.
    """
    reader = csv.reader(io.StringIO(read_text(path, kind="a CSV table"), newline=""), strict=True)
    try:
        lines = ((reader.line_num, [value.strip() for value in row]) for row in reader)
        rows = [(number, row) for number, row in lines if any(row)]
    except csv.Error as error:
        raise InputError(
            f"{path}, line {reader.line_num}, cannot be read as a CSV table ({first_line(error)}): correct the line."
        ) from error
    names = [name.lower() for name in rows[0][1]] if rows else []
    if missing := [name for name in needed if name not in names]:
        header = ",".join(names)
        for mark, called in OTHERS.items():
            if set(needed) <= {name.strip() for name in header.split(mark)}:
                raise InputError(f"{path} is separated by {called}: save it with commas, and with points in numbers.")
        columns = f"column{'s' if len(missing) > 1 else ''} {', '.join(missing)}"
        raise InputError(f"{path} lacks the {columns}; expected {expected}.")
    return table_of(path, "", names, rows[1:])
