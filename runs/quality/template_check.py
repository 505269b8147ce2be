"""What density maps that are not quite right do to the second look (`tomosoup.templates`), on unseen simulated runs.

    python -m runs.quality.template_check OUT [RUN ...]

OUT is that of `runs/models/default_model.py`, whose maps are the very ones that the particles were simulated with.
Prints a row for each change to the maps of beta-galactosidase and thyroglobulin, which the default model confuses.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from time import process_time

import torch
from scipy import ndimage
from torch import Tensor

from runs.quality.detection_limits import candidates, followed
from tomosoup.checkpoints import load
from tomosoup.evaluation import apply_thresholds, score
from tomosoup.io.project import open_project
from tomosoup.io.selection import read_truth, select_tomogram
from tomosoup.process import keep_freed_memory
from tomosoup.recipes.data import DataRecipe
from tomosoup.recipes.templates import TemplateRecipe
from tomosoup.simulation.shapes import built_in
from tomosoup.templates import read_maps, second_look
from tomosoup.types import Volume

TAKEN = ("beta-galactosidase", "thyroglobulin")


def blurred(density: Tensor) -> Tensor:
    """A map under a Gaussian of one voxel."""
    return torch.from_numpy(ndimage.gaussian_filter(density.numpy(), 1.0))


def main(out: Path, runs: list[str]) -> None:
    """Pick, look again with each set of maps, score."""
    project, model = open_project(out / "test"), load("default")
    runs = runs or list(project.runs)
    found = followed(candidates(out / "picks" / "default", project, model), model)
    picks = {run: apply_thresholds(found[run], model.thresholds) for run in runs}
    truth = {run: read_truth(project, run) for run in runs}
    every = read_maps(out / "maps", [kind.name for kind in model.species])
    maps = {name: every[name] for name in TAKEN}
    simple = {name: Volume(torch.from_numpy(built_in(name, voxel_size=10.0)).float(), 10.0) for name in TAKEN}
    ways: dict[str, tuple[Mapping[str, Volume], dict[str, float]]] = {
        "the simulator's maps": (maps, {}),
        "four species' maps": (every, {}),
        "blurred by a Gaussian of 10 Å": ({n: Volume(blurred(m.data), m.voxel_size) for n, m in maps.items()}, {}),
        "5 % too large": ({n: Volume(m.data, 1.05 * m.voxel_size) for n, m in maps.items()}, {}),
        "tilt limit 40 degrees": (maps, {"tilt_limit": 40.0}),
        "tilt limit 60 degrees": (maps, {"tilt_limit": 60.0}),
        "200 orientations": (maps, {"orientations": 200}),
        "2000 orientations": (maps, {"orientations": 2000}),
        "the other hand": ({n: Volume(m.data.flip(0), m.voxel_size) for n, m in maps.items()}, {}),
        "simple shapes of the same size": (simple, {}),
    }
    print("| maps | F4 | false beta-galactosidase | false thyroglobulin | missed of both | CPU s a run |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, (some, options) in {"none": ({}, {}), **ways}.items():
        begun, kept = process_time(), {}
        for run in runs:
            volume, recipe = select_tomogram(project, run, DataRecipe()), TemplateRecipe(**options)
            kept[run] = second_look(picks[run], volume, project.species, some, recipe)
        took, result = (process_time() - begun) / len(runs), score(kept, truth, project.species)
        one, other = (result.species[kind] for kind in TAKEN)
        print(
            f"| {name} | {result.weighted:.3f} | {one.fp} | {other.fp} | {one.fn + other.fn} | {took:.0f} |", flush=True
        )


if __name__ == "__main__":
    keep_freed_memory()
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), sys.argv[2:])
