"""One picture of one run: slices with the true and the found particles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle

from tomosoup.core.files import written_aside
from tomosoup.core.types import NO_PICKS, PicksBySpecies, Species, Volume
from tomosoup.data.copick.files import COLOURS
from tomosoup.scoring.matched_picks import MatchedPicks
from tomosoup.scoring.matching import MATCH_RADII
from tomosoup.scoring.score import Score

AVERAGED = 3
"""Slices averaged for one picture, to see particles better in the noise."""


def draw_overview(
    path: Path,
    volume: Volume,
    *,
    picks: PicksBySpecies,
    truth: PicksBySpecies,
    species: Sequence[Species],
    score: Score,
    title: str,
) -> None:
    """Write a PNG: two slices in xy and one in xz, without particles on the left, with them on the right; the scores.

    A circle is a true particle that was found, a dashed circle a missed one, a cross a false pick. Colours are species.
    Particles are drawn where their spheres cut the slice, as large as the cut.
    """
    figure = Figure(figsize=(13, 15), layout="constrained")
    FigureCanvasAgg(figure)
    depth, height, _ = volume.shape
    planes = [(0, depth // 3), (0, 2 * depth // 3), (1, height // 2)]
    ratios = [height, height, max(depth, height // 3)]
    axes = figure.subplots(3, 2, height_ratios=ratios)
    for row, (axis, index) in zip(axes, planes, strict=True):
        for axes_, marked in zip(row, (False, True), strict=True):
            _draw_slice(axes_, volume, axis=axis, index=index)
            if marked:
                for one, colour in zip(species, COLOURS * len(species), strict=False):
                    found, true = picks.get(one.name, NO_PICKS), truth.get(one.name, NO_PICKS)
                    matched = MatchedPicks.of(found, true, distance=MATCH_RADII * one.radius)
                    _mark(axes_, volume, matched, radius=one.radius, axis=axis, index=index, colour=colour)
    axes[0][0].set_title(title, loc="left")
    axes[0][1].set_title("circle: found   dashed: missed   cross: false pick", loc="left")
    names = [f"{s.name}  F4 {score.species[s.name].f_beta():.2f}" for s in species if s.name in score.species]
    figure.legend(
        [Line2D([], [], color=c, marker="o", fillstyle="none", linestyle="") for c in COLOURS[: len(names)]],
        names,
        loc="outside lower center",
        ncols=3,
        title=f"weighted F4 {score.weighted:.3f}",
    )
    with written_aside(path) as aside:
        figure.savefig(aside, format="png", dpi=80)


def _draw_slice(axes: Axes, volume: Volume, *, axis: int, index: int) -> None:
    data = volume.data.movedim(axis, 0)[max(0, index - AVERAGED // 2) : index + AVERAGED // 2 + 1].mean(0).numpy()
    low, high = np.percentile(data, [0.5, 99.5])
    axes.imshow(data, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
    axes.autoscale(False)  # particles at the border do not widen the picture
    axes.set_xlabel("x (voxels)")
    axes.set_ylabel("z (voxels)" if axis else f"y (voxels), z = {index}")
    if axis:
        axes.set_title(f"y = {index}", loc="right", fontsize="small")


def _mark(
    axes: Axes, volume: Volume, picks: MatchedPicks, *, radius: float, axis: int, index: int, colour: str
) -> None:
    """Mark the particles and false picks of one species, of `radius` Å, on one slice."""
    radius_vox = radius / volume.voxel_size
    for position, found in zip(volume.to_voxel(picks.truth), picks.found, strict=True):
        off = abs(position[axis] - index)
        if off < radius_vox:
            size = float(np.sqrt(radius_vox**2 - off**2))
            at = np.delete(position, axis)
            axes.add_patch(_circle((at[1], at[0]), size, colour, dashed=not found))
    false = volume.to_voxel(picks.zyx[~picks.near])
    at = np.delete(false[np.abs(false[:, axis] - index) < radius_vox], axis, axis=1)
    axes.plot(at[:, 1], at[:, 0], "x", color=colour, markersize=8, markeredgewidth=2)


def _circle(centre: tuple[float, float], radius: float, colour: str, *, dashed: bool) -> Circle:
    return Circle(centre, radius, fill=False, color=colour, linestyle="--" if dashed else "-", linewidth=1.8)
