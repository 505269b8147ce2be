"""A measurement as a row, and all rows as a table."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tomosoup.core.files import written_aside

HEADER = ("part", "what", "how", "result")
"""Columns of the table."""


@dataclass(frozen=True)
class Row:
    """One measurement."""

    part: str
    """The part of the script that made it."""
    what: str
    """What was measured: a network, an ensemble, a machine."""
    how: str
    """Engine and precision, or the plan."""
    figures: Mapping[str, float | str] = field(default_factory=dict)
    """By name, with their unit in it: {"seconds": 3.2}."""
    note: str = ""
    """What else there is to say; where there are no figures, why."""

    def cells(self) -> list[str]:
        """The columns of the table."""
        figures = [f"{name} {shown(value)}" for name, value in self.figures.items()]
        return [self.part, self.what, self.how, ", ".join([*figures, *[self.note][: bool(self.note)]])]


Add = Callable[[Row], None]
"""Keeps a row."""


def shown(value: float | str) -> str:
    """A figure to three digits."""
    return value if isinstance(value, str) else f"{value:.3g}"


def keeper(file: Path) -> Add:
    """Appends each row to a file at once, as a line of JSON: a process that is killed leaves those before."""

    def add(row: Row) -> None:
        with file.open("a") as lines:
            lines.write(json.dumps(asdict(row)) + "\n")

    return add


def kept(file: Path) -> list[Row]:
    """The rows of a file, without a last one that was cut off."""
    whole = file.read_text().rpartition("\n")[0] if file.is_file() else ""
    return [Row(**json.loads(line)) for line in whole.splitlines()]


def save(rows: Sequence[Row], folder: Path) -> None:
    """Write `results.json` and `table.md`; old ones are replaced once the new ones are whole."""
    with written_aside(folder / "results.json") as aside:
        aside.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    with written_aside(folder / "table.md") as aside:
        aside.write_text(table(rows))


def table(rows: Iterable[Row]) -> str:
    """The rows in Markdown."""
    cells = [HEADER, ["---"] * len(HEADER), *(row.cells() for row in rows)]
    return "".join("| " + " | ".join(" ".join(c.replace("|", "/").split()) for c in line) + " |\n" for line in cells)
