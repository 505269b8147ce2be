r"""Draws a table of a page: a dot for each number of a cell, a bar to their mean, a line for what stands after ±.

With `--change`, a line leads from the mean of the first column to that of the last, in place of bars.

    python -m runs.figures.table_plot docs/scoring/what-helps.md docs/scoring/what-helps.png "F4 without" "F4 with" \
        --change --label F4
    python -m runs.figures.table_plot docs/scoring/peers.md docs/scoring/peers.png contest-like harder --label F4
    python -m runs.figures.table_plot docs/models/soups.md docs/models/soups.png runs --label F4
    python -m runs.figures.table_plot docs/scoring/ablations.md docs/scoring/ablations.png runs --label F4
    python -m runs.figures.table_plot docs/inference/speed.md docs/inference/speed.png \
        "fp32, torch" "fp32, OpenVINO" "bf16, torch" "bf16, OpenVINO" --leave-out error \
        --label "times as fast as plain PyTorch, four windows"
    python -m runs.figures.table_plot docs/inference/speed.md docs/inference/speed-planes.png \
        "fp32, torch" "fp32, OpenVINO" "bf16, torch" "bf16, OpenVINO" --table 1 \
        --label "times as fast as plain PyTorch on windows"

It reads the numbers from the page itself, from the first table with these columns (`--table 1`: from the second). The
picture's header holds them, so that a test can compare both.
"""

import json
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from runs.figures.slices import WIDTH, save
from runs.shared.command import Words, run_script
from tomosoup.core.errors import InputError
from tomosoup.data.copick.files import COLOURS

SHOWN = [COLOURS[6], COLOURS[0], COLOURS[2], COLOURS[4]]
"""Blue, orange, green, pink: the columns."""
NUMBER = re.compile(r"(-?\d+(?:\.\d+)?)(?: ± (\d+(?:\.\d+)?))?")
LABEL, LINE = 46, 0.19
"""Characters of a line of a row's name, and inches of one."""


@dataclass(frozen=True)
class Row:
    """A row of a table: its name, and the cells of the chosen columns."""

    name: str
    cells: list[list[tuple[float, float]]]
    """By column: numbers, and what stands after their ±, or 0."""


def tables(page: Path) -> list[list[list[str]]]:
    """The tables of a Markdown page: by table and row the cells, without markup."""
    found: list[list[list[str]]] = []
    before = ""
    for line in page.read_text().splitlines():
        if line.startswith("|"):
            if not before.startswith("|"):
                found.append([])
            found[-1].append([plain(cell) for cell in line.strip().strip("|").split("|")])
        before = line
    return found


def plain(markdown: str) -> str:
    """A cell without links in brackets, and with the words of others alone."""
    text = re.sub(r" ?\(\[[^]]*\]\([^)]*\)\)", "", markdown)
    return re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text).replace("`", "").replace("*", "").strip()


def chosen_rows(page: Path, columns: tuple[str, ...], *, table: int = 0, leave_out: tuple[str, ...] = ()) -> list[Row]:
    """The rows of a table that have numbers in all of these columns, but for those whose name begins so."""
    fitting = [t for t in tables(page) if set(columns) <= set(t[0]) and len(t) > 2]
    if len(fitting) <= table:
        raise InputError(f"{page}: {len(fitting)} tables have the columns {', '.join(columns)}, expected {table + 1}.")
    head, _, *body = fitting[table]
    at = [head.index(column) for column in columns]
    rows = [Row(line[0], [numbers(line[i]) for i in at]) for line in body]
    return [row for row in rows if all(row.cells) and not row.name.startswith(leave_out or ("|",))]


def numbers(cell: str) -> list[tuple[float, float]]:
    """The numbers of a cell, each with what stands after its ±."""
    return [(float(value), float(spread or 0)) for value, spread in NUMBER.findall(cell)]


def main(
    page: Path,
    picture: Path,
    *columns: Words,
    label: str = "",
    change: bool = False,
    table: int = 0,
    leave_out: tuple[str, ...] = (),
) -> None:
    """Draw the columns of one table of a page."""
    rows = chosen_rows(page, columns, table=table, leave_out=leave_out)
    names = [textwrap.fill(row.name, LABEL) for row in rows]
    step = 0.0 if change else 0.2
    heights = [max(LINE * (1 + name.count("\n")), step * len(columns)) + 0.12 for name in names]
    figure = Figure(figsize=(WIDTH, sum(heights) + 1), layout="constrained")
    axis = figure.subplots()
    y, middles = 0.0, []
    for row, height in zip(rows, heights, strict=True):
        middles.append(y + height / 2)
        places = [middles[-1] + (i - (len(columns) - 1) / 2) * step for i in range(len(columns))]
        draw_change(axis, row, middles[-1]) if change else draw_bars(axis, row, places)
        draw_numbers(axis, row, places)
        y += height
        axis.axhline(y, color="0.9", linewidth=0.8, zorder=0)
    axis.set(ylim=(y, 0), xlabel=label, **({} if change else {"xlim": (0, None)}))
    axis.set_yticks(middles, names)
    axis.tick_params(labelsize=11, left=False)
    axis.grid(axis="x", alpha=0.4)
    axis.xaxis.label.set_size(11)
    axis.spines[["top", "right", "left"]].set_visible(False)
    if len(columns) > 1:
        for column, colour in zip(columns, SHOWN, strict=False):
            axis.plot([], [], "o", color=colour, label=column)
        figure.legend(loc="outside upper right", ncols=len(columns), frameon=False, fontsize=11)
    drawn = {"columns": columns, "table": table, "leave_out": leave_out, "rows": [[r.name, r.cells] for r in rows]}
    save(figure, picture, note=json.dumps(drawn))


def draw_bars(axis: Axes, row: Row, places: Sequence[float]) -> None:
    """A bar to the mean of each cell."""
    means = [fmean(value for value, _ in cell) for cell in row.cells]
    axis.barh(places, means, height=0.15, color=SHOWN[: len(means)], alpha=0.35, linewidth=0)


def draw_change(axis: Axes, row: Row, at: float) -> None:
    """A line from the mean of the first column to that of the last."""
    first, last = (fmean(value for value, _ in row.cells[i]) for i in (0, -1))
    axis.plot([first, last], [at, at], color="0.6", linewidth=4, alpha=0.6, solid_capstyle="butt", zorder=1)


def draw_numbers(axis: Axes, row: Row, places: Sequence[float]) -> None:
    """A dot for each number, a line for a spread."""
    for cell, at, colour in zip(row.cells, places, SHOWN, strict=False):
        for value, spread in cell:
            axis.plot(value, at, "o", color=colour, markersize=6, zorder=3)
            if spread:
                axis.hlines(at, value - spread, value + spread, color=colour, linewidth=1.6, zorder=3)


if __name__ == "__main__":
    run_script(main, description=__doc__)
