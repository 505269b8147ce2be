"""Draws how data flow, as boxes and arrows.

    python -m runs.figures.flow_charts workflow docs/cli/workflow.png
    python -m runs.figures.flow_charts relion docs/cli/relion.png
    python -m runs.figures.flow_charts soup docs/models/soup.png
    python -m runs.figures.flow_charts remote docs/data/remote.png

Blue boxes are files and data, orange ones programs, green ones networks.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from runs.figures.slices import WIDTH, save
from runs.shared.command import run_script
from tomosoup.data.copick.files import COLOURS

DATA, PROGRAM, NETWORK, NOTE = COLOURS[1], COLOURS[0], COLOURS[2], "none"
ROW = 0.72
"""Inches from a row to the next."""


@dataclass(frozen=True)
class Box:
    """A box at a column and a row, and the numbers of the boxes that its arrows lead to."""

    column: float
    row: float
    text: str
    colour: str
    to: tuple[int, ...] = ()


JOBS = 4
CHARTS = {
    "workflow": [
        Box(0, 1.5, "my-data\ntomograms", DATA, (1, 2, 3, 4)),
        *(Box(1, i, f"pick --shard {i + 1}/{JOBS}", PROGRAM, (5,)) for i in range(JOBS)),
        Box(2, 1.5, "pick", PROGRAM, (6,)),
        Box(3, 1.5, "picks.csv", DATA, (7,)),
        Box(4, 1.5, "export", PROGRAM, (8,)),
        Box(5, 1.5, "relion5/\nSPECIES.star", DATA),
    ],
    "relion": [
        Box(0, 0, "RELION\nReconstruct or\ndenoise tomograms", PROGRAM, (1,)),
        Box(1, 0, "tomograms.star", DATA, (2,)),
        Box(2, 0, "External\ntomosoup-relion", PROGRAM, (3,)),
        Box(3, 0, "SPECIES/\noptimisation_set.star", DATA, (4,)),
        Box(4, 0, "RELION\nExtract subtomos", PROGRAM),
    ],
    "soup": [
        *(Box(0, i, f"network {i + 1}", NETWORK, (i + 3,)) for i in range(3)),
        *(Box(1, i, "heatmap", DATA, (6,)) for i in range(3)),
        Box(2, 1, "mean of\nheatmaps", DATA, (7,)),
        Box(3, 1, "picks", DATA),
        Box(4, 1, "ensemble:\n3 times the time", NOTE),
        *(Box(0, i + 3.6, f"network {i + 1}", NETWORK, (12,)) for i in range(3)),
        Box(1, 4.6, "soup: mean of\nthe weights", NETWORK, (13,)),
        Box(2, 4.6, "heatmap", DATA, (14,)),
        Box(3, 4.6, "picks", DATA),
        Box(4, 4.6, "soup:\nthe time of one", NOTE),
    ],
    "remote": [
        Box(0, 0, "CryoET Data Portal\ntomograms, annotations", DATA, (2,)),
        Box(0, 1.2, "S3 or disk (static_root)\ntomograms", DATA, (2,)),
        Box(1.4, 0.6, "tomosoup\non each machine", PROGRAM, (3,)),
        Box(2.8, 0.6, "S3 or disk (overlay_root)\npicks, records", DATA, (2,)),
    ],
}


def draw(axis: Axes, boxes: list[Box], width: float) -> None:
    """Draw boxes of a width, in columns, and their arrows."""
    for box in boxes:
        look = {"facecolor": box.colour, "edgecolor": box.colour, "alpha": 0.35} if box.colour != NOTE else {"alpha": 0}
        corner = box.column - width / 2, box.row - 0.36
        axis.add_patch(FancyBboxPatch(corner, width, 0.72, boxstyle="round,pad=0,rounding_size=0.06", **look))
        axis.text(box.column, box.row, box.text, ha="center", va="center", fontsize=10.5)
        for other in (boxes[i] for i in box.to):
            side = width / 2 if other.column > box.column else -width / 2
            axis.annotate(
                "",
                (other.column - side, other.row),
                (box.column + side, box.row),
                arrowprops={"arrowstyle": "-|>", "color": "0.35", "linewidth": 1.4, "shrinkA": 2, "shrinkB": 2},
            )


def main(chart: Literal["workflow", "relion", "soup", "remote"], picture: Path) -> None:
    """Draw one chart."""
    boxes = CHARTS[chart]
    columns, rows = max(box.column for box in boxes) + 1, max(box.row for box in boxes) + 1
    figure = Figure(figsize=(WIDTH, max(1.1, ROW * rows)), layout="constrained")
    axis = figure.subplots()
    draw(axis, boxes, 0.84 if columns == round(columns) else 0.96)
    axis.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.45, -0.55))
    axis.set_axis_off()
    save(figure, picture)


if __name__ == "__main__":
    run_script(main, description=__doc__)
