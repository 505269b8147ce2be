"""`tomosoup second-stage`."""

from __future__ import annotations

from tomosoup.cli.options.second_stage import SecondStageCommand
from tomosoup.cli.terminal import Outcome, progress_bars
from tomosoup.core.files import refuse_existing
from tomosoup.models.checkpoint import load
from tomosoup.training.second_stage.train import train_second_stage


def second_stage_command(options: SecondStageCommand) -> Outcome:
    """Train a second stage on the candidates of a first one."""
    refuse_existing(options.output, overwrite=options.overwrite)
    with progress_bars() as progress:
        trained = train_second_stage(
            options.project,
            [load(path) for path in options.model],
            options.training,
            fold=options.fold,
            data=options.data,
            plan=options.picking,
            inference=options.inference,
            progress=progress,
        )
    trained.second.save(options.output)
    return Outcome(
        f"{options.output}: the best F4 on run {trained.held_out}, which it was not trained on, is {trained.f4:.3f} "
        f"with the second stage and {trained.f4_before:.3f} without",
        files=[options.output],
        facts={"f4": trained.f4, "f4_before": trained.f4_before, "thresholds": dict(trained.second.thresholds)},
    )
