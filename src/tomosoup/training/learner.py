"""A net that learns: its loss, its schedule, its score on a held-out run, as a Lightning module."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Self, cast

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn

from tomosoup.core.config import ZYX
from tomosoup.core.errors import InputError, counted
from tomosoup.core.progress import Progress, no_progress
from tomosoup.core.types import Species
from tomosoup.models.nets.build import build_net
from tomosoup.models.nets.options import NetOptions
from tomosoup.training.options import TrainingRecipe
from tomosoup.training.run.batch_norm import estimate_norms, freeze_norms
from tomosoup.training.run.resume import moved, refuse_another
from tomosoup.training.run.validation import validate
from tomosoup.training.supervision.augmentation import Mix, draw_mixup
from tomosoup.training.supervision.crops import Example, generator, large_crops
from tomosoup.training.supervision.losses import training_loss
from tomosoup.training.supervision.options import LossOptions

HELD_OUT_LOSS = "held_out_loss"
"""The name, in the log, of the loss on the held-out run."""
MIXUP = 1
"""Sets the random numbers of mixup apart from those of the crops, which have one number fewer."""


def cosine_with_warmup(update: int, *, warmup: float, total: int) -> float:
    """Fraction of the peak learning rate at an update (from 0): linear from 0 over `warmup` updates, then the cosine.

    The cosine runs from update 0 to `total`, so the rate steps down a little where the warm-up ends (as in timm).
    """
    if update < warmup:
        return update / warmup
    return 0.5 * (1 + math.cos(math.pi * min(update, total) / total))


def mixed_loss(
    net: nn.Module, windows: Tensor, targets: Tensor, *, recipe: LossOptions, mix: Mix | None, cell: ZYX = (1, 1, 1)
) -> Tensor:
    """The loss of `(b, 1, z, y, x)` windows and `(b, c, z, y, x)` targets; with `mix`, of windows mixed in pairs.

    The losses are mixed, not the targets: weight * loss against a window's own target + (1 - weight) * loss against
    its partner's (mixup, Zhang et al. 2018).
    """
    loss = partial(training_loss, recipe=recipe, cell=cell)
    if mix is None:
        return loss(net(windows), targets)
    order = mix.order.to(windows.device)
    output = net(mix.weight * windows + (1 - mix.weight) * windows[order])
    return mix.weight * loss(output, targets) + (1 - mix.weight) * loss(output, targets[order])


class Learner(pl.LightningModule):
    """A net, its loss, its schedule, and the F4 and the loss of its averaged weights on the held-out run."""

    def __init__(
        self,
        recipe: TrainingRecipe,
        species: Sequence[Species],
        *,
        updates_per_epoch: int,
        identity: Mapping[str, Any],
        metadata: Mapping[str, Any],
        trained_on: Sequence[Example] = (),
        progress: Progress = no_progress,
    ) -> None:
        """A net with its first weights.

        Args:
            updates_per_epoch: Updates of this process in an epoch.
            identity: What a training must have been started with, in JSON's types, to be resumed.
            metadata: Content of its checkpoint besides weights and results (`Checkpoint.metadata`).
            trained_on: Tomograms on which statistics of batch norms are estimated, where the recipe asks for it.
        """
        super().__init__()
        self.recipe, self.species = recipe, tuple(species)
        self.identity, self.metadata = dict(identity), dict(metadata)
        self.updates_per_epoch, self.progress = updates_per_epoch, progress
        self.net = build_net(recipe.net, classes=len(self.species))
        if recipe.encoder_rate == 0 and isinstance(recipe.net, NetOptions):
            cast(nn.Module, self.net.encoder).requires_grad_(False)
        own_norms = recipe.norm_crops and not recipe.freeze_norms
        self.norm_crops = (
            large_crops(trained_on, self.species, recipe, multiple=self.net.multiple) if own_norms else None
        )
        self.results: dict[str, Any] = {}
        self.train()

    def train(self, mode: bool = True) -> Self:
        """Training mode, in which frozen batch norms stay as they are."""
        super().train(mode)
        if self.recipe.freeze_norms:
            freeze_norms(self.net)
        return self

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """Loss of one batch of crops `(b, 1, z, y, x)` and their targets, mixed in pairs now and then."""
        windows, targets = batch
        random = generator(self.recipe.seed, self.current_epoch, index, self.global_rank, MIXUP)
        mix = draw_mixup(len(windows), self.recipe.augmentation, random=random)
        loss = mixed_loss(self.net, windows, targets, recipe=self.recipe.loss, mix=mix, cell=self.net.cell)
        if not torch.isfinite(loss):
            raise InputError(
                f"The loss became {float(loss)} after {counted(self.global_step, 'update')}: train with a lower "
                "`learning_rate`."
            )
        self.log("loss", loss)
        self.log("epoch_loss", loss, on_step=False, on_epoch=True)
        return loss

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """The held-out run stays where it is: its windows are moved one by one."""
        if isinstance(batch[0], Example):
            return batch
        return super().transfer_batch_to_device(batch, device, dataloader_idx)

    def validation_step(self, held_out: Sequence[Example], _: int) -> None:
        """Score the averaged weights on the tomograms of the held-out run."""
        if self.norm_crops:
            estimate_norms(self.net, self.norm_crops, most=self.recipe.norm_crops, device=self.device)
        found = validate(self.net, held_out, self.species, self.recipe, progress=self._validating)
        self.results = {"epoch": self.current_epoch + 1, **found}
        dice = {} if found["dice"] is None else {"dice": found["dice"]}
        by_species = {f"f4/{name}": f for name, f in found["f4_by_species"].items()}
        self.log_dict({"f4": found["f4"], HELD_OUT_LOSS: found["loss"], **dice, **by_species}, batch_size=1)
        if self.recipe.schedule == "plateau":
            plateau: Any = self.lr_schedulers()
            plateau.step(found["loss"])

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """The validation steps the plateau, so that its epoch is saved with it; Lightning would step it later."""
        if self.recipe.schedule != "plateau":
            super().lr_scheduler_step(scheduler, metric)

    def _validating(self, _: str, done: int, total: int) -> None:
        self.progress("Validating", done, total)

    def configure_optimizers(self) -> Any:
        """AdamW in one kernel, with the cosine stepped every update or the plateau at every validation."""
        optimizer = torch.optim.AdamW(self._groups(), weight_decay=self.recipe.weight_decay, fused=True)
        if self.recipe.schedule == "plateau":
            patience = self.recipe.plateau_patience
            if patience is None:
                assert self.recipe.patience is not None  # the recipe sees to that
                patience = self.recipe.patience // 2
            plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=patience)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": plateau, "monitor": HELD_OUT_LOSS}}
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            lambda update: cosine_with_warmup(
                update,
                warmup=self.recipe.warmup_epochs * self.updates_per_epoch,
                total=self.recipe.epochs * self.updates_per_epoch,
            ),
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _groups(self) -> list[dict[str, Any]]:
        """The trained parameters; the encoder's in a second group where its learning rate differs."""
        rate, fraction = self.recipe.learning_rate, self.recipe.encoder_rate
        trained = {name: p for name, p in self.net.named_parameters() if p.requires_grad}
        encoder = [p for name, p in trained.items() if fraction != 1 and name.startswith("encoder.")]
        others = [p for name, p in trained.items() if fraction == 1 or not name.startswith("encoder.")]
        groups = [{"params": others, "lr": rate}, {"params": encoder, "lr": rate * fraction}]
        return [group for group in groups if group["params"]]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store the results of the last validation with the weights that it used."""
        checkpoint["results"] = self.results
        checkpoint["about"] = self.metadata
        checkpoint["identity"] = self.identity

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Resume in today's folder. Raises `InputError` where the training to resume was another one."""
        refuse_another(self.identity, checkpoint["identity"])
        for callback in self.trainer.checkpoint_callbacks:
            state = checkpoint["callbacks"].get(callback.state_key)
            if state is not None and isinstance(callback, ModelCheckpoint):
                old, new = str(state["dirpath"]), str(callback.dirpath)
                checkpoint["callbacks"][callback.state_key] = moved(state, old, new)
