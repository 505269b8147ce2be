"""STAR files read as text: all blocks in their order, equal names apart.

The rules are those of the STAR format (Hall 1991, J. Chem. Inf. Comput. Sci. 31, 326) as RELION, Warp and crYOLO write
it: one row a line, `#` begins a comment only at the start of a word, keywords in any case.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from tomosoup.core.errors import InputError
from tomosoup.core.files import PACKED
from tomosoup.data.formats.tables.table import Table, table_of
from tomosoup.data.formats.tables.text import LINE_END, read_content, read_text

WORD = re.compile(r"\"[^\"]*\"(?=\s|$)|'[^']*'(?=\s|$)|\S+")
BLOCK = re.compile(rb"^[ \t]*data_\S*[ \t]*(#.*)?$", re.IGNORECASE | re.MULTILINE)
HEAD = 2**16
"""Bytes in which a STAR file names its first block."""


@dataclass
class _Reading:
    """A block, or the part of it that is one table, while its lines are read."""

    block: str
    looped: bool = False
    columns: list[str] = field(default_factory=list)
    rows: list[tuple[int, list[str]]] = field(default_factory=list)
    """Of a loop its rows; else one row, which grows with each column."""


def read_star(path: Path) -> list[Table]:
    """The tables of a STAR file; single values of a block are a table of one row.

    Raises `InputError` for a file that is none, with the line that breaks the format.
    """
    _check_head(path)
    parts: list[_Reading] = []
    for line, text in enumerate(LINE_END.split(read_text(path, kind="a STAR file")), start=1):
        words = _words(text)
        if not words:
            continue
        first = words[0].lower()
        if first.startswith("data_") and len(words) == 1:
            parts.append(_Reading(words[0][5:]))
        elif not parts:
            raise InputError(f"{path}, line {line}: expected a block (data_...), got {text.strip()[:80]!r}.")
        elif first == "loop_" and len(words) == 1:
            parts.append(_Reading(parts[-1].block, looped=True))
        else:
            _take(parts, words, line, path)
    return [table_of(path, part.block, part.columns, part.rows) for part in parts if part.columns]


def _check_head(path: Path) -> None:
    head = read_content(path, kind="a STAR file", most=HEAD)
    if path.suffix.lower() not in PACKED and not BLOCK.search(head.replace(b"\r", b"\n").removeprefix(b"\xef\xbb\xbf")):
        raise InputError(f"{path} is not a STAR file: expected a line data_... that begins a block.")


def _words(text: str) -> list[str]:
    """The words of a line before its comment, without their quotes."""
    if not {"#", '"', "'"} & set(text):
        return text.split()
    words = []
    for word in WORD.findall(text):
        if word.startswith("#"):
            break
        quoted = len(word) > 1 and word[0] == word[-1] and word[0] in "\"'"
        words.append(word[1:-1] if quoted else word)
    return words


def _take(parts: list[_Reading], words: list[str], line: int, path: Path) -> None:
    """Add a column with or without its value, or a row."""
    part = parts[-1]
    if words[0].startswith(";"):
        raise InputError(f"{path}, line {line}: texts of several lines are not read: remove it.")
    if part.looped and not words[0].startswith("_"):
        if not part.columns:
            raise InputError(f"{path}, line {line}: expected a column (_...) after loop_, got {words[0][:80]!r}.")
        part.rows.append((line, words))
    elif part.looped and not part.rows:
        part.columns.append(words[0][1:])
    elif words[0].startswith("_") and len(words) <= 2:
        if part.looped:  # single values behind a loop
            part = _Reading(part.block)
            parts.append(part)
        if not part.rows:
            part.rows.append((line, []))
        part.columns.append(words[0][1:])
        part.rows[0][1].append(words[1] if len(words) == 2 else "")
    else:
        raise InputError(f"{path}, line {line}: expected a column and its value, got {' '.join(words)[:80]!r}.")
