"""What `tomosoup report` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from annotated_types import Ge

from tomosoup.cli.options.shared import (
    UNPREFIXED,
    Checkpoints,
    Count,
    Overwrite,
    PickSetName,
    Project,
    Thresholds,
    ToWrite,
)
from tomosoup.core.config import Options, Typed
from tomosoup.data.options import AnnotatedData


class ReportCommand(Options):
    """Write one HTML page to look at picks, choose thresholds and judge a training. It opens without a network."""

    EXAMPLE: ClassVar = "tomosoup report my-data -o report.html"

    project: Project
    """Tomograms: a copick configuration file, a folder in the contest's layout, or a folder of MRC files."""
    output: ToWrite = Path("report.html")
    """HTML page to write."""
    session: Annotated[str, Typed("Input", value="NAME")] = "0"
    """copick session that `pick` wrote. The page shows all its candidates, so thresholds can go down, too."""
    picks: Annotated[Path | None, Typed("Input", file="project")] = None
    """Picks that are not in PROJECT: a CSV file, or the .copick folder that `pick` made beside one."""
    picks_set: PickSetName = None
    """Pick set to show in place of the session's candidates, for example another program's."""
    threshold: Thresholds = ()
    """Scores at which the page opens: one for all species (0.3) or by species (ribosome=0.4); by default the
    session's."""
    model: Checkpoints = ()
    """Checkpoints whose learning curves are shown, from the folder of their training (.training)."""
    volumes: Annotated[int, Ge(0), Typed("Output")] = 4
    """Number of runs whose tomogram is shown, sorted by name. The other runs count in the numbers only."""
    voxels: Count = 12_000_000
    """Most voxels of all tomograms in the page together. Larger ones are binned."""
    overwrite: Overwrite = False
    """Replace OUTPUT."""
    data: Annotated[AnnotatedData, UNPREFIXED] = AnnotatedData()
    """Tomograms and true picks. --truth may also name another project; true picks are optional."""
