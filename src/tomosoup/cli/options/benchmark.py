"""What `tomosoup benchmark` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from tomosoup.cli.options.shared import UNPREFIXED, Checkpoints, Overwrite, PlanName, SessionName, Thresholds
from tomosoup.core.config import Options, Typed
from tomosoup.data.options import AnnotatedData
from tomosoup.inference.options.hardware import InferenceOptions
from tomosoup.inference.options.picking import PickingPlan


class BenchmarkCommand(Options):
    """Run a public benchmark: pick the runs of its official split and score them with the contest's metric. After an
    interruption, the same command resumes."""

    EXAMPLE: ClassVar = "tomosoup benchmark popsicle/phantom --model model.safetensors -o result"
    RECIPE = ("plan", "picking")

    benchmark: Annotated[Path, Typed("Input", positional=True, value="DATA", file="project")]
    """The contest's unpacked download, a folder or file of a Croissant manifest (Croissant/metadata.json), or any
    project."""
    output: Annotated[Path, Typed("Output", aliases=("-o",), value="FOLDER")]
    """Folder for picks.csv, submission.csv (the contest's format) and scores.json."""
    model: Checkpoints = Field((Path("default"),), min_length=1)
    """One checkpoint, or several whose predictions are averaged."""
    split: Annotated[str | None, Typed("Input", value="NAME")] = None
    """Split whose runs are picked; by default test, where the benchmark has splits."""
    session: SessionName = "benchmark"
    """copick session of the picks; the user is tomosoup."""
    threshold: Thresholds = ()
    """Lowest score of a pick: one for all species (0.3) or by species (ribosome=0.4); by default the
    thresholds that the checkpoint holds."""
    plan: PlanName = "as-trained"
    """How to place windows and how to read picks from the heatmap: a plan of `tomosoup pick`, or a TOML file."""
    overwrite: Overwrite = False
    """Replace the results in the folder, and the picks of this session, also those of other models or options."""
    inference: Annotated[InferenceOptions, UNPREFIXED] = InferenceOptions()
    """Hardware."""
    data: Annotated[AnnotatedData, UNPREFIXED] = AnnotatedData()
    """Tomograms and true picks."""
    picking: Annotated[PickingPlan, UNPREFIXED] = PickingPlan()
    """Windows and picks."""
