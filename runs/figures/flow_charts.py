"""Draws how data flow, as boxes and arrows.

    python -m runs.figures.flow_charts workflow docs/cli/workflow.png
    python -m runs.figures.flow_charts relion docs/cli/relion.png
    python -m runs.figures.flow_charts soup docs/models/soup.png
    python -m runs.figures.flow_charts remote docs/data/remote.png
    python -m runs.figures.flow_charts projects docs/data/projects.png
    python -m runs.figures.flow_charts own docs/data/own-tomograms.png
    python -m runs.figures.flow_charts contest docs/data/contest.png
    python -m runs.figures.flow_charts fourth docs/data/4th-place.png
    python -m runs.figures.flow_charts eighth docs/data/8th-place.png
    python -m runs.figures.flow_charts published docs/models/published.png
    python -m runs.figures.flow_charts benchmark docs/scoring/benchmark.png
    python -m runs.figures.flow_charts engines docs/inference/engines.png

Blue boxes are files and data, orange ones programs, green ones networks.
"""

from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from runs.figures.slices import WIDTH, save
from runs.shared.command import run_script
from tomosoup.core.errors import InputError
from tomosoup.data.copick.files import COLOURS
from tomosoup.inference.engines.choice import PRECISIONS

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


def chain(*steps: tuple[str, str]) -> list[Box]:
    """Boxes in a row, each leading to the next: texts and colours."""
    last = len(steps) - 1
    return [Box(i, 0, text, colour, (i + 1,) if i < last else ()) for i, (text, colour) in enumerate(steps)]


DEVICES = {"cpu": "CPU", "cuda": "NVIDIA GPU", "mps": "Apple GPU"}
JOBS, SOUPS = 4, {"tiny": 7, "medium": 7, "big": 3, "big-all": 3}
CHARTS = {
    "workflow": [
        Box(0, 1.5, "my-data\ntomograms", DATA, (1, 2, 3, 4)),
        *(Box(1, i, f"pick --shard {i + 1}/{JOBS}", PROGRAM, (5,)) for i in range(JOBS)),
        Box(2, 1.5, "pick", PROGRAM, (6,)),
        Box(3, 1.5, "picks.csv", DATA, (7,)),
        Box(4, 1.5, "export", PROGRAM, (8,)),
        Box(5, 1.5, "relion5/\nSPECIES.star", DATA),
    ],
    "relion": chain(
        ("RELION\nReconstruct or\ndenoise tomograms", PROGRAM),
        ("tomograms.star", DATA),
        ("External\ntomosoup-relion", PROGRAM),
        ("SPECIES/\noptimisation_set.star", DATA),
        ("RELION\nExtract subtomos", PROGRAM),
    ),
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
    "projects": [
        Box(0, 0, "copick configuration", DATA, (3,)),
        Box(0, 1, "the contest's folder", DATA, (4,)),
        Box(0, 2, "folder of MRC files,\nspecies.csv, picks.csv", DATA, (4,)),
        Box(1.4, 0, "tomosoup pick", PROGRAM, (5,)),
        Box(1.4, 1.5, "tomosoup pick\n--output picks.csv", PROGRAM, (6,)),
        Box(2.8, 0, "picks in the overlay\nof the project", DATA),
        Box(2.8, 1.5, "picks.csv, and\npicks.copick/ beside it", DATA),
    ],
    "own": chain(
        ("MRC files,\nspecies.csv", DATA),
        ("import,\ncheck", PROGRAM),
        ("train\n--all-folds", PROGRAM),
        ("a network for\neach fold", NETWORK),
        ("tune, pick", PROGRAM),
        ("export", PROGRAM),
        ("STAR file\nfor RELION", DATA),
    ),
    "contest": chain(
        ("czii/train", DATA),
        ("train\n--all-folds", PROGRAM),
        ("7 networks", NETWORK),
        ("tune:\nthresholds", PROGRAM),
        ("pick czii/test", PROGRAM),
        ("submission.csv", DATA),
    ),
    "fourth": [
        Box(0, 0, "yu4u:\n4 networks", NETWORK, (2,)),
        Box(0, 1, "tattaka:\n3 networks", NETWORK, (2,)),
        Box(1, 0.5, "mean of\nheatmaps", DATA, (3,)),
        Box(2, 0.5, "peaks above\nthresholds", PROGRAM, (4,)),
        Box(3, 0.5, "submission.csv", DATA),
    ],
    "eighth": [
        Box(0, 1.5, "simulated runs,\nthen annotated", DATA, (1, 2, 3, 4)),
        *(Box(1, i, f"{name}:\n{folds} networks", NETWORK, (5 + i,)) for i, (name, folds) in enumerate(SOUPS.items())),
        *(Box(2, i, f"{name} soup", NETWORK, (9,)) for i, name in enumerate(SOUPS)),
        Box(3, 1.5, "mean of\nlogits", DATA, (10,)),
        Box(4, 1.5, "watershed", PROGRAM, (11,)),
        Box(5, 1.5, "submission.csv", DATA),
    ],
    "published": [
        Box(0, 0, "4th place's .ckpt", DATA, (2,)),
        Box(0, 1, "8th place's .pth", DATA, (2,)),
        Box(1, 0.5, "convert", PROGRAM, (3, 4)),
        Box(2, 0, "yu4u", NETWORK, (5,)),
        Box(2, 1, "soup: tiny,\nmedium or big", NETWORK, (6,)),
        Box(3, 0, "pick\n--plan paper", PROGRAM, (7,)),
        Box(3, 1, "pick\n--plan soup", PROGRAM, (7,)),
        Box(4, 0.5, "picks", DATA),
    ],
    "benchmark": [
        Box(0, 0, "the contest's\ndownload", DATA, (3,)),
        Box(0, 1, "Croissant manifest\nof POPSICLE", DATA, (3,)),
        Box(0, 2, "any project", DATA, (3,)),
        Box(1.3, 1, "benchmark", PROGRAM, (4, 5, 6)),
        Box(2.6, 0, "picks.csv", DATA),
        Box(2.6, 1, "submission.csv", DATA),
        Box(2.6, 2, "scores.json", DATA),
    ],
    "engines": [
        Box(0, 3, "network as\npublished", NETWORK, (1,)),
        Box(1, 3, "rewritten:\nfewer operations", NETWORK, (2, 3, 4, 5)),
        Box(2, 1, "torch", PROGRAM, (6, 7, 8)),
        Box(2, 3, "OpenVINO", PROGRAM, (9,)),
        Box(2, 4.5, "ONNX Runtime", PROGRAM, (10, 11)),
        Box(2, 6, "TensorRT", PROGRAM, (12,)),
        *(
            Box(3, i, f"{DEVICES[device]}:\n{', '.join(precisions)}", DATA)
            for i, ((_, device), precisions) in enumerate(PRECISIONS.items())
        ),
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


def main(chart: str, picture: Path) -> None:
    """Draw one chart."""
    if chart not in CHARTS:
        raise InputError(f"Expected one of {', '.join(CHARTS)}, got {chart}.")
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
