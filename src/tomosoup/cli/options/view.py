"""What `tomosoup view` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, Suppress

from tomosoup.cli.options.commands import UNPREFIXED, Thresholds
from tomosoup.core.config import Options
from tomosoup.data.options import DataOptions


class RunData(DataOptions):
    """Which tomogram of a run is meant."""

    runs: Suppress[tuple[str, ...]] = ()


class ViewCommand(Options):
    """Look at a run in napari, with its picks and the truth; correct the picks there and save them."""

    project: Positional[Path]
    """A copick configuration, a folder in the contest's layout, or a folder of MRC files."""
    run: Positional[str | None] = None
    """Name of the run; by default the first."""
    picks_set: str | None = None
    """USER/SESSION of the picks to show and correct; by default tomosoup's only one."""
    truth_set: str | None = None
    """USER/SESSION to show beside them; by default all sets not made by tomosoup."""
    threshold: Thresholds = ()
    """Show candidates of this score or more, for all (0.3) or by species (ribosome=0.4)."""
    user: str = "napari"
    """copick user under which corrected picks are saved."""
    session: str | None = None
    """copick session of the corrected picks; by default edited-SESSION of those shown, or the next free name."""
    output: Path | None = None
    """CSV that corrected picks are also saved to; the only place for them where the project is not copick's."""
    overwrite: bool = False
    """Replace what is at --session or OUTPUT."""
    data: Annotated[RunData, UNPREFIXED] = RunData()
    """Which tomogram."""
