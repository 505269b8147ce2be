"""How density maps decide what a model cannot tell apart."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Gt, Le
from pydantic import AfterValidator

from tomosoup.core.config import Options


class TemplateOptions(Options):
    """Density maps that decide where a model picks one place as two species: the one that fits worse is dropped."""

    folder: Annotated[Path, AfterValidator(Path.absolute)] | None = None
    """Folder of density maps, SPECIES.mrc, of at least two species that are taken for each other; none decides
    nothing."""
    tilt_limit: Annotated[float, Gt(0), Le(90)] = 50.0
    """Largest tilt of the tilt series, degrees: beyond it there is nothing in the tomogram (the missing wedge)."""
    orientations: Annotated[int, Ge(24)] = 600
    """In how many orientations each map is tried."""
    margin: Annotated[float, Ge(0)] = 0.05
    """By how much another map must fit better, as a share, for a pick to be dropped; larger keeps more."""
