"""What `tomosoup score` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from tomosoup.cli.options.shared import PickSetName, ScoreFilter
from tomosoup.core.config import Options, Typed


class ScoreCommand(Options):
    """Score picks against true picks with the metric of the CZII contest: F4 per species and their weighted mean."""

    EXAMPLE: ClassVar = "tomosoup score picks.csv my-data"
    ARGUMENTS: ClassVar = {"truth": "--truth-set USER/SESSION"}

    picks: Annotated[Path, Typed("Input", positional=True, value="PICKS", file="project")]
    """Picks to score: a CSV file or a project."""
    truth: Annotated[Path, Typed("Input", positional=True, value="TRUTH", file="project")]
    """True picks (annotations): a CSV file or a project."""
    picks_set: PickSetName = None
    """Pick set of PICKS, if PICKS is a copick project; by default the only one that tomosoup made."""
    truth_set: PickSetName = None
    """Pick set of TRUTH, if TRUTH is a copick project; by default the only one that tomosoup did not
    make."""
    runs: Annotated[tuple[str, ...], Typed("Input", value="RUN")] = ()
    """Names of the runs to score, or "all" for all runs of TRUTH; by default the runs that have picks."""
    all_species: bool = False
    """Divide by the weights of all species, as the contest does. By default a species without any true particle or pick
    in these runs is left out of the mean."""
    threshold: ScoreFilter = ()
    """Ignore picks with a lower score: one for all species (0.3) or by species (ribosome=0.4)."""
    species: Annotated[Path | None, Typed("Input", file="input")] = None
    """CSV file with name,radius,weight of the species. Required if both inputs are CSV files, unless the species are
    those of the contest."""
