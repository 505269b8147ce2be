"""Measures F4 against clicks: boxes that tomosoup suggests, against boxes in random order.

    python -m runs.quality.annotation simulate OUT
    python -m runs.quality.annotation measure OUT       # what is missing in OUT; can be stopped and started again
    python -m runs.quality.annotation table OUT         # prints the tables of docs/review/annotate.md
    python -m runs.quality.annotation figure OUT docs/review/annotate.png

There are three species: ribosomes, which the default model knows, and the barrel and the ring of
`runs.quality.fine_tuning`, which it does not. A tomogram (64 x 256 x 256 voxels of 10 Å, microscope of the recipe
`contest`) has eight boxes of 32 x 128 x 128 voxels and, on average, six particles of each species. Each seed annotates
five tomograms, its own, and scores the same four others.

The simulated annotator sees the model's picks in a box, adds what is missing, deletes what is false, and confirms. Each
of these is a click. After 4, 8, 12 and 20 boxes the default model is fine-tuned on all confirmed boxes, with the recipe
`finetune`, and picks again. The orders: "active" takes the first suggestions, "random" any boxes.
"""

from pathlib import Path

import mrcfile
import numpy as np

import tomosoup
from runs.quality.fine_tuning.projects import NEW
from runs.shared.command import print_progress, run_step
from tomosoup.core.runtime import keep_freed_memory
from tomosoup.simulation.options.recipe import SimulationRecipe
from tomosoup.simulation.specimen.built_in import rendered

SHAPE, EACH = (64, 256, 256), 6
SHOWN = ("barrel", "ring")
ANNOTATED, SCORED, SEED = 5, 4, 281
SEEDS, ORDERS, BOXES = (0, 1), ("active", "random"), (4, 8, 12, 20)


def simulate(out: Path) -> None:
    """Simulate the tomograms."""
    out.mkdir(parents=True, exist_ok=True)
    maps = {}
    for number, name in enumerate(SHOWN):
        maps[name] = out / f"{name}.mrc"
        with mrcfile.new(maps[name], overwrite=True) as file:
            file.set_data(rendered(NEW[name], voxel_size=10.0, seed=number).astype(np.float32))
            file.voxel_size = 10.0
    per_volume = EACH / (np.prod(SHAPE) * 1e-9)  # µm³
    recipe = SimulationRecipe.read("contest").model_copy(update={
        "shape": SHAPE, "maps": maps, "map_mass": {name: NEW[name].mass_kda for name in SHOWN},
        "concentration": dict.fromkeys(("ribosome", *SHOWN), per_volume), "layout": type(SimulationRecipe().layout)(),
    })  # fmt: skip
    runs = len(SEEDS) * ANNOTATED + SCORED
    tomosoup.simulate(out / "project", recipe, runs=runs, seed=SEED, progress=print_progress)


if __name__ == "__main__":
    keep_freed_memory()
    run_step({"simulate": simulate}, description=__doc__)
