"""What `tomosoup train` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import model_validator

from tomosoup.cli.options.shared import UNPREFIXED, Overwrite, Project, RecipeName, Seed, ToWrite
from tomosoup.core.config import Options, Typed
from tomosoup.data.options import AnnotatedData
from tomosoup.inference.options.hardware import Hardware
from tomosoup.training.options import TrainingRecipe


class TrainCommand(Options):
    """Train a network on annotated tomograms. One run is held out to choose the best weights and thresholds."""

    EXAMPLE: ClassVar = "tomosoup train my-data --from default -o model.safetensors"

    project: Project
    """Annotated tomograms: a copick configuration file, a folder in the contest's layout, or a folder of MRC files."""
    output: ToWrite
    """Checkpoint to write (.safetensors). The log and the state for --resume go to a folder of this name, ending in
    .training."""
    recipe: RecipeName = "small"
    """A recipe of tomosoup (small, best, finetune, yu4u, yu4u-planes, tattaka, soup-tiny, soup-medium, soup-big,
    soup-big-all) or a TOML file. Other options override its values."""
    fold: Annotated[Seed, Typed("Input")] = 0
    """Number of the held-out run among the annotated runs, sorted by name."""
    all_folds: Annotated[bool, Typed("Input")] = False
    """Train once per run and hold out each in turn; writes OUTPUT-fold0, OUTPUT-fold1, ..."""
    start_from: Annotated[
        Path | None, Typed("Model", name="from", aliases=("--start-from",), value="CHECKPOINT", file="checkpoint")
    ] = None
    """Fine-tune: start from the weights of this checkpoint, or of "default", the bundled model. The network is the
    checkpoint's, the recipe is finetune unless --recipe names another. Species may differ."""
    pretrain_on: Annotated[Path | None, Typed(value="PROJECT", file="project")] = None
    """Train first on this project (simulated tomograms, for example), then continue on PROJECT. The weights in between
    are kept as OUTPUT-pretrained."""
    resume: Annotated[bool, Typed("Output")] = False
    """Resume a training that was stopped; the weights are those of an unbroken training."""
    overwrite: Overwrite = False
    """Replace OUTPUT and an unfinished training."""
    data: Annotated[AnnotatedData, UNPREFIXED] = AnnotatedData()
    """Tomograms and true picks."""
    pretraining_data: AnnotatedData = AnnotatedData()
    """Tomograms and true picks of the project to pretrain on."""
    hardware: Annotated[Hardware, UNPREFIXED] = Hardware()
    """Hardware."""
    training: Annotated[TrainingRecipe, UNPREFIXED] = TrainingRecipe()
    """The training."""

    @model_validator(mode="after")
    def _one_fold_or_all(self) -> Self:
        if self.fold and self.all_folds:
            raise ValueError("`fold` and `all_folds` exclude each other: leave one of them out")
        return self
