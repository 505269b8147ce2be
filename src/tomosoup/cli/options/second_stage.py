"""What `tomosoup second-stage` takes."""

from __future__ import annotations

from typing import Annotated, ClassVar

from annotated_types import Ge
from pydantic import Field

from tomosoup.cli.options.shared import UNPREFIXED, Checkpoints, Overwrite, PlanName, Project, ToWrite
from tomosoup.core.config import Options, Typed
from tomosoup.data.options import AnnotatedData
from tomosoup.inference.options.hardware import InferenceOptions
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.training.second_stage.options import SecondStageOptions


class SecondStageCommand(Options):
    """Train a second stage: a small classifier that looks again at the picks of other models. `tomosoup pick
    --second-stage` uses it."""

    EXAMPLE: ClassVar = "tomosoup second-stage data --model fold*.safetensors -o second.safetensors"
    RECIPE = ("plan", "picking")

    project: Project
    """Annotated tomograms. Runs that all models were trained on are left out."""
    model: Checkpoints = Field(min_length=1)
    """The first stage: checkpoints of `tomosoup train --all-folds`, or models of other tomograms."""
    output: ToWrite
    """File of the second stage (.safetensors)."""
    fold: Annotated[int, Ge(0), Typed("Model")] = 0
    """Position, from 0, of the run that is held out. It sets the thresholds."""
    overwrite: Overwrite = False
    """Replace an existing file."""
    plan: PlanName = "as-trained"
    """How the first stage places windows and reads picks: a plan of `tomosoup pick`, or a TOML file."""
    inference: Annotated[InferenceOptions, UNPREFIXED] = InferenceOptions()
    """Hardware."""
    data: Annotated[AnnotatedData, UNPREFIXED] = AnnotatedData()
    """Tomograms and true picks."""
    training: Annotated[SecondStageOptions, UNPREFIXED] = SecondStageOptions()
    """Classifier."""
    picking: Annotated[PickingPlan, UNPREFIXED] = PickingPlan()
    """Windows and picks of the first stage."""
