"""Draws a simulated run in every tomogram type, and its particles, for the pages about denoising and the default model.

    tomosoup simulate SIM --recipe contest --runs 1 --seed 500 \
        --reconstruction.tomo-types wbp ctfdeconvolved denoised isonetcorrected
    python -m runs.figures.tomogram_types SIM docs/simulation/denoise.jpg docs/models/species.jpg
"""

from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image

from runs.shared.command import run_script
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.data.options import DataOptions
from tomosoup.data.project import open_project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.data.truth import read_truth

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

TYPES = ("wbp", "ctfdeconvolved", "denoised", "isonetcorrected")
SIDE, EXAMPLES, REACH = 240, 8, 20
"""Voxels of a plane's side; particles of a species, and voxels about their centres."""


def main(project: Path, types: Path, species: Path) -> None:
    """Draw both pictures."""
    opened = open_project(project)
    run = opened.runs[0]
    volumes = {name: select_tomogram(opened, run, DataOptions(tomo_type=name)).read() for name in TYPES}
    truth = read_truth(opened, run)
    centre = np.rint(volumes["denoised"].to_voxel(truth["ribosome"].zyx.mean(axis=0))).astype(int)
    figure, axes = plt.subplots(1, len(TYPES), figsize=(12, 3.3), layout="constrained")
    for axis, (name, volume) in zip(axes, volumes.items(), strict=True):
        y, x = (int(np.clip(c - SIDE // 2, 0, n - SIDE)) for c, n in zip(centre[1:], volume.shape[1:], strict=True))
        draw(axis, volume.data[int(centre[0]), y : y + SIDE, x : x + SIDE].numpy())
        axis.set_title(name)
    save(figure, types)
    figure, axes = plt.subplots(len(CONTEST_SPECIES), EXAMPLES, figsize=(8.5, 6.6), layout="constrained")
    denoised = volumes["denoised"]
    for row, one in zip(axes, CONTEST_SPECIES, strict=True):
        at = np.rint(denoised.to_voxel(truth[one.name].zyx)).astype(int)
        inside = ((at >= REACH) & (at < np.array(denoised.shape) - REACH)).all(axis=1)
        for axis, (z, y, x) in zip(row, at[inside][:EXAMPLES], strict=True):
            part = denoised.data[z - 1 : z + 2, y - REACH : y + REACH + 1, x - REACH : x + REACH + 1]
            draw(axis, part.mean(dim=0).numpy())
        row[0].text(-0.1, 0.5, one.name, transform=row[0].transAxes, ha="right", va="center")
    save(figure, species)


def draw(axis: plt.Axes, plane: np.ndarray) -> None:
    """A plane, in the contrast of its own grey values."""
    low, high = np.quantile(plane, (0.005, 0.995))
    axis.imshow(plane, cmap="gray", vmin=low, vmax=high)
    axis.set_axis_off()


def save(figure: Figure, picture: Path) -> None:
    """As a grey JPEG."""
    aside = picture.with_suffix(".png")
    figure.savefig(aside, dpi=100)
    Image.open(aside).convert("L").save(picture, quality=72)
    aside.unlink()


if __name__ == "__main__":
    run_script(main, description=__doc__)
