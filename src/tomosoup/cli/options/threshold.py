"""What `tomosoup threshold` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import model_validator

from tomosoup.cli.options.shared import Checkpoints, Overwrite, Project, Purpose, SessionName, Thresholds
from tomosoup.core.config import Options, Typed


class ThresholdCommand(Options):
    """Apply other thresholds to the candidates of an earlier `pick`, without running a network. This replaces the picks
    of the session; its candidates stay."""

    EXAMPLE: ClassVar = "tomosoup threshold my-data --threshold 0.3 ribosome=0.45 -o picks.csv"

    project: Project
    """The copick project that holds the candidates; for a folder of MRC files the .copick folder that `pick` made."""
    threshold: Thresholds = ()
    """Lowest score of a pick: one for all species (0.3) or by species (ribosome=0.4). Species without one keep all
    candidates. Needed without --for averaging."""
    purpose: Purpose = "recall"
    """averaging: the F1-best thresholds of the checkpoints, which balance false and missed picks, where --threshold
    gives none; `tomosoup tune --for averaging` stores them."""
    model: Checkpoints = ()
    """Checkpoints that made the picks. Needed with --for averaging."""
    output: Annotated[Path | None, Typed("Output", aliases=("-o",), file="output")] = None
    """CSV file of the picks that pass."""
    session: SessionName = "0"
    """copick session that `pick` wrote. Its picks are replaced."""
    overwrite: Overwrite = False
    """Replace OUTPUT."""

    @model_validator(mode="after")
    def _some_thresholds(self) -> Self:
        if self.purpose == "recall" and not self.threshold:
            raise ValueError("`threshold` is missing: give a score such as 0.3, or `purpose=averaging` with `model`")
        if self.purpose == "averaging" and not self.model:
            raise ValueError("`purpose=averaging` needs the checkpoints that made the picks: add `model=FILE`")
        return self
