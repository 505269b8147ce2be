"""What `tomosoup slab` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from tomosoup.cli.options.shared import UNPREFIXED, Overwrite, Project, SessionName
from tomosoup.core.config import Options, Typed
from tomosoup.data.options import DataOptions
from tomosoup.inference.options.faces import Faces


class SlabCommand(Options):
    """Find the two faces of the lamella or the ice in each tomogram and write what is between them as a mask. Then
    pick inside with `tomosoup pick --mask`. After an interruption, the same command resumes."""

    EXAMPLE: ClassVar = "tomosoup slab my-data -o masks"
    ARGUMENTS: ClassVar = {"truth": "--picks CSV|USER/SESSION"}

    project: Project
    """Tomograms: a copick configuration file, a folder in the contest's layout, or a folder of MRC files
    (each file is a run)."""
    output: Annotated[Path | None, Typed("Output", aliases=("-o",), value="FOLDER")] = None
    """Folder for the masks, RUN_slab.mrc: 1 in the slab, 0 outside. Without it they go into the copick project, as the
    segmentation slab of user tomosoup."""
    session: SessionName = "0"
    """copick session of the segmentation."""
    picks: Annotated[str | None, Typed("Input", value="CSV|USER/SESSION")] = None
    """Take the faces from these picks, not from grey values: parallel planes around 98 % of the picks of a run, and the
    radius of a particle further out. For tomograms that are too noisy, and picks that fill the slab."""
    faces: Annotated[Faces, Typed("Input")] = "parallel"
    """parallel: two parallel planes. planes: any two planes, for a wedge. curved: second order, for ice that is thinner
    at its centre. planes and curved need tomograms with much matter at both faces."""
    overwrite: Overwrite = False
    """Replace masks that are there. Without it, their runs are left out."""
    data: Annotated[DataOptions, UNPREFIXED] = DataOptions()
    """Tomograms."""
