"""`tomosoup train`: a training for each fold, after pretraining on another project where it is asked for."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tomosoup.cli.arguments.command_line import command_line
from tomosoup.cli.options.report import ReportCommand
from tomosoup.cli.options.train import TrainCommand
from tomosoup.cli.terminal import Outcome, Stopped, progress_bars, say
from tomosoup.core.errors import counted
from tomosoup.core.progress import no_log, no_progress
from tomosoup.data.options import AnnotatedData
from tomosoup.data.project import Project, assumed_species, open_project
from tomosoup.data.tomogram import remarks_on
from tomosoup.data.truth import remarks_on_truth
from tomosoup.models.adapt import named_for
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.models.history import last_training, runs_seen
from tomosoup.training.options import Execution
from tomosoup.training.run.folds import (
    FoldPlan,
    as_start,
    check_start,
    first_process,
    plan_fold,
    plan_folds,
    plan_pretraining,
)
from tomosoup.training.train import train


def train_command(options: TrainCommand) -> Outcome | None:
    """Train and write a checkpoint, or one for each fold. With several devices the first process has the outcome."""
    log = say if first_process() else no_log
    project = open_project(options.project)
    if assumed := assumed_species(project):
        log(assumed)
    for text in (*remarks_on(project, options.data), *remarks_on_truth(project, options.data)):
        log(text)
    start = None
    if options.start_from:
        (start,) = named_for(project, [load(options.start_from)])
        options = options.model_copy(update={"training": options.training.with_net(start.architecture)})
    first, folds = _plans(project, options, log)
    if first:
        start = as_start(_trained(first, options, start=start, log=log))
    made = [_trained(fold, options, start=start, log=log) for fold in folds]
    if not first_process():
        return None
    models = tuple(fold.file for fold in folds)
    page = ReportCommand(project=options.project, model=models, data=AnnotatedData(truth=options.data.truth))
    trainings = (last_training(checkpoint.history) for checkpoint in made)
    held_out = [{"run": training.held_out, "f4": training.f4} for training in trainings]
    return Outcome(
        f"Look at {options.output if len(folds) == 1 else ', '.join(str(fold.file) for fold in folds)}; "
        f"logs are in {', '.join(f'{fold.folder}/' for fold in folds)}",
        files=[fold.file for fold in ([first] if first else []) + folds],
        facts={"held_out": held_out},
        look=shlex.join(command_line(page)),
    )


def _plans(
    project: Project, options: TrainCommand, log: Callable[[str], None]
) -> tuple[FoldPlan | None, list[FoldPlan]]:
    """The pretraining, where it is asked for, and the trainings of the folds."""
    first = None
    if options.pretrain_on:
        first = plan_pretraining(
            open_project(options.pretrain_on),
            options.training,
            options.output,
            species=project.species,
            data=options.pretraining_data,
            resume=options.resume,
            overwrite=options.overwrite,
        )
    common = project, options.training, options.output
    how: dict[str, Any] = {"data": options.data, "resume": options.resume, "overwrite": options.overwrite}
    if options.all_folds:
        folds, never = plan_folds(*common, **how)
        if never:
            log(f"Not held out, as they hold no particle that counts in the score: {', '.join(never)}")
        return first, folds
    fold = plan_fold(*common, fold=options.fold, **how)
    if first and not fold.started:  # the pretraining may have been stopped
        fold = replace(fold, resume=False)
    return first, [fold]


def _trained(
    fold: FoldPlan, options: TrainCommand, *, start: Checkpoint | None, log: Callable[[str], None]
) -> Checkpoint:
    """Train as planned, save the checkpoint and log the result; or load the checkpoint of an earlier training."""
    if fold.done:
        check_start(fold, start)
        log(f"{fold.file}: trained before")
        return load(fold.file)
    try:
        with progress_bars() as bars:
            checkpoint = train(
                fold.project,
                fold.recipe,
                fold=fold.number,
                folder=fold.folder,
                data=fold.data,
                start=start,
                execution=Execution(**options.hardware.model_dump(), resume=fold.resume),
                progress=bars if first_process() else no_progress,
            )
    except KeyboardInterrupt:
        raise Stopped(
            f"Training stopped; its last finished epoch is in {fold.folder}. Resume it with --resume."
        ) from None
    if first_process():
        checkpoint.save(fold.file)
    result = last_training(checkpoint.history)
    log(
        f"{fold.file}: trained on {counted(len(result.runs), 'run')}; weighted F4 on the held-out run "
        f"{result.held_out}: {result.f4:.3f} (at thresholds chosen on that run), after epoch {result.epoch}"
    )
    if start and result.held_out in runs_seen(start.history).trained:
        log(
            f"The training started from weights that had seen a run called {result.held_out}. If it is the same run, "
            "the score above is not a held-out score."
        )
    return checkpoint
