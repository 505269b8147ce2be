"""What `tomosoup soup` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from annotated_types import Gt

from tomosoup.cli.options.shared import UNPREFIXED, Overwrite, PlanName, ToWrite
from tomosoup.core.config import Options, Typed
from tomosoup.data.options import AnnotatedData
from tomosoup.inference.options.hardware import InferenceOptions
from tomosoup.inference.options.picking import PickingPlan


class SoupCommand(Options):
    """Average the weights of several checkpoints into one model, which picks as fast as a single one."""

    EXAMPLE: ClassVar = "tomosoup soup model-fold*.safetensors -o soup.safetensors"
    RECIPE = ("plan", "picking")

    ingredients: Annotated[tuple[Path, ...], Typed("Model", positional=True, value="CHECKPOINT", file="checkpoint")]
    """Checkpoints of the same network. A training's folder (.training) stands for the best epochs that it kept
    (--keep-best of `tomosoup train`)."""
    output: ToWrite
    """Checkpoint to write (.safetensors)."""
    weights: Annotated[tuple[Annotated[float, Gt(0)], ...], Typed("Model")] = ()
    """Weight of each checkpoint in the average; by default all are equal."""
    greedy: Annotated[bool, Typed("Model")] = False
    """Start with the best checkpoint and add another only if the score on annotated runs rises (needs --project)."""
    project: Annotated[Path | None, Typed("Input", value="PROJECT", file="project")] = None
    """Annotated project, to set the thresholds of the soup and its batch-norm statistics. --greedy needs it."""
    overwrite: Overwrite = False
    """Replace an existing output file."""
    inference: Annotated[InferenceOptions, UNPREFIXED] = InferenceOptions()
    """Hardware."""
    plan: PlanName = "as-trained"
    """How to place windows and read picks, as in `tomosoup pick`."""
    data: Annotated[AnnotatedData, UNPREFIXED] = AnnotatedData()
    """Tomograms and true picks. By default the soup is chosen on runs that no checkpoint was trained on."""
    picking: Annotated[PickingPlan, UNPREFIXED] = PickingPlan()
    """Windows and picks."""
