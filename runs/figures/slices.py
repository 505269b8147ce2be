"""What the pictures of slices share: grey planes, circles of particles, the bundled tomogram, small JPEG files."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tomosoup.cli.commands.sample import sample_project
from tomosoup.core.types import Array, PicksBySpecies, Volume
from tomosoup.data.copick.files import COLOURS
from tomosoup.data.options import DataOptions
from tomosoup.data.project import open_project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.data.truth import read_truth

WIDTH = 10.0
"""Inches of a figure: text of 11 points then has 11 pixels on a page of 700."""
LARGEST = 115_000
"""Bytes of a JPEG file."""


def panels(rows: int, columns: int, *, height: float, **how: object) -> tuple[Figure, np.ndarray]:
    """A figure as wide as a page and its axes `(rows, columns)`."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.08, w_pad=0.05)
    return figure, figure.subplots(rows, columns, squeeze=False, **how)


def bundled_sample() -> tuple[Volume, PicksBySpecies]:
    """The tomogram of `tomosoup demo` and its true picks."""
    with TemporaryDirectory() as folder:
        run = sample_project(Path(folder) / "project")
        project = open_project(Path(folder) / "project")
        return select_tomogram(project, run, DataOptions()).read(), read_truth(project, run)


def plane(volume: Volume, z: int) -> np.ndarray:
    """The mean of three slices `(y, x)`, in which particles stand out from the noise."""
    return volume.data[max(0, z - 1) : z + 2].float().mean(0).numpy()


def grey(axis: Axes, picture: np.ndarray, title: str = "", *, limits: tuple[float, float] | None = None) -> None:
    """A plane `(y, x)` without ticks, between `limits`, or in the contrast of its own grey values."""
    low, high = limits or np.quantile(picture, (0.005, 0.995))
    axis.imshow(picture, cmap="gray", vmin=low, vmax=high, interpolation="bilinear")
    axis.set(xticks=[], yticks=[])
    axis.autoscale(False)
    axis.set_title(title, fontsize=11)


def faint(axis: Axes, picture: np.ndarray, title: str) -> None:
    """A grey plane that leaves the eye to what is drawn upon it."""
    grey(axis, picture, title)
    axis.images[0].set_alpha(0.35)


def circles(
    axis: Axes, zyx_vox: Array, radius_vox: float, colour: str, *, z: float, line: str = "-", width: float = 1.6
) -> None:
    """Circles where balls around positions `(n, 3)` meet the slice."""
    for position in zyx_vox:
        if abs(position[0] - z) < radius_vox:
            size = float(np.sqrt(radius_vox**2 - (position[0] - z) ** 2))
            at = (position[2], position[1])
            axis.add_patch(Circle(at, size, fill=False, color=colour, linewidth=width, linestyle=line))


def coloured(maps: torch.Tensor) -> np.ndarray:
    """Maps of species `(c, y, x)` from 0 to 1 -> a picture `(y, x, 4)`, one colour per species, clear at 0."""
    colours = np.array([[*bytes.fromhex(c[1:]), 0] for c in COLOURS[: len(maps)]]) / 255
    heights = maps.clamp(0, 1).numpy()
    picture = colours[heights.argmax(0)]
    picture[..., 3] = heights.max(0)
    return picture


def species_legend(figure: Figure, names: Sequence[str], further: Iterable[Line2D] = ()) -> None:
    """The colours of the species below a figure, then what else there is to explain."""
    marks = [
        Line2D([], [], color=c, marker="o", fillstyle="none", markersize=9, markeredgewidth=2, linestyle="", label=n)
        for n, c in zip(names, COLOURS, strict=False)
    ]
    handles = [*marks, *further]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(6, len(handles)), frameon=False, fontsize=10)


def save(figure: Figure, path: Path, *, dpi: int = 110, note: str = "") -> None:
    """Write a PNG of few colours, with a note in its header, or a JPEG in the best quality that keeps it small."""
    aside = path.with_suffix(".aside.png")
    figure.savefig(aside, dpi=dpi, bbox_inches="tight", pad_inches=0.06)
    picture = Image.open(aside).convert("RGB")
    aside.unlink()
    if path.suffix == ".png":
        header = PngInfo()
        header.add_text("Comment", note)
        picture.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True, pnginfo=header)
    else:
        for quality in range(85, 30, -5):
            picture.save(path, quality=quality)
            if path.stat().st_size < LARGEST:
                break
    print(f"{path}: {picture.width} x {picture.height}, {path.stat().st_size // 1000} kB")
