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
    """Train a network on annotated tomograms. The best weights and the thresholds are chosen on
    one run, which is held out of the training."""

    EXAMPLE: ClassVar = "tomosoup train my-data --from default -o model.safetensors"
    RECIPE = ("recipe", "training")

    project: Project
    """Annotated tomograms: a copick configuration file, a folder in the contest's layout, or a folder of MRC
    files (each file is a run)."""
    output: ToWrite
    """Checkpoint to write (model.safetensors). The log and the state for --resume go to a folder beside it
    (model.training)."""
    recipe: RecipeName = "small"
    """Settings of the training: a recipe of tomosoup (small, best, finetune, yu4u, yu4u-planes, tattaka, centernet,
    soup-tiny, soup-medium, soup-big, soup-big-all) or a TOML file. Other options override its values."""
    fold: Annotated[Seed, Typed("Input")] = 0
    """Run to hold out: 0 is the first annotated run by name, 1 the second, ..."""
    all_folds: Annotated[bool, Typed("Input")] = False
    """Train one network for each annotated run, with this run held out. Writes OUTPUT-fold0, OUTPUT-fold1, ..."""
    start_from: Annotated[
        Path | None, Typed("Model", name="from", aliases=("--start-from",), value="CHECKPOINT", file="checkpoint")
    ] = None
    """Fine-tune: start from the weights of this checkpoint, or of "default", the bundled model. The network is that of
    the checkpoint. The recipe is finetune, unless you give --recipe. The project may have other species."""
    pretrain_on: Annotated[Path | None, Typed(value="PROJECT", file="project")] = None
    """Train first on this project (simulated tomograms, for example), then continue on PROJECT. The weights in between
    are kept as OUTPUT-pretrained."""
    resume: Annotated[bool, Typed("Output")] = False
    """Resume a training that was interrupted. The result is the same as without the interruption."""
    overwrite: Overwrite = False
    """Replace an existing output file, and delete an unfinished training of this name."""
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
