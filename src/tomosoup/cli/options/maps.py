"""What `tomosoup maps` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tomosoup.cli.options.shared import UNPREFIXED, Checkpoints, Overwrite, PlanName, Project
from tomosoup.core.config import Options, Typed
from tomosoup.data.options import DataOptions
from tomosoup.inference.options.hardware import InferenceOptions
from tomosoup.inference.options.picking import PickingPlan


class MapsCommand(Options):
    """Write the heatmaps that models predict, or label volumes of picks, as files that other programs open. After an
    interruption, the same command resumes."""

    EXAMPLE: ClassVar = "tomosoup maps my-data --model model.safetensors -o maps"
    RECIPE = ("plan", "picking")
    ARGUMENTS: ClassVar = {"truth": "--picks CSV|USER/SESSION"}

    project: Project
    """Tomograms: a copick configuration file, a folder in the contest's layout, or a folder of MRC files
    (each file is a run)."""
    model: Checkpoints = Field((Path("default"),), min_length=1)
    """One checkpoint, or several whose predictions are averaged. There is one map for each species."""
    picks: Annotated[str | None, Typed("Input", value="CSV|USER/SESSION")] = None
    """Write a label volume of these picks, and no heatmaps: a CSV file or a copick pick set. Each pick is a ball of the
    species' radius. Its label is the object's in copick, or the species' number in their order (1, 2, ...)."""
    output: Annotated[Path | None, Typed("Output", aliases=("-o",), value="FOLDER")] = None
    """Folder for the maps. Without it they go into the copick project: heatmaps as features of the tomogram, labels as
    a multilabel segmentation of user tomosoup."""
    format: Annotated[Literal["mrc", "ome-zarr"], Typed("Output")] = "mrc"
    """Files in the folder. mrc: one for each run and species, RUN_SPECIES.mrc or RUN_labels.mrc. ome-zarr: one for each
    run, with a channel for each species."""
    name: Annotated[str, Typed("Output", value="NAME")] = "tomosoup"
    """Name of the features in copick, and of the session of the segmentation."""
    plan: PlanName = "as-trained"
    """How to place windows: a plan of `tomosoup pick`, or a TOML file."""
    overwrite: Overwrite = False
    """Replace maps that are there. Without it, their runs are left out."""
    inference: Annotated[InferenceOptions, UNPREFIXED] = InferenceOptions()
    """Hardware."""
    data: Annotated[DataOptions, UNPREFIXED] = DataOptions()
    """Tomograms."""
    picking: Annotated[PickingPlan, UNPREFIXED] = PickingPlan()
    """Windows."""
