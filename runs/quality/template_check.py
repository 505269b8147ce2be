"""Measures what imperfect density maps do to the template check (`tomosoup.templates`), on unseen simulated runs.

    python -m runs.quality.template_check OUT [RUN ...]

OUT is that of runs/models/default_model.py; its maps are the ones that the particles were simulated with. Prints a row
for each change to the maps of beta-galactosidase and thyroglobulin, which the default model confuses.
"""

from collections.abc import Mapping
from pathlib import Path
from time import process_time

import torch
from scipy import ndimage
from torch import Tensor

from runs.shared.candidates import candidates, with_noise_correction
from runs.shared.command import Words, run_script
from tomosoup.core.runtime import keep_freed_memory
from tomosoup.core.thresholds import apply_thresholds
from tomosoup.core.types import Volume
from tomosoup.data.options import DataOptions
from tomosoup.data.project import open_project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.data.truth import read_truth
from tomosoup.inference.options.templates import TemplateOptions
from tomosoup.inference.readout.template_check import check_with_templates, read_maps
from tomosoup.models.checkpoint import load
from tomosoup.scoring.score import score
from tomosoup.simulation.specimen.built_in import built_in

CONFUSED = ("beta-galactosidase", "thyroglobulin")
DENOISED = DataOptions(tomo_type="denoised")


def blurred(density: Tensor) -> Tensor:
    """A map under a Gaussian of one voxel."""
    return torch.from_numpy(ndimage.gaussian_filter(density.numpy(), 1.0))


def main(out: Path, *words: Words) -> None:
    """Pick, check with each set of maps, score."""
    project, model = open_project(out / "test"), load("default")
    runs = words or project.runs
    found = with_noise_correction(candidates(out / "picks" / "default", project, model), project, model)
    picks = {run: apply_thresholds(found[run], model.thresholds) for run in runs}
    truth = {run: read_truth(project, run) for run in runs}
    every = read_maps(out / "maps", [kind.name for kind in model.species])
    maps = {name: every[name] for name in CONFUSED}
    simple = {name: Volume(torch.from_numpy(built_in(name, voxel_size=10.0)).float(), 10.0) for name in CONFUSED}
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
            volume, recipe = select_tomogram(project, run, DENOISED), TemplateOptions(**options)
            kept[run] = check_with_templates(picks[run], volume, project.species, some, recipe)
        took, result = (process_time() - begun) / len(runs), score(kept, truth, project.species)
        one, other = (result.species[kind] for kind in CONFUSED)
        print(
            f"| {name} | {result.weighted:.3f} | {one.fp} | {other.fp} | {one.fn + other.fn} | {took:.0f} |", flush=True
        )


if __name__ == "__main__":
    keep_freed_memory()
    torch.set_num_threads(1)
    run_script(main, description=__doc__)
