"""What `tomosoup merge` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from annotated_types import Gt
from pydantic import Field

from tomosoup.cli.options.shared import UNPREFIXED, Count, Overwrite, ScoreFilter, ToWrite
from tomosoup.core.config import Options, Typed
from tomosoup.data.options import DataOptions, RegionOptions


class MergeCommand(Options):
    """Merge the picks of several programs or models into one table, with the sets that each particle is in."""

    EXAMPLE: ClassVar = "tomosoup merge mine.csv theirs.csv --at-least 2 -o both.csv"
    ARGUMENTS: ClassVar = {"picks_set": "PROJECT:USER/SESSION"}

    picks: Annotated[tuple[str, ...], Typed("Input", positional=True, value="PICKS")] = Field(min_length=2)
    """Pick sets: CSV files (`tomosoup import` makes them of other programs' files), or copick projects, with the pick
    set after a colon (data/config.json:tomosoup/0). Without it, it is the only set that tomosoup made."""
    output: ToWrite
    """CSV file to write: experiment,particle_type,x,y,z,score,found_by. With --mask a column mask_distance follows: Å
    to the surface of the mask, below 0 outside."""
    at_least: Annotated[Count, Typed("Input")] = 1
    """Number of sets that a particle must be in. 1 is the union, the number of sets the intersection."""
    distance: Annotated[Annotated[float, Gt(0)] | None, Typed("Input", value="Å")] = None
    """Picks that are at most this far apart are one particle; by default the radius of the species."""
    species: Annotated[Path | None, Typed("Input", file="input")] = None
    """CSV file with name,radius of the species. Required without --distance if all sets are CSV files, unless the
    species are those of the contest."""
    threshold: ScoreFilter = ()
    """Leave out particles with a lower score: one for all species (0.5) or by species (ribosome=0.5). The score is the
    mean rank of a particle in all sets, 0 to 1. `tomosoup export --format csv --threshold` leaves out picks of one set
    by their own scores."""
    project: Annotated[Path | None, Typed("Input", value="PROJECT", file="project")] = None
    """Project with the tomograms, for the mask; by default the first that is among the sets. Without one, a mask in a
    file says the size of its voxels, and positions count from its first corner."""
    overwrite: Overwrite = False
    """Replace an existing file."""
    data: Annotated[DataOptions, UNPREFIXED] = DataOptions()
    """Tomograms."""
    region: Annotated[RegionOptions, UNPREFIXED] = RegionOptions()
    """Where particles must be."""
