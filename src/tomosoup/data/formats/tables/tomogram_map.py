"""Maps of tomogram numbers to files: a number and a file a line, as Dynamo (.doc) and STOPGAP (tomolist) read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tomosoup.core.errors import InputError
from tomosoup.data.formats.tables.text import finite, read_text


def map_content(numbers: Mapping[str, int]) -> bytes:
    """The map of these files' numbers."""
    return "".join(f"{number} {name}\n" for name, number in numbers.items()).encode()


def read_map(path: Path) -> dict[float, str]:
    """Tomogram number -> file. Empty where there is no such map."""
    if not path.exists():
        return {}
    names: dict[float, str] = {}
    for line in filter(str.strip, read_text(path, kind="a map of tomograms").splitlines()):
        words = line.split(maxsplit=1)
        tomogram = finite([words[:1]], where=str(path), columns=1)[0, 0]
        if len(words) < 2 or tomogram in names:
            raise InputError(f"{path}: expected lines of a number, each once, and a file, got {line.strip()[:80]!r}.")
        names[float(tomogram)] = words[1].strip()
    return names


def names_of(numbers: Sequence[float], path: Path, ending: str) -> dict[float, str]:
    """The map beside a file of picks, which has another ending; empty where there is none.

    Raises `InputError` where it lacks one of `numbers`.
    """
    names = read_map(path.with_suffix(ending))
    missing = [f"{number:g}" for number in numbers if number not in names]
    if names and missing:
        raise InputError(f"{path.with_suffix(ending)} does not name tomogram {', '.join(missing[:12])} of {path.name}.")
    return names
