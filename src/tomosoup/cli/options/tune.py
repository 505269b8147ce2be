"""What `tomosoup tune` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from annotated_types import Ge
from pydantic import Field

from tomosoup.cli.options.shared import UNPREFIXED, Checkpoints, Count, Overwrite, PlanName, Project, Purpose, Seed
from tomosoup.core.config import Options, Typed
from tomosoup.data.options import RegionOptions, TuningData
from tomosoup.inference.options.hardware import InferenceOptions
from tomosoup.inference.options.picking import PickingPlan


class TuneCommand(Options):
    """Choose thresholds by cross-validation and store them in the models. Each model picks the run that its training
    held out. With --all-runs, models pick annotated tomograms that they were not trained on."""

    EXAMPLE: ClassVar = "tomosoup tune my-data --model model-fold*.safetensors"
    RECIPE = ("plan", "picking")
    RENAMED: ClassVar = {"softness": "threshold_margin"}

    project: Project
    """The project that the models were trained on. With --all-runs, another one."""
    model: Checkpoints = Field(min_length=1)
    """Checkpoints of `tomosoup train --all-folds`. The command changes these files: all get the same thresholds. If
    several models pick the same run, their predictions for it are averaged."""
    purpose: Purpose = "recall"
    """recall: store thresholds with the best F4; they find most particles, with many false picks. averaging: also store
    thresholds with the best F1 for `tomosoup pick --for averaging`; they balance false and missed picks."""
    threshold_margin: Annotated[float, Ge(0), Typed("Model")] = 0.0
    """0 stores the threshold with the best score. 0.1 stores a lower, safer one, as `train` does: it misses fewer
    particles in new tomograms. Use 0.1 if you annotated few particles."""
    resamples: Count = 1000
    """Number of bootstrap resamples for the intervals."""
    seed: Seed = 0
    """Random seed of the bootstrap."""
    output: Annotated[Path | None, Typed("Output", aliases=("-o",), value="FILE", file="output")] = None
    """File for a model with the new thresholds, in place of a change of the file that --model names. Bundled models and
    models of the Hub require it."""
    overwrite: Overwrite = False
    """Replace OUTPUT if it exists."""
    dry_run: Annotated[bool, Typed("Output")] = False
    """Show the thresholds and store nothing."""
    inference: Annotated[InferenceOptions, UNPREFIXED] = InferenceOptions()
    """Hardware."""
    plan: PlanName = "as-trained"
    """How to place windows and how to read picks from the heatmap: a plan of `tomosoup pick`, or a TOML file."""
    data: Annotated[TuningData, UNPREFIXED] = TuningData()
    """Tomograms and true picks."""
    picking: Annotated[PickingPlan, UNPREFIXED] = PickingPlan()
    """Windows and picks."""
    region: Annotated[RegionOptions, UNPREFIXED] = RegionOptions()
    """Where to pick."""
