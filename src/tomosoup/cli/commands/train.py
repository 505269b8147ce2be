"""What `tomosoup train` does: a training a fold, after a first one on another project where there are two steps."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from tomosoup.cli.arguments.command_line import command_line
from tomosoup.cli.options.report import ReportCommand
from tomosoup.cli.options.train import TrainCommand
from tomosoup.cli.terminal import Outcome, Stopped, progress_bars, say
from tomosoup.core.progress import no_progress
from tomosoup.data.options import AnnotatedData
from tomosoup.data.project import open_project
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.models.history import last_training, runs_seen
from tomosoup.models.rename import named_for
from tomosoup.training.run.folds import FoldPlan, as_start, check_start, first_process, plan_folds, plan_pretraining
from tomosoup.training.train import train


def train_command(options: TrainCommand) -> Outcome | None:
    """Train and write a checkpoint, or one a fold. Of processes that train side by side the first has an outcome."""
    tell = say if first_process() else _nothing
    project = open_project(options.project)
    start = None
    if options.start_from:
        (start,) = named_for(project, [load(options.start_from)])
        options = options.model_copy(update={"training": options.training.with_net(start.architecture)})
    first = plan_pretraining(project.species, options)
    folds, never_held_out = plan_folds(project, options)
    if first:
        start = as_start(_trained(first, options, start=start, tell=tell))
    if never_held_out:
        tell(f"Not held out, as they hold no particle that counts in the score: {', '.join(never_held_out)}")
    made = [_trained(fold, options, start=start, tell=tell) for fold in folds]
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


def _trained(
    fold: FoldPlan, options: TrainCommand, *, start: Checkpoint | None, tell: Callable[[str], None]
) -> Checkpoint:
    """Train as planned, save the checkpoint, tell how it went; or load what an earlier training saved."""
    if fold.done:
        check_start(fold, start)
        tell(f"{fold.file}: trained before")
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
                resume=fold.resume,
                hardware=options.hardware,
                progress=bars if first_process() else no_progress,
            )
    except KeyboardInterrupt:
        raise Stopped(f"Training stopped; its last whole epoch is in {fold.folder}: go on with --resume.") from None
    if first_process():
        checkpoint.save(fold.file)
    result = last_training(checkpoint.history)
    tell(
        f"{fold.file}: trained on {len(result.runs)} runs; held-out {result.held_out} weighted F4 "
        f"{result.f4:.3f} (best thresholds on that very run), after epoch {result.epoch}"
    )
    if start and result.held_out in runs_seen(start.history).trained:
        tell(
            f"The weights that this started from were trained on a run called {result.held_out}: if it is this one, "
            "the score above is not a held-out score."
        )
    return checkpoint


def _nothing(_: str) -> None:
    """What the other processes say, of those that train side by side."""
