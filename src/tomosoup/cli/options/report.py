"""What `tomosoup report` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from annotated_types import Ge
from pydantic import AfterValidator

from tomosoup.cli.options.shared import (
    UNPREFIXED,
    Checkpoints,
    Count,
    Overwrite,
    PickSetName,
    Project,
    ScoreFilter,
    ToWrite,
)
from tomosoup.core.config import Options, Typed
from tomosoup.data.copick.masks.names import checked_mask
from tomosoup.data.options import AnnotatedData


class ReportCommand(Options):
    """Write one HTML page to look at picks, choose thresholds and judge a training. It opens without internet."""

    EXAMPLE: ClassVar = "tomosoup report my-data -o report.html"

    project: Project
    """Tomograms: a copick configuration file, a folder in the contest's layout, or a folder of MRC files
    (each file is a run)."""
    output: ToWrite = Path("report.html")
    """HTML page to write."""
    session: Annotated[str, Typed("Input", value="NAME")] = "0"
    """copick session that `pick` wrote. The page shows all its candidates, so you can also lower the thresholds."""
    picks: Annotated[Path | None, Typed("Input", file="project")] = None
    """Picks that are not in PROJECT: a CSV file, or the .copick folder that `pick` made beside it."""
    picks_set: PickSetName = None
    """Pick set to show in place of the session's candidates, for example another program's."""
    threshold: ScoreFilter = ()
    """Thresholds that the page shows first: one for all species (0.3) or by species (ribosome=0.4); by default the
    session's."""
    model: Checkpoints = ()
    """Checkpoints whose learning curves are shown, from the folder of their training (.training)."""
    volumes: Annotated[int, Ge(0), Typed("Output")] = 4
    """Number of runs whose tomograms are shown, the first ones by name. The thresholds and curves
    use all runs, up to a million candidates together. The table has all runs."""
    voxels: Count = 12_000_000
    """Most voxels of all tomograms in the page together. Larger ones are binned."""
    mask: Annotated[
        Annotated[str, AfterValidator(checked_mask)] | None, Typed("Output", value="FILE|NAME:USER/SESSION")
    ] = None
    """Mask to outline, named as for `pick --mask`; by default the one that the picks were searched in."""
    pages: Annotated[bool, Typed("Output")] = False
    """Write a page for each run, too, into the folder OUTPUT-runs. The table of the runs links to them."""
    overwrite: Overwrite = False
    """Replace an existing output file."""
    data: Annotated[AnnotatedData, UNPREFIXED] = AnnotatedData()
    """Tomograms and true picks. --truth may also name another project; true picks are optional."""
