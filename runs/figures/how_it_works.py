"""Draws the pictures of docs/inference/how-it-works.md, each with the code that it explains.

    python -m runs.figures.how_it_works MODEL docs/inference

MODEL is a checkpoint that predicts heatmaps, such as the demo's.
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from runs.figures.slices import circles, coloured
from runs.shared.command import run_script
from tomosoup.core.thresholds import apply_thresholds
from tomosoup.data.copick.files import COLOURS
from tomosoup.inference.ensemble import ensemble_heatmap
from tomosoup.inference.readout.peaks import find_peaks
from tomosoup.inference.tiling.windows import window_regions, window_weight
from tomosoup.models.checkpoint import load
from tomosoup.models.window_plan import WindowPlan
from tomosoup.simulation.options.recipe import SimulationRecipe
from tomosoup.simulation.simulate import simulate_run
from tomosoup.training.supervision.targets import gaussian_targets

SHAPE, SEED, SLICE = (48, 256, 256), 77, 24


def path_of_a_pick(model: str, file: Path) -> None:
    """Draw a slice of the tomogram, the training target, the heatmap of the network, and the picks."""
    checkpoint = load(model)
    scene = simulate_run(SimulationRecipe.read("simulated").model_copy(update={"shape": SHAPE}), seed=SEED)
    species, volume = checkpoint.species, scene.volume
    heatmap = ensemble_heatmap(volume, [checkpoint])
    target = gaussian_targets(scene.truth, species, volume, sigma=[60.0] * len(species))
    picks = apply_thresholds(find_peaks(heatmap, species), checkpoint.thresholds)
    figure = Figure(figsize=(14, 4), layout="constrained")
    axes = figure.subplots(1, 4)
    tomogram = volume.data[SLICE - 1 : SLICE + 2].mean(0)
    for axis, title in zip(axes, ("tomogram", "target", "heatmap", "picks"), strict=True):
        axis.imshow(tomogram, cmap="gray", vmin=-3, vmax=2.5)
        axis.set(title=title, xticks=[], yticks=[])
    for axis, maps in ((axes[1], target.data), (axes[2], heatmap.data)):
        axis.images[0].set_alpha(0.35)
        axis.imshow(coloured(maps[:, SLICE]))
    for i, s in enumerate(species):
        circles(axes[3], volume.to_voxel(picks[s.name].zyx), s.radius / volume.voxel_size, COLOURS[i], z=SLICE)
        axes[0].plot([], [], "o", color=COLOURS[i], label=s.name)
    figure.legend(loc="outside lower center", ncols=6, frameon=False)
    figure.savefig(file, dpi=70)


def windows(file: Path) -> None:
    """Draw how many windows contain each voxel of a plane, for two plans, and the weight inside a window."""
    figure = Figure(figsize=(13, 4.4), layout="constrained")
    axes = figure.subplots(1, 3)
    side = 630
    plans = [
        (WindowPlan(shape=(16, 128, 128), stride=(8, 48, 48), weighting="pyramid"), "plan paper", 128, 48),
        (WindowPlan(shape=(16, 256, 256), stride=(8, 96, 96), border="inside"), "recipe small", 256, 96),
    ]
    for axis, (plan, title, size, stride) in zip(axes, plans, strict=False):
        regions = [r for r in window_regions((16, side, side), plan) if r[0].start == 0]
        seen = np.zeros((side, side))
        for _, y, x in regions:
            seen[y, x] += 1
        image = axis.imshow(seen, cmap="viridis", vmin=0, vmax=9)
        _, y, x = regions[len(regions) // 3]
        axis.add_patch(Rectangle((x.start, y.start), plan.shape[2], plan.shape[1], fill=False, color="white"))
        axis.set_title(f"{title}: {len(regions)} windows of {size}, stride {stride}", fontsize=10)
        axis.set(xlabel="x (voxels)")
    figure.colorbar(image, ax=axes[:2], label="windows that contain a voxel", shrink=0.8)
    weights = window_weight(plans[0][0])
    axes[2].imshow(weights[weights.shape[0] // 2], cmap="magma", vmin=0)
    axes[2].set_title("weight in a window of the plan paper", fontsize=10)
    axes[2].set(xlabel="x (voxels)")
    figure.savefig(file, dpi=70)


def main(model: str, folder: Path) -> None:
    """Draw both pictures."""
    path_of_a_pick(model, folder / "how-picks.jpg")
    windows(folder / "how-windows.png")


if __name__ == "__main__":
    run_script(main, description=__doc__)
