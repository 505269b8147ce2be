"""Which run each training holds out, and where it keeps its checkpoint and its state."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities import rank_zero_only

from tomosoup.core.config import Options
from tomosoup.core.errors import InputError, counted
from tomosoup.core.files import refuse_existing, remove_leftovers
from tomosoup.core.types import PicksBySpecies, Species
from tomosoup.data.options import AnnotatedData
from tomosoup.data.project import Project
from tomosoup.data.truth import read_truths
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.models.history import Trained, last_training
from tomosoup.training.options import TrainingRecipe
from tomosoup.training.supervision.crops import Example


@dataclass(frozen=True)
class FoldPlan:
    """A training to come, or one that is done."""

    project: Project
    data: AnnotatedData
    recipe: TrainingRecipe
    number: int
    """Which of the annotated runs, by name, is held out."""
    file: Path
    """Its checkpoint."""
    resume: bool = False
    """Whether to resume the training in the folder."""
    done: bool = False
    """Whether the checkpoint is finished."""

    @property
    def folder(self) -> Path:
        """Its log, and the state to resume from."""
        return self.file.with_suffix(".training")

    @property
    def started(self) -> bool:
        """Whether the folder holds the state of a training."""
        return (self.folder / "last.ckpt").is_file()


def plan_fold(
    project: Project,
    recipe: TrainingRecipe,
    output: Path,
    *,
    fold: int,
    data: AnnotatedData,
    resume: bool = False,
    overwrite: bool = False,
) -> FoldPlan:
    """The training that holds out the `fold`-th run and writes the checkpoint `output`.

    Raises `InputError` where a checkpoint or an unfinished training is in the way.
    """
    refuse_existing(output, overwrite=overwrite)
    plan = FoldPlan(project, data, recipe, fold, output, resume=resume)
    make_way(plan.folder, resume=resume, overwrite=overwrite)
    return plan


def plan_folds(
    project: Project,
    recipe: TrainingRecipe,
    output: Path,
    *,
    data: AnnotatedData,
    resume: bool = False,
    overwrite: bool = False,
) -> tuple[list[FoldPlan], list[str]]:
    """A training for each annotated run, and the runs that none holds out as nothing in them counts in the score.

    The checkpoints are called `output` with `-fold0`, `-fold1`, ... before its ending. With `resume` finished ones are
    kept, and those that had not begun are started. Raises `InputError` where files are in the way, or where another
    training made them.
    """
    truths = read_truths(project, data)
    never = [run for run, truth in truths.items() if not counts(truth, project.species)]
    plans = []
    for number, run in enumerate(truths):
        if run not in never:
            file = output.with_stem(f"{output.stem}-fold{number}")
            plan = FoldPlan(project, data, recipe, number, file)
            plans.append(_with_what_is_there(plan, list(truths), resume=resume, overwrite=overwrite))
    return plans, never


def plan_pretraining(
    project: Project,
    recipe: TrainingRecipe,
    output: Path,
    *,
    species: Sequence[Species],
    data: AnnotatedData,
    resume: bool = False,
    overwrite: bool = False,
) -> FoldPlan:
    """The first training of two, on another project: its checkpoint is `output` with `-pretrained` before its ending.

    The project's first run is held out. With `resume` a finished one is kept. Raises `InputError` as `plan_folds`, and
    where the project has other `species` than the one that the second training is for.
    """
    if tuple(project.species) != tuple(species):
        names = (", ".join(f"{s.name} {s.radius:g} Å" for s in some) for some in (project.species, species))
        raise InputError(
            "The project to pretrain on must list the same species as the other, with the same radii and weights, in "
            "the same order: it has {}, the other {}.".format(*names)
        )
    file = output.with_stem(f"{output.stem}-pretrained")
    plan = FoldPlan(project, data, recipe.for_pretraining(), 0, file)
    return _with_what_is_there(plan, list(read_truths(project, data)), resume=resume, overwrite=overwrite)


def _with_what_is_there(plan: FoldPlan, runs: Sequence[str], *, resume: bool, overwrite: bool) -> FoldPlan:
    """The plan, done or resumed where its files say so. `runs` are the annotated runs of its project."""
    done = resume and not overwrite and plan.file.exists()
    if done:
        check_finished(plan, runs)
    elif plan.file.is_file() and not overwrite:
        raise InputError(
            f"{plan.file} exists already: finish this training with `resume=True`, replace it with `overwrite=True`, "
            "or choose another name."
        )
    else:
        refuse_existing(plan.file, overwrite=overwrite)
    make_way(plan.folder, resume=resume, overwrite=overwrite)
    return replace(plan, resume=resume and plan.started, done=done)


def as_start(checkpoint: Checkpoint) -> Checkpoint:
    """A pretrained checkpoint as what a training starts from: its runs belong to another project."""
    history = (replace(e, step="pretrain") if isinstance(e, Trained) else e for e in checkpoint.history)
    return replace(checkpoint, history=tuple(history))


def hold_out(examples: list[Example], fold: int, species: Sequence[Species]) -> Example:
    """Take the `fold`-th example out of the list.

    Raises `InputError` where there is none, where nothing is left to train on, and where it holds no particle that
    counts in the score.
    """
    if len(examples) < 2:
        raise InputError(
            f"Found {counted(len(examples), 'run')} with true picks. A training needs at least 2, because it holds one "
            "out: annotate another run."
        )
    if not 0 <= fold < len(examples):
        raise InputError(
            f"`fold={fold}`: expected 0 to {len(examples) - 1}, because {len(examples)} runs have true picks."
        )
    held_out = examples.pop(fold)
    if not counts(held_out.truth, species):
        raise InputError(
            f"Run {held_out.run} holds no particle that counts in the score, so it cannot choose the best weights: "
            "hold out another with `fold`."
        )
    return held_out


def counts(truth: PicksBySpecies, species: Sequence[Species]) -> bool:
    """Whether a run holds a particle that counts in the score, so that it can choose the best weights."""
    return any(len(truth.get(s.name, ())) for s in species if s.weight > 0)


def first_process() -> bool:
    """Whether this process is the one that writes and speaks, of those that train side by side."""
    return not getattr(rank_zero_only, "rank", 0)


def check_finished(plan: FoldPlan, runs: Sequence[str]) -> None:
    """Raises `InputError` unless the plan's checkpoint is what its training on `runs` but the held-out one would make.

    Options are compared after they are read by this version, whatever names they were stored under.
    """
    training = last_training(load(plan.file).history)
    source = f"The options stored in {plan.file}"
    same = {
        "recipe": _as_written(TrainingRecipe.of(training.recipe, source=source)) == _as_written(plan.recipe),
        "data": _as_written(AnnotatedData.of(training.data, source=source)) == _as_written(plan.data),
        "held_out": training.held_out == runs[plan.number],
        "runs": list(training.runs) == [run for run in runs if run != runs[plan.number]],
    }
    if other := [name for name, is_same in same.items() if not is_same]:
        raise InputError(
            f"{plan.file} exists and was trained with another {', '.join(other)}: give the same options, or replace it "
            "with `overwrite=True` and without `resume=True`."
        )


def _as_written(options: Options) -> dict[str, Any]:
    """Options as a checkpoint stores them, so that equal options are equal in any notation."""
    return options.model_dump(mode="json")


def check_start(fold: FoldPlan, start: Checkpoint | None) -> None:
    """Raises `InputError` where the finished checkpoint of a fold started from other weights than `start`."""
    history = load(fold.file).history
    before = history[: history.index(last_training(history))]
    if before != (start.history if start else ()):
        raise InputError(
            f"{fold.file} exists and started from other weights: start from the same ones, or replace it with "
            "`overwrite=True` and without `resume=True`."
        )


def make_way(folder: Path, *, resume: bool, overwrite: bool) -> None:
    """With `overwrite` and without `resume` remove an unfinished training from its folder; and what kills left there.

    Raises `InputError` where there is one and neither says what to do with it.
    """
    if (folder / "last.ckpt").exists() and not resume and first_process():
        if not overwrite:
            raise InputError(
                f"{folder} holds an unfinished training: set `resume=True` to finish it, or `overwrite=True` to start "
                "again."
            )
        shutil.rmtree(folder)
    if first_process():
        remove_leftovers(folder, ".ckpt")
