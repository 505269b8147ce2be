"""What `tomosoup simulate` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from tomosoup.cli.options.shared import UNPREFIXED, Count, Overwrite, Seed
from tomosoup.core.config import Options, Typed
from tomosoup.simulation.options.recipe import SimulationRecipe


class SimulateCommand(Options):
    """Simulate tomograms with known particles, as a copick project."""

    EXAMPLE: ClassVar = "tomosoup simulate sim --runs 4 --shape 64 256 256 --seed 0"
    RECIPE = ("recipe", "simulation")
    RENAMED: ClassVar = {"like": "layout_from", "like_runs": "layout_runs"}
    ARGUMENTS: ClassVar = {"truth": "--layout-from CSV|PROJECT"}

    out: Annotated[Path, Typed("Output", positional=True, value="FOLDER")]
    """New folder for the project; its copick configuration is FOLDER/copick_config.json."""
    recipe: Annotated[str, Typed("Input", value="NAME|FILE")] = "simulated"
    """A recipe of tomosoup (simulated, contest, any-microscope, cell) or a TOML file. Other options override its
    values."""
    runs: Annotated[Count, Typed("Input")] = 4
    """Number of tomograms."""
    jobs: Annotated[Count, Typed("Speed")] = 1
    """Number of tomograms to simulate at the same time, each in its own process. The result stays the same."""
    seed: Annotated[Seed, Typed("Input")] = 0
    """Random seed: the same seed gives the same tomograms."""
    layout_from: Annotated[Path | None, Typed("Input", file="input")] = None
    """Place particles at the positions of real picks: a CSV file (experiment,particle_type,x,y,z) or an annotated
    project."""
    layout_runs: Annotated[tuple[str, ...], Typed(value="RUN")] = ()
    """Runs of --layout-from to copy; by default all."""
    contest: bool = False
    """Name files as the contest does (static/, overlay/, picks by object), not as copick does."""
    overwrite: Overwrite = False
    """Replace an existing project in FOLDER."""
    simulation: Annotated[SimulationRecipe, UNPREFIXED] = SimulationRecipe()
    """The simulated tomogram."""
