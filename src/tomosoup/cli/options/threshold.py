"""What `tomosoup threshold` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from tomosoup.cli.options.shared import Overwrite, Project, SessionName, Thresholds
from tomosoup.core.config import Options, Typed


class ThresholdCommand(Options):
    """Apply other thresholds to the candidates of an earlier `pick`, without running a network. This replaces the picks
    of the session; its candidates stay."""

    EXAMPLE: ClassVar = "tomosoup threshold my-data --threshold 0.3 ribosome=0.45 -o picks.csv"

    project: Project
    """The copick project that holds the candidates; for a folder of MRC files the .copick folder that `pick` made."""
    threshold: Thresholds = Field(min_length=1)
    """Lowest score of a pick: one for all species (0.3) or by species (ribosome=0.4). Species without one keep all
    candidates."""
    output: Annotated[Path | None, Typed("Output", aliases=("-o",), file="output")] = None
    """CSV file of the picks that pass."""
    session: SessionName = "0"
    """copick session that `pick` wrote. Its picks are replaced."""
    overwrite: Overwrite = False
    """Replace OUTPUT."""
