"""What `tomosoup view` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from tomosoup.cli.options.shared import UNPREFIXED, Overwrite, PickSetName, Project, ScoreFilter
from tomosoup.core.config import Options, Typed
from tomosoup.data.options import DataOptions


class RunData(DataOptions):
    """Which tomogram of a run is meant."""

    runs: Annotated[tuple[str, ...], Typed(hidden=True)] = ()


class ViewCommand(Options):
    """Show a run in napari with its picks and the true picks. Correct the picks there and save them."""

    EXAMPLE: ClassVar = "tomosoup view my-data TS_001"
    ARGUMENTS: ClassVar = {"runs": "RUN"}

    project: Project
    """Tomograms: a copick configuration file, a folder in the contest's layout, or a folder of MRC files
    (each file is a run)."""
    run: Annotated[str | None, Typed("Input", positional=True, value="RUN")] = None
    """Name of the run; by default the first."""
    picks_set: PickSetName = None
    """Pick set to show and correct; by default the only one that tomosoup made."""
    truth_set: PickSetName = None
    """Pick set to show beside it; by default all that tomosoup did not make."""
    threshold: ScoreFilter = ()
    """Show candidates of this score or more: one for all species (0.3) or by species (ribosome=0.4)."""
    user: Annotated[str, Typed("Output", value="NAME")] = "napari"
    """copick user of the corrected picks."""
    session: Annotated[str | None, Typed("Output", value="NAME")] = None
    """copick session of the corrected picks; by default edited-SESSION of those shown, or the next free name."""
    output: Annotated[Path | None, Typed("Output", aliases=("-o",), file="output")] = None
    """CSV file for the corrected picks. Required if PROJECT is not a copick project."""
    overwrite: Overwrite = False
    """Replace existing picks of --session, and an existing output file."""
    data: Annotated[RunData, UNPREFIXED] = RunData()
    """Tomogram."""
