"""Draws faults that `tomosoup check` finds, for docs/review/check.md.

    python -m runs.figures.faults docs/review/faults.jpg

Every panel is the bundled tomogram with its true picks, and one fault in the file or in the picks.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from runs.figures.slices import bundled_sample, circles, grey, panels, plane, save
from runs.shared.command import run_script
from tomosoup.core.types import Array, Picks, PicksBySpecies, Volume
from tomosoup.data.copick.files import COLOURS
from tomosoup.models.checkpoint import load

SLICE = 21
SHIFT = 4.0
"""Voxels, so that one sees it; `check` finds a quarter of a voxel."""


def marked(axis: Axes, volume: Volume, truth: PicksBySpecies, *, scale: float = 1.0, z: float = SLICE) -> None:
    """Circles of all species but those of weight 0, `scale` times as large."""
    for one, colour in zip(load("default").species, COLOURS, strict=False):
        if one.weight:
            radius = scale * one.radius / volume.voxel_size
            circles(axis, volume.to_voxel(truth[one.name].zyx), radius, colour, z=z)


def moved(truth: PicksBySpecies, change: Callable[[Array], Array]) -> dict[str, Picks]:
    """The picks at other positions: `change` takes and gives `(n, 3)` Å, zyx."""
    return {name: Picks.of(change(found.zyx)) for name, found in truth.items()}


def repeated(zyx: Array) -> Array:
    """Each position, and another one near it."""
    return np.concatenate([zyx, zyx + np.array([0, 30, 40])])


def main(file: Path) -> None:
    """Draw a healthy tomogram and seven faults."""
    volume, truth = bundled_sample()
    size = volume.voxel_size
    picture = plane(volume, SLICE)
    figure, axes = panels(2, 4, height=5.6)
    titles = (
        "no fault",
        "contrast: bright particles",
        "grey values: clipped",
        "voxel size: half the true one",
        "outside: picks in voxels, not Å",
        "outside: x and z exchanged",
        "offset: picks are shifted",
        "twice; radius too small",
    )
    for axis, title in zip(axes.flat, titles, strict=True):
        grey(axis, picture, title, limits=(-2.6, 2.6))
        axis.title.set_fontsize(9.5)
    healthy, bright, clipped, scaled, corner, exchanged, offset, twice = axes.flat
    for axis in (healthy, bright, clipped):
        marked(axis, volume, truth)
    bright.images[0].set_data(-picture)
    clipped.images[0].set_data(np.where(picture > 0, 2.6, -2.6) * (np.abs(picture) > 0.6))
    marked(scaled, volume, moved(truth, lambda zyx: 2 * zyx), scale=2, z=2 * SLICE)
    marked(corner, volume, moved(truth, lambda zyx: zyx / size), z=2)
    marked(exchanged, volume, moved(truth, lambda zyx: zyx[:, ::-1]))
    marked(offset, volume, moved(truth, lambda zyx: zyx + SHIFT * size * np.array([0, 1, 1])))
    marked(twice, volume, moved(truth, repeated), scale=0.5)
    save(figure, file, dpi=100)


if __name__ == "__main__":
    run_script(main, description=__doc__)
