"""Slices of simulated tomograms, as docs/simulation.md shows them.

    python -m runs.figures.simulated_slices OUT

One run of each of the recipes `contest` and `cell`, smaller in the plane; xy above, xz below.
"""

import sys

import matplotlib
from PIL import Image

from tomosoup.simulation.options import SimulationRecipe
from tomosoup.simulation.simulate import simulate

matplotlib.use("Agg")
from matplotlib import pyplot as plt

SIDE = 400

if __name__ == "__main__":
    figure, axes = plt.subplots(2, 2, figsize=(12, 8), height_ratios=[SIDE, 184], layout="constrained")
    for (top, below), name in zip(axes.T, ("contest", "cell"), strict=True):
        recipe = SimulationRecipe.read(name)
        volume = simulate(recipe.model_copy(update={"shape": (recipe.shape[0], SIDE, SIDE)}), seed=3).volume.data
        middle = volume.shape[0] // 2
        for axis, plane in ((top, volume[middle]), (below, volume[:, SIDE // 2])):
            axis.imshow(plane, cmap="gray", vmin=-4, vmax=3)
            axis.set_axis_off()
        top.set_title(f"--recipe {name}")
    figure.savefig(sys.argv[1] + ".png", dpi=80)
    Image.open(sys.argv[1] + ".png").convert("L").save(sys.argv[1], quality=70)
