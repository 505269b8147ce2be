"""What accompanies a training in Lightning's loop: the average of the weights, the best epochs, the early stop."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, WeightAveraging
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from tomosoup.core.progress import Progress
from tomosoup.training.learner import HELD_OUT_LOSS, Learner
from tomosoup.training.options import TrainingRecipe


class RunningAverage(WeightAveraging):
    """The average of the weights, which is validated and kept: a copy for some updates, then a running average.

    It takes in the weights after each update or, where the recipe says so, before it.
    """

    def __init__(self, recipe: TrainingRecipe) -> None:
        take_in = get_ema_multi_avg_fn(recipe.average_decay)  # type: ignore[no-untyped-call]

        def average(averaged: Sequence[Tensor], current: Sequence[Tensor], updates: int | Tensor) -> None:
            if updates < recipe.average_after:
                for mean, weights in zip(averaged, current, strict=True):
                    mean.copy_(weights)
            else:
                take_in(averaged, current, updates)

        super().__init__(multi_avg_fn=average)
        self.before = recipe.average_before_update

    @property
    def state_key(self) -> str:
        """Where a training's state has this part: states that were written by the class above stay readable."""
        return WeightAveraging.__qualname__

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Keep the average where the net will be: a net for a GPU is still on the CPU at this point."""
        self._device = trainer.strategy.root_device
        super().setup(trainer, pl_module, stage)

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:  # noqa: ARG002
        """Take in the weights before the update."""
        if self.before:
            assert self._average_model is not None
            self._average_model.update_parameters(module)

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """Whether to take in the weights after an update; Lightning asks after each epoch, too."""
        return not self.before and super().should_update(step_idx, epoch_idx)


def callbacks(recipe: TrainingRecipe, folder: Path, progress: Progress) -> list[Callback]:
    """What accompanies a training: the average of the weights, the best epochs, the early stop, the last state."""
    chosen_by = {"f4": ("f4", "max"), "loss": (HELD_OUT_LOSS, "min")}[recipe.best_by]
    found = [
        RunningAverage(recipe),
        ModelCheckpoint(
            folder,
            filename="best-{epoch}",
            auto_insert_metric_name=False,
            monitor=chosen_by[0],
            mode=chosen_by[1],
            save_top_k=recipe.keep_best,
            enable_version_counter=False,
        ),
    ]
    if recipe.patience is not None:
        found.append(EarlyStopping(HELD_OUT_LOSS, patience=recipe.patience, check_on_train_epoch_end=False))
    last = ModelCheckpoint(folder, filename="last", save_on_train_epoch_end=True, enable_version_counter=False)
    return [*found, last, Reporter(progress)]


class Reporter(pl.Callback):
    """Reports to `progress` how many updates are done."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.what = "Training"

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """One update more."""
        self.progress(self.what, trainer.global_step, int(trainer.estimated_stepping_batches))

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Show the latest score."""
        if isinstance(module, Learner) and module.results:
            self.what = f"Training (held-out F4 {module.results['f4']:.3f})"
            self.progress(self.what, trainer.global_step, int(trainer.estimated_stepping_batches))
