"""Options of the template check, with density maps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Gt, Le
from pydantic import AfterValidator

from tomosoup.core.config import Options


class TemplateOptions(Options):
    """Template check: if two species are picked at one position, the pick whose map fits worse is dropped.

    For clear tomograms: in noisy ones true picks are dropped, too.
    """

    folder: Annotated[Path, AfterValidator(Path.absolute)] | None = None
    """Folder of density maps, SPECIES.mrc, of two or more species that are confused in clear tomograms; by default no
    check is made."""
    tilt_limit: Annotated[float, Gt(0), Le(90)] = 50.0
    """Largest tilt angle of the tilt series in degrees, for the missing wedge."""
    orientations: Annotated[int, Ge(24)] = 600
    """Number of orientations of each map to try."""
    margin: Annotated[float, Ge(0)] = 0.05
    """A pick is dropped if another map fits better by this fraction. A larger value keeps more picks."""
