"""What `tomosoup check` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional

from tomosoup.recipes.base import Recipe
from tomosoup.recipes.commands import UNPREFIXED
from tomosoup.recipes.data import AnnotatedData


class CheckCommand(Recipe):
    """Look whether tomograms and picks are what they are taken for: voxels, contrast, places, half-voxels."""

    project: Positional[Path]
    """A copick configuration, a folder in the contest's layout, or a folder of MRC files."""
    model: Path | None = None
    """Checkpoint to hold the project against: voxel size, grey values, species."""
    data: Annotated[AnnotatedData, UNPREFIXED] = AnnotatedData()
    """Which tomograms and picks."""
