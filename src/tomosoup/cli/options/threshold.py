"""What `tomosoup threshold` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import model_validator

from tomosoup.cli.options.shared import (
    UNPREFIXED,
    Checkpoints,
    MaxFdr,
    Overwrite,
    Project,
    Purpose,
    SessionName,
    Thresholds,
)
from tomosoup.core.config import Options, Typed
from tomosoup.data.options import RegionOptions


class ThresholdCommand(Options):
    """Apply other thresholds to the candidates that an earlier `pick` stored, without running a network. This replaces
    the picks of the session, but not the candidates."""

    EXAMPLE: ClassVar = "tomosoup threshold my-data --threshold 0.3 ribosome=0.45 -o picks.csv"

    project: Project
    """The project that was picked, or the .copick folder that `pick` made beside its CSV file."""
    threshold: Thresholds = ()
    """Lowest score of a pick: one for all species (0.3) or by species (ribosome=0.4). Species without one keep all
    candidates. Required, unless you give --max-fdr or --for averaging."""
    max_fdr: MaxFdr = None
    """Highest false-discovery rate, in place of thresholds: of each species in each tomogram the best picks are kept,
    as many as possible while at most this fraction is expected to be false. The probabilities are those that `pick`
    recorded."""
    purpose: Purpose = "recall"
    """averaging: apply the thresholds with the best F1 that `tomosoup tune --for averaging` stored in the checkpoints;
    they balance false and missed picks. --threshold overrides them. recall: apply --threshold alone."""
    model: Checkpoints = ()
    """Checkpoints that made the picks. Required with --for averaging."""
    output: Annotated[Path | None, Typed("Output", aliases=("-o",), file="output")] = None
    """CSV file of the picks that pass the thresholds."""
    session: SessionName = "0"
    """copick session that `pick` wrote. The command replaces its picks."""
    overwrite: Overwrite = False
    """Replace an existing output file, and picks of the session that were edited after tomosoup wrote them."""
    region: Annotated[RegionOptions, UNPREFIXED] = RegionOptions()
    """Where picks must be."""

    @model_validator(mode="after")
    def _some_thresholds(self) -> Self:
        if self.max_fdr and (self.threshold or self.purpose != "recall"):
            raise ValueError("`max_fdr` replaces thresholds: leave out `threshold` and `purpose`")
        if self.purpose == "recall" and not self.threshold and not self.max_fdr:
            raise ValueError(
                "`threshold` is missing: give a score such as 0.3, `max_fdr` with a fraction such as 0.1, or "
                "`purpose=averaging` with `model`"
            )
        if self.purpose == "averaging" and not self.model:
            raise ValueError("`purpose=averaging` needs the checkpoints that made the picks: add `model=FILE`")
        return self
