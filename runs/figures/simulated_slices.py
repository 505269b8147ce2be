"""Draws slices of simulated tomograms for docs/simulation/simulate.md.

    python -m runs.figures.simulated_slices docs/simulation/simulated.jpg

One run of each of the recipes `contest` and `cell`, smaller in the plane; xy above, xz below.
"""

from pathlib import Path

import matplotlib
from PIL import Image

from runs.shared.command import run_script
from tomosoup.simulation.options.recipe import SimulationRecipe
from tomosoup.simulation.simulate import simulate_run

matplotlib.use("Agg")
from matplotlib import pyplot as plt

SIDE = 400


def main(picture: Path) -> None:
    """Simulate and draw."""
    figure, axes = plt.subplots(2, 2, figsize=(12, 8), height_ratios=[SIDE, 184], layout="constrained")
    for (top, below), name in zip(axes.T, ("contest", "cell"), strict=True):
        recipe = SimulationRecipe.read(name)
        volume = simulate_run(recipe.model_copy(update={"shape": (recipe.shape[0], SIDE, SIDE)}), seed=3).volume.data
        middle = volume.shape[0] // 2
        for axis, plane in ((top, volume[middle]), (below, volume[:, SIDE // 2])):
            axis.imshow(plane, cmap="gray", vmin=-4, vmax=3)
            axis.set_axis_off()
        top.set_title(f"--recipe {name}")
    figure.savefig(f"{picture}.png", dpi=80)
    Image.open(f"{picture}.png").convert("L").save(picture, quality=70)


if __name__ == "__main__":
    run_script(main, description=__doc__)
