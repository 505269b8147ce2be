"""What `tomosoup demo` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from annotated_types import Ge
from pydantic import Field

from tomosoup.cli.options.shared import Overwrite, RecipeName, Seed
from tomosoup.core.config import Options, Typed
from tomosoup.simulation.options.recipe import SimulationRecipe


class DemoCommand(Options):
    """Try tomosoup: find particles in a bundled tomogram with the bundled model, score them, write an HTML page."""

    EXAMPLE: ClassVar = "tomosoup demo"

    out: Annotated[Path, Typed("Output", positional=True, value="FOLDER")] = Path("tomosoup-demo")
    """New folder for the results."""
    train: Annotated[bool, Typed("Model")] = False
    """Run the whole workflow, in minutes: simulate tomograms, train a model on them, and pick a tomogram that was not
    used in training. --runs, --seed and --recipe work with --train only."""
    runs: Annotated[int, Ge(4), Typed("Model")] = 8
    """Number of simulated tomograms. The last one is picked and scored. The one before it serves to choose the best
    weights and the thresholds. The others are trained on."""
    seed: Annotated[Seed, Typed("Model")] = 0
    """Random seed: the same seed gives the same tomograms and the same training."""
    recipe: RecipeName = "small"
    """Recipe of the training."""
    overwrite: Overwrite = False
    """Replace an earlier demo in FOLDER."""
    simulation: SimulationRecipe = Field(default_factory=lambda: SimulationRecipe.read("simulated"))
    """The simulated tomograms."""
