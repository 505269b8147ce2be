"""What `tomosoup check` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional

from tomosoup.cli.options.commands import UNPREFIXED
from tomosoup.core.config import Options
from tomosoup.data.options import AnnotatedData


class CheckCommand(Options):
    """Look whether tomograms and picks are what they are taken for: voxels, contrast, places, half-voxels."""

    project: Positional[Path]
    """A copick configuration, a folder in the contest's layout, or a folder of MRC files."""
    model: Path | None = None
    """Checkpoint to hold the project against: voxel size, grey values, species."""
    data: Annotated[AnnotatedData, UNPREFIXED] = AnnotatedData()
    """Which tomograms and picks."""
