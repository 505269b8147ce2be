"""Which run each training holds out, and where it keeps its checkpoint and its state."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities import rank_zero_only

from tomosoup.cli.options.commands import TrainCommand
from tomosoup.core.config import Options
from tomosoup.core.errors import InputError
from tomosoup.core.files import refuse_existing
from tomosoup.core.types import PicksBySpecies, Species
from tomosoup.data.options import AnnotatedData
from tomosoup.data.project import Project, open_project
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
    folder: Path
    """Its log, and the state to resume from."""
    resume: bool = False
    done: bool = False


def plan_folds(project: Project, options: TrainCommand) -> tuple[list[FoldPlan], list[str]]:
    """The folds that the options ask for, and the runs that no fold holds out as nothing in them counts in the score.

    With --all-folds the checkpoints get `-fold0`, `-fold1`, ... before their ending; with --resume, finished ones are
    kept and those that had not begun are started. Raises `InputError` where files are in the way, or were made by
    another training.
    """
    what = project, options.data, options.training
    if not options.all_folds:
        refuse_existing(options.output, overwrite=options.overwrite)
        folder = training_folder(options.output, resume=options.resume, overwrite=options.overwrite)
        resume = options.resume and (not options.pretrain_on or (folder / "last.ckpt").is_file())
        return [FoldPlan(*what, options.fold, options.output, folder, resume=resume)], []
    if options.fold:
        raise InputError("--fold and --all-folds exclude each other: leave one of them out.")
    truths = read_truths(project, options.data)
    never = [run for run, truth in truths.items() if not counts(truth, project.species)]
    folds = []
    for number, run in enumerate(truths):
        file = options.output.with_stem(f"{options.output.stem}-fold{number}")
        if run in never:
            continue
        done = options.resume and not options.overwrite and file.exists()
        if done:
            check_finished(file, options.training, options.data, list(truths), fold=number)
        else:
            refuse_existing(file, overwrite=options.overwrite)
        folder = training_folder(file, resume=options.resume, overwrite=options.overwrite)
        folds.append(FoldPlan(*what, number, file, folder, options.resume and (folder / "last.ckpt").is_file(), done))
    return folds, never


def plan_pretraining(species: Sequence[Species], options: TrainCommand) -> FoldPlan | None:
    """The first step of two, where the options ask for one: its checkpoint gets `-pretrained` before its ending.

    The project's first run is held out. With --resume a finished one is kept. Raises `InputError` as `plan_folds`, and
    where the project to pretrain on has other `species` than the one that comes after.
    """
    if options.pretrain_on is None:
        return None
    project, recipe = open_project(options.pretrain_on), options.training.for_pretraining()
    if tuple(project.species) != tuple(species):
        names = (", ".join(f"{s.name} {s.radius:g} Å" for s in some) for some in (project.species, species))
        raise InputError(
            "Both projects of --pretrain-on must list the same species, with the same radii and weights, in the same "
            "order: the first has {}, the second {}.".format(*names)
        )
    file = options.output.with_stem(f"{options.output.stem}-pretrained")
    done = options.resume and not options.overwrite and file.exists()
    if done:
        data = options.pretraining_data
        check_finished(file, recipe, data, list(read_truths(project, data)), fold=0)
    else:
        refuse_existing(file, overwrite=options.overwrite)
    folder = training_folder(file, resume=options.resume, overwrite=options.overwrite)
    resume = options.resume and (folder / "last.ckpt").is_file()
    return FoldPlan(project, options.pretraining_data, recipe, 0, file, folder, resume, done)


def as_start(checkpoint: Checkpoint) -> Checkpoint:
    """A pretrained checkpoint as what a training starts from: its runs belong to another project."""
    history = (replace(e, step="pretrain") if isinstance(e, Trained) else e for e in checkpoint.history)
    return replace(checkpoint, history=tuple(history))


def hold_out(examples: list[Example], fold: int, species: Sequence[Species]) -> Example:
    """Take the `fold`-th example out of the list.

    Raises `InputError` where there is none, where nothing is left to train on, and where it holds no particle that
    counts in the score.
    """
    if not 0 <= fold < len(examples) or len(examples) < 2:
        raise InputError(
            f"Fold {fold} holds out one of {len(examples)} annotated runs and trains on the others: "
            f"expected at least 2 runs and a fold from 0 to {len(examples) - 1}."
        )
    held_out = examples.pop(fold)
    if not counts(held_out.truth, species):
        raise InputError(
            f"Run {held_out.run} holds no particle that counts in the score, so it cannot choose the best weights: "
            "hold out another with --fold."
        )
    return held_out


def counts(truth: PicksBySpecies, species: Sequence[Species]) -> bool:
    """Whether a run holds a particle that counts in the score, so that it can choose the best weights."""
    return any(len(truth.get(s.name, ())) for s in species if s.weight > 0)


def first_process() -> bool:
    """Whether this process is the one that writes and speaks, of those that train side by side."""
    return not getattr(rank_zero_only, "rank", 0)


def check_finished(file: Path, recipe: TrainingRecipe, data: AnnotatedData, runs: Sequence[str], *, fold: int) -> None:
    """Raises `InputError` unless the checkpoint `file` is what training on `runs` but the `fold`-th would make."""
    training = last_training(load(file).history)
    source = f"The options stored in {file}"
    same = {
        "recipe": _as_written(TrainingRecipe.of(training.recipe, source=source)) == _as_written(recipe),
        "data": _as_written(AnnotatedData.of(training.data, source=source)) == _as_written(data),
        "held_out": training.held_out == runs[fold],
        "runs": list(training.runs) == [run for run in runs if run != runs[fold]],
    }
    if other := [name for name, is_same in same.items() if not is_same]:
        raise InputError(
            f"{file} is there already and was trained with another {', '.join(other)}: give the same options, or "
            "start anew with --overwrite in place of --resume."
        )


def _as_written(options: Options) -> dict[str, Any]:
    """Options as a checkpoint stores them, so that only what it can tell apart makes a difference."""
    return options.model_dump(mode="json")


def check_start(fold: FoldPlan, start: Checkpoint | None) -> None:
    """Raises `InputError` where the finished checkpoint of a fold started from other weights than `start`."""
    history = load(fold.file).history
    before = history[: history.index(last_training(history))]
    if before != (start.history if start else ()):
        raise InputError(
            f"{fold.file} is there already and started from other weights: give the same --from or "
            "--pretrain-on, or start anew with --overwrite in place of --resume."
        )


def training_folder(output: Path, *, resume: bool, overwrite: bool) -> Path:
    """Where the training that makes checkpoint `output` keeps its log and its state.

    Raises `InputError` where an unfinished training is there and neither `resume` nor `overwrite` says what to do.
    """
    folder = output.with_suffix(".training")
    if (folder / "last.ckpt").exists() and not resume and first_process():
        if not overwrite:
            raise InputError(
                f"{folder} holds an earlier training: go on with --resume, or start anew with --overwrite."
            )
        shutil.rmtree(folder)
    return folder
