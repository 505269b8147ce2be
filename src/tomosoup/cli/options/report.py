"""What `tomosoup report` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from annotated_types import Ge
from tyro.conf import Positional, arg

from tomosoup.cli.options.commands import UNPREFIXED, Count, Thresholds
from tomosoup.core.config import Options
from tomosoup.data.options import AnnotatedData


class ReportCommand(Options):
    """Write one HTML page to look at picks, to set thresholds and to judge a training; it needs no network."""

    project: Positional[Path]
    """Where the tomograms are: a copick configuration, a folder in the contest's layout, or a folder of MRC files."""
    output: Annotated[Path, arg(aliases=["-o"])] = Path("report.html")
    """Page to write (.html)."""
    session: str = "0"
    """copick session that `pick` wrote; the page holds all its candidates, so that thresholds can go down, too."""
    picks: Path | None = None
    """Where the picks are, if not in PROJECT: a CSV file, or the .copick folder that `pick` made beside one."""
    picks_set: str | None = None
    """USER/SESSION of picks in place of the session's candidates: another program's, say."""
    threshold: Thresholds = ()
    """Scores at which the page opens, for all (0.3) or by species (ribosome=0.4), in place of the session's own."""
    model: tuple[Path, ...] = ()
    """Checkpoints whose learning curves are shown, from the folder of their training (.training)."""
    volumes: Annotated[int, Ge(0)] = 4
    """Of how many runs the tomogram is shown, the first by name; the others are in the numbers alone."""
    voxels: Count = 12_000_000
    """Voxels of all tomograms in the page together: they are binned until they fit."""
    overwrite: bool = False
    """Replace OUTPUT."""
    data: Annotated[AnnotatedData, UNPREFIXED] = AnnotatedData()
    """Which tomograms, and which picks are true; --truth may be another project, too, and may be missing."""
