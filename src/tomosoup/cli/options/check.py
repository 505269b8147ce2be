"""What `tomosoup check` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from tomosoup.cli.options.shared import UNPREFIXED, Project
from tomosoup.core.config import Options, Typed
from tomosoup.data.options import AnnotatedData


class CheckCommand(Options):
    """Check a project for common problems: voxel size, contrast, misplaced picks, half-voxel shifts."""

    EXAMPLE: ClassVar = "tomosoup check my-data --model model.safetensors"

    project: Project
    """Tomograms: a copick configuration file, a folder in the contest's layout, or a folder of MRC files
    (each file is a run)."""
    model: Annotated[Path | None, Typed("Model", value="CHECKPOINT", file="checkpoint")] = None
    """Also check whether this checkpoint suits the project: voxel size, grey values, species."""
    data: Annotated[AnnotatedData, UNPREFIXED] = AnnotatedData()
    """Tomograms and true picks."""
