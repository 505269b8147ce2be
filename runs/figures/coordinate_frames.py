"""Draws the coordinate frame of each program, for docs/data/formats.md.

    python -m runs.figures.coordinate_frames docs/data/frames.png

Every panel shows the same particle in a small tomogram of 8 x 5 voxels (x to the right, z up; y behaves like x). The
numbers are those that `tomosoup export` writes.
"""

from pathlib import Path

import matplotlib
import numpy as np

from runs.shared.command import run_script
from tomosoup.core.types import Grid
from tomosoup.data.formats.base import Frame
from tomosoup.data.formats.known_formats import FORMATS

matplotlib.use("Agg")
from matplotlib import pyplot as plt

SHAPE, VOXEL, PIXEL = (5, 5, 8), 10.0, 2.5
PICK = np.array([[3.0, 0.0, 6.0]])
"""Voxel index (z, y, x)."""
BOX = {"facecolor": "white", "edgecolor": "none", "pad": 1}
PANELS = {
    "copick, tomosoup's CSV: Å": Frame("Å", (0.5, 0.5, 0.5)),
    "the contest's data: Å": Frame("Å", (-0.5, -0.5, -0.5)),
    "Warp, crYOLO: voxels\n(RELION 4: unbinned pixels; ChimeraX, M: Å)": FORMATS["warp"].frame,
    "RELION 5: Å from the centre, size / 2\n(EMAN2: the same in unbinned pixels)": FORMATS["relion5"].frame,
    "Dynamo: voxels from the corner\n(its first pixel has index 1)": FORMATS["dynamo"].frame,
    "IMOD: voxels, from the corner in x and y,\nfrom the centre of the first slice in z": FORMATS["imod"].frame,
}


def draw(axis: plt.Axes, title: str, frame: Frame) -> None:
    """Draw the voxels, the program's origin and axes, and its coordinates of the particle."""
    grid = Grid(VOXEL, (0.0, 0.0, 0.0), SHAPE)
    deep, _, wide = SHAPE
    for i in range(wide + 1):
        axis.vlines(i - 0.5, -0.5, deep - 0.5, color="0.75", lw=1)
    for i in range(deep + 1):
        axis.hlines(i - 0.5, -0.5, wide - 0.5, color="0.75", lw=1)
    axis.add_patch(plt.Rectangle((-0.5, -0.5), 1, 1, color="#56b4e9", alpha=0.5))
    z, _, x = grid.to_voxel(frame.here(np.zeros((1, 3)), grid, pixel_size=PIXEL))[0]
    for step in ((2, 0), (0, 2)):
        axis.annotate(
            "", (x + step[0], z + step[1]), (x, z), arrowprops={"arrowstyle": "-|>", "color": "#d55e00", "lw": 2}
        )
    axis.plot(x, z, "o", color="#d55e00", ms=8)
    axis.text(x + 2.1, z - 0.05, "x", color="#d55e00", va="center", fontsize=12)
    axis.text(x, z + 2.1, "z", color="#d55e00", ha="center", fontsize=12)
    axis.add_patch(plt.Circle((PICK[0, 2], PICK[0, 0]), 0.8, color="#009e73", alpha=0.45))
    axis.plot(PICK[0, 2], PICK[0, 0], "+", color="k", ms=9)
    first, there = (frame.there(grid.to_angstrom(at), grid)[0] for at in (np.zeros((1, 3)), PICK))
    axis.text(
        PICK[0, 2],
        PICK[0, 0] + 0.95,
        f"x {there[2]:g}, z {there[0]:g}",
        ha="center",
        va="bottom",
        fontsize=12,
        bbox=BOX,
    )
    axis.text(
        0, -0.72, f"first voxel: x {first[2]:g}, z {first[0]:g}", ha="left", va="top", fontsize=10, color="#0072b2"
    )
    axis.set(title=title, xlim=(-1, wide), ylim=(-1.4, deep + 0.2), aspect="equal")
    axis.title.set_fontsize(12)
    axis.set_axis_off()


def main(picture: Path) -> None:
    """Draw all panels."""
    figure, axes = plt.subplots(2, 3, figsize=(15, 8.4), layout="constrained")
    for axis, (title, frame) in zip(axes.flat, PANELS.items(), strict=True):
        draw(axis, title, frame)
    figure.suptitle(
        "One particle (green) at the centre of one voxel of 10 Å. Orange: origin and axes of a program's coordinates.\n"
        "x to the right, z up; y behaves like x. Row 0 is at the bottom, as in 3dmod and ChimeraX; in napari on top.",
        fontsize=14,
    )
    figure.savefig(picture, dpi=70)


if __name__ == "__main__":
    run_script(main, description=__doc__)
