"""Draws a protein of one's own: its density map, its particles in a simulated tomogram, and how a training learns it.

    python -m runs.figures.new_protein particles docs/training/own-protein.jpg
    python -m runs.figures.new_protein learning docs/training/learning.png

The protein is a barrel of 730 kDa that the default model does not know. `learning` simulates four small tomograms of it
and of ribosomes, which the default model knows, and fine-tunes that model on three of them in 50 updates. This takes
two CPU minutes.
"""

from csv import DictReader
from pathlib import Path
from tempfile import TemporaryDirectory

import mrcfile
import numpy as np
from scipy.ndimage import gaussian_filter

from runs.figures.slices import circles, grey, panels, plane, save
from runs.quality.fine_tuning.projects import NEW
from runs.shared.command import run_step
from tomosoup.data.copick.files import COLOURS
from tomosoup.models.checkpoint import load
from tomosoup.simulation.options.recipe import SimulationRecipe
from tomosoup.simulation.options.specimen import LayoutOptions
from tomosoup.simulation.project import simulate
from tomosoup.simulation.simulate import simulate_run
from tomosoup.simulation.specimen.built_in import rendered
from tomosoup.training.options import TrainingRecipe
from tomosoup.training.train import train

NAME, RADIUS = "barrel", 90.0
SHAPE, RUNS, SEED = (48, 176, 176), 4, 12
NUMBERS = {NAME: 12, "ribosome": 6}
"""Particles in a tomogram."""
EACH, EPOCHS = 60, 5
"""Updates of an epoch, and epochs."""


def recipe_with_map(folder: Path) -> SimulationRecipe:
    """The recipe `contest` with both species alone, one of them from a density map in this folder."""
    density = folder / f"{NAME}.mrc"
    with mrcfile.new(density) as file:
        file.set_data(rendered(NEW[NAME], voxel_size=10.0, seed=1).astype(np.float32))
        file.voxel_size = 10.0
    per_volume = {name: number / (np.prod(SHAPE) * 1e-9) for name, number in NUMBERS.items()}  # µm³
    return SimulationRecipe.read("contest").model_copy(update={
        "shape": SHAPE, "maps": {NAME: density}, "map_mass": {NAME: NEW[NAME].mass_kda},
        "concentration": per_volume, "layout": LayoutOptions(),
    })  # fmt: skip


def particles(file: Path) -> None:
    """The map from two sides, the slice with most particles, and the true picks in it."""
    with TemporaryDirectory() as folder:
        scene = simulate_run(recipe_with_map(Path(folder)), seed=SEED)
    true = scene.volume.to_voxel(scene.truth[NAME].zyx)
    z = max(range(8, SHAPE[0] - 8), key=lambda z: (np.abs(true[:, 0] - z) < 3).sum())
    density = gaussian_filter(rendered(NEW[NAME], voxel_size=4.0, seed=1), 1.5)
    figure, axes = panels(1, 4, height=3.4)
    above, aside, tomogram, picks = axes[0]
    for axis, along, title in ((above, 0, "your density map,\nfrom above"), (aside, 1, "from the side")):
        grey(axis, -density.sum(along), title)
    for axis, title in ((tomogram, "in a simulated\ntomogram"), (picks, "with its true picks")):
        grey(axis, plane(scene.volume, z), title, limits=(-4, 3))
    circles(picks, true, RADIUS / scene.volume.voxel_size, COLOURS[1], z=z, width=2)
    save(figure, file)


def learning(file: Path) -> None:
    """The loss of each update, and F4 of both species after each epoch."""
    recipe = TrainingRecipe.read("finetune").model_copy(update={"epochs": EPOCHS, "crops_per_epoch": EACH})
    with TemporaryDirectory() as folder:
        project = simulate(Path(folder) / "project", recipe_with_map(Path(folder)), runs=RUNS, seed=SEED)
        train(project, recipe, folder=Path(folder) / "log", start=load("default"))
        with (Path(folder) / "log" / "metrics.csv").open() as opened:
            lines = list(DictReader(opened))
    losses = [float(line["loss"]) for line in lines if line["loss"]]
    scored = [line for line in lines if line["f4"]]
    figure, axes = panels(1, 2, height=3.2)
    loss, scores = axes[0]
    loss.plot(range(1, len(losses) + 1), losses, ".", color="0.6", label="one update")
    means = np.convolve(losses, np.ones(EACH) / EACH, mode="valid")
    loss.plot(np.arange(len(means)) + EACH, means, color=COLOURS[6], linewidth=2, label=f"mean of {EACH}")
    loss.set(xlabel="update", ylabel="training loss", ylim=(0, None), xlim=(0, None))
    names = {f"{NAME}, new to the model": (NAME, COLOURS[1]), "ribosome, known to it": ("ribosome", COLOURS[2])}
    for label, (name, colour) in names.items():
        values = [float(line[f"f4/{name}"]) for line in scored]
        scores.plot(EACH * np.arange(1, len(values) + 1), values, "o-", color=colour, linewidth=2, label=label)
    scores.set(xlabel="update", ylabel="F4 on the held-out run", ylim=(0, 1.05), xlim=(0, None))
    loss.legend(frameon=False, fontsize=11)
    scores.legend(frameon=False, fontsize=11, loc="lower right")
    for axis in (loss, scores):
        axis.grid(alpha=0.3)
        axis.xaxis.label.set_size(11)
        axis.yaxis.label.set_size(11)
    save(figure, file)


if __name__ == "__main__":
    run_step({"particles": particles, "learning": learning}, description=__doc__)
