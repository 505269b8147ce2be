"""Measures the faces that `tomosoup slab` finds, and what picking in the slab alone is worth.

    python -m runs.quality.slab simulate OUT [--shape Z Y X]
    python -m runs.quality.slab measure OUT [--model MODEL]       # MODEL: default, default-soup or a checkpoint
    python -m runs.quality.slab figure OUT docs/inference/slab.png

Two tomograms of 128 x 384 x 384 voxels of the recipe `contest`, with ice 500 and 700 Å thick and the numbers of
particles of the recipe `simulated`. `measure` prints how far the faces are from
those of the ice, and F4 with the model's thresholds in three ways: in the whole volume; the same picks without those
outside of the slab; and with the slab as the mask. F4 inside is that of the picks in the ice.
"""

from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np

import tomosoup
from runs.shared.command import print_progress, run_step
from tomosoup.core.types import Picks, PicksBySpecies
from tomosoup.data.copick.masks.mask import Mask
from tomosoup.data.copick.masks.region import Region
from tomosoup.data.options import DataOptions, RegionOptions
from tomosoup.data.project import Project, open_project
from tomosoup.data.tomogram import Tomogram, select_tomogram
from tomosoup.data.truth import read_truth
from tomosoup.inference.engines.net_cache import Nets
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.inference.pick import pick_with
from tomosoup.inference.region.slab import Slab, find_slab
from tomosoup.models.checkpoint import load
from tomosoup.scoring.score import score
from tomosoup.simulation.options.recipe import CONCENTRATION, SimulationRecipe

matplotlib.use("Agg")
from matplotlib import pyplot as plt

THICKNESS, SEED = (500.0, 700.0), 11
WAYS = ("whole volume", "picks outside dropped", "`--mask`")


def simulate(out: Path, *, shape: tuple[int, int, int] = (128, 384, 384)) -> None:
    """Simulate a project for each thickness."""
    recipe = SimulationRecipe.read("contest")
    recipe = recipe.model_copy(update={"shape": shape, "concentration": CONCENTRATION})
    for i, ice in enumerate(THICKNESS):
        own = recipe.model_copy(update={"sample": recipe.sample.model_copy(update={"thickness": (ice, ice)})})
        tomosoup.simulate(out / f"{ice:.0f}", own, runs=1, seed=SEED + i, progress=print_progress)


def simulated(out: Path) -> Iterator[tuple[float, Project, Tomogram, tuple[float, float]]]:
    """Thickness, project, tomogram, and z (Å) of the true faces."""
    for ice in THICKNESS:
        project = open_project(out / f"{ice:.0f}")
        tomogram = select_tomogram(project, project.runs[0], DataOptions())
        middle = tomogram.shape[0] * tomogram.voxel_size / 2
        yield ice, project, tomogram, (middle - ice / 2, middle + ice / 2)


def as_region(slab: Slab) -> Region:
    """The inside of a slab."""
    mask = Mask(slab.mask().numpy() > 0, slab.voxel_size, slab.origin)
    return Region.of(mask, RegionOptions(mask="slab.mrc"))


def errors_vox(slab: Slab, faces: tuple[float, float]) -> list[float]:
    """Mean distance along z (voxels) of the lower and the upper face to the true ones."""
    y, x = np.indices(slab.shape[1:]).reshape(2, -1).astype(float)
    true = (np.array(faces) - slab.origin[0]) / slab.voxel_size
    return [float(np.abs(z - at).mean()) for z, at in zip(slab.z_vox(y, x), true, strict=True)]


def between(picks: PicksBySpecies, faces: tuple[float, float]) -> dict[str, Picks]:
    """The picks in the ice."""
    return {name: p.where((p.zyx[:, 0] >= faces[0]) & (p.zyx[:, 0] <= faces[1])) for name, p in picks.items()}


def measure(out: Path, *, model: str = "default") -> None:
    """Print the tables."""
    checkpoint, nets = load(model), Nets()
    ways: dict[str, dict[str, PicksBySpecies]] = {way: {} for way in WAYS}
    truth, inside, species = {}, {}, ()
    print("| ice (Å) | thickness found (Å) | lower face off by (voxels) | upper face off by (voxels) |")
    print("| ---: | ---: | ---: | ---: |")
    for ice, project, tomogram, faces in simulated(out):
        slab, run = find_slab(tomogram), f"{ice:.0f}"
        lower, upper = errors_vox(slab, faces)
        print(f"| {ice:.0f} | {slab.thickness:.0f} | {lower:.1f} | {upper:.1f} |", flush=True)
        region = as_region(slab)
        whole = checkpoint.keep(pick_with(nets, tomogram, [checkpoint], plan=PickingPlan()))
        masked = checkpoint.keep(pick_with(nets, tomogram, [checkpoint], plan=PickingPlan(), region=region))
        for way, picks in zip(WAYS, (whole, region.kept(whole), masked), strict=True):
            ways[way][run] = picks
        truth[run], inside[run], species = read_truth(project, tomogram.run), faces, project.species
    print("\n| picks | F4 | F4 inside | false picks inside | false picks outside |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for way, picks in ways.items():
        there = {run: between(found, inside[run]) for run, found in picks.items()}
        all_of_it, in_ice = score(picks, truth, species), score(there, truth, species)
        false_in = sum(m.fp for m in in_ice.species.values())
        number = sum(len(p) for found in picks.values() for p in found.values())
        in_there = sum(len(p) for found in there.values() for p in found.values())
        print(f"| {way} | {all_of_it.weighted:.3f} | {in_ice.weighted:.3f} | {false_in} | {number - in_there} |")


def figure(out: Path, picture: Path) -> None:
    """Draw an xz slice of each tomogram with the faces found and true."""
    drawn, axes = plt.subplots(len(THICKNESS), 1, figsize=(6, 5), layout="constrained")
    for axis, (ice, _, tomogram, faces) in zip(axes, simulated(out), strict=True):
        slab = find_slab(tomogram)
        _, y, x = tomogram.shape
        plane = tomogram.read().data[:, y // 2]
        low, high = plane.quantile(0.01), plane.quantile(0.99)
        axis.imshow(plane, cmap="gray", vmin=low, vmax=high, origin="lower")
        along = np.arange(x, dtype=float)
        for found, true in zip(slab.z_vox(np.full(x, y / 2), along), faces, strict=True):
            axis.plot(along, found, color="#e69f00", linewidth=1.5)
            axis.axhline((true - slab.origin[0]) / slab.voxel_size, color="#56b4e9", linewidth=1, linestyle="--")
        axis.set_title(f"{ice:.0f} Å of ice: found (orange), true (dashed)", fontsize=9)
        axis.set_axis_off()
    drawn.savefig(picture, dpi=70)


if __name__ == "__main__":
    run_step({"simulate": simulate, "measure": measure, "figure": figure}, description=__doc__)
