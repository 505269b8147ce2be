"""A net that learns heatmaps: its loss, its schedule, its score on a held-out run, as a Lightning module."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from tomosoup.augmentation import Mix, draw_mixup
from tomosoup.crops import Crops, Example, generator
from tomosoup.errors import InputError
from tomosoup.evaluation import best_thresholds, steady_thresholds
from tomosoup.losses import heatmap_loss
from tomosoup.nets import build_net
from tomosoup.peaks import find_peaks
from tomosoup.prediction import predict_heatmap
from tomosoup.recipes.training import LossRecipe, TrainingRecipe
from tomosoup.types import Progress, Species, quiet

MIXUP = 1
"""Sets the random numbers of mixup apart from those of the crops, which have one number fewer."""


def cosine_with_warmup(update: int, *, warmup: float, total: int) -> float:
    """Share of the peak learning rate at an update (from 0): linear from 0 over `warmup` updates, then the cosine.

    The cosine runs from update 0 to `total`, so the rate steps down a little where the warm-up ends (as in timm).
    """
    if update < warmup:
        return update / warmup
    return 0.5 * (1 + math.cos(math.pi * min(update, total) / total))


def mixed_loss(
    net: torch.nn.Module, windows: Tensor, targets: Tensor, *, recipe: LossRecipe, mix: Mix | None
) -> Tensor:
    """The loss of `(b, 1, z, y, x)` windows and `(b, c, z, y, x)` targets; with `mix`, of windows mixed in pairs.

    Mixed is the loss, not the target: share * loss against a window's own target + (1 - share) * against its partner's.
    """
    if mix is None:
        return heatmap_loss(net(windows), targets, recipe)
    order = mix.order.to(windows.device)
    output = net(mix.share * windows + (1 - mix.share) * windows[order])
    own, partners = heatmap_loss(output, targets, recipe), heatmap_loss(output, targets[order], recipe)
    return mix.share * own + (1 - mix.share) * partners


class HeatmapTraining(pl.LightningModule):
    """A net, its loss, its schedule, and the F4 of its averaged weights on the held-out run."""

    def __init__(
        self,
        recipe: TrainingRecipe,
        species: Sequence[Species],
        *,
        updates_per_epoch: int,
        identity: Mapping[str, Any],
        progress: Progress = quiet,
    ) -> None:
        """`identity`: what a training must have been started with, in JSON's types, to be gone on with."""
        super().__init__()
        self.recipe, self.species, self.identity = recipe, tuple(species), dict(identity)
        self.updates_per_epoch, self.progress = updates_per_epoch, progress
        self.net = build_net(recipe.net, classes=len(self.species))
        self.results: dict[str, Any] = {}

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """Loss of one batch of crops `(b, 1, z, y, x)` and targets `(b, c, z, y, x)`, mixed in pairs now and then."""
        windows, targets = batch
        random = generator(self.recipe.seed, self.current_epoch, index, self.global_rank, MIXUP)
        mix = draw_mixup(len(windows), self.recipe.augmentation, random=random)
        loss = mixed_loss(self.net, windows, targets, recipe=self.recipe.loss, mix=mix)
        if not torch.isfinite(loss):
            raise InputError(
                f"The loss became {float(loss)} after {self.global_step} updates: train with a lower --learning-rate."
            )
        self.log("loss", loss)
        self.log("epoch_loss", loss, on_step=False, on_epoch=True)
        return loss

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """The held-out tomogram stays where it is: its windows are moved one by one."""
        return batch if isinstance(batch, Example) else super().transfer_batch_to_device(batch, device, dataloader_idx)

    def validation_step(self, held_out: Example, _: int) -> None:
        """Blended heatmap of the held-out run, its peaks, their best F4, and thresholds for runs to come."""
        heatmap = predict_heatmap(self.net, held_out.volume, plan=self.recipe.windows, progress=self._validating)
        picks = find_peaks(heatmap, self.species, peaks=self.recipe.peaks)
        result = best_thresholds([(picks, held_out.truth)], self.species)[1]
        self.results = {
            "epoch": self.current_epoch + 1,
            "f4": result.weighted,
            "f4_by_species": {name: m.f_beta() for name, m in result.species.items()},
            "thresholds": steady_thresholds([(picks, held_out.truth)], self.species),
        }
        self.log_dict(
            {"f4": result.weighted, **{f"f4/{n}": f for n, f in self.results["f4_by_species"].items()}}, batch_size=1
        )

    def _validating(self, _: str, done: int, total: int) -> None:
        self.progress("Validating", done, total)

    def configure_optimizers(self) -> Any:
        """AdamW with the cosine schedule, stepped every update."""
        optimizer = torch.optim.AdamW(
            [p for p in self.parameters() if p.requires_grad],
            lr=self.recipe.learning_rate,
            weight_decay=self.recipe.weight_decay,
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            lambda update: cosine_with_warmup(
                update,
                warmup=self.recipe.warmup_epochs * self.updates_per_epoch,
                total=self.recipe.epochs * self.updates_per_epoch,
            ),
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what the last validation found beside the weights that it judged."""
        checkpoint["results"] = self.results
        checkpoint["identity"] = self.identity

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up the folder where it now is. Raises `InputError` where the training to resume was another one."""
        if other := [key for key, value in checkpoint["identity"].items() if self.identity.get(key) != value]:
            raise InputError(
                f"The training to resume was started with another {', '.join(other)}: give the same options, or start "
                "anew with --overwrite."
            )
        for callback in self.trainer.checkpoint_callbacks:
            state = checkpoint["callbacks"].get(callback.state_key)
            if state is not None and isinstance(callback, ModelCheckpoint):
                old, new = str(state["dirpath"]), str(callback.dirpath)
                checkpoint["callbacks"][callback.state_key] = _moved(state, old, new)


def _moved(state: Any, old: str, new: str) -> Any:
    """A callback's state, its paths below `old` now below `new`: the training's folder may have been moved."""
    if isinstance(state, dict):
        return {_moved(k, old, new): _moved(v, old, new) for k, v in state.items()}
    return new + state[len(old) :] if isinstance(state, str) and state.startswith(old) else state


class Reporter(pl.Callback):
    """Tells `progress` how many updates are done."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.says = "Training"

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """One update more."""
        self.progress(self.says, trainer.global_step, int(trainer.estimated_stepping_batches))

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Say the score so far."""
        if isinstance(module, HeatmapTraining) and module.results:
            self.says = f"Training (held-out F4 {module.results['f4']:.3f})"
            self.progress(self.says, trainer.global_step, int(trainer.estimated_stepping_batches))


class ShuffledByEpoch(torch.utils.data.Sampler[int]):
    """A new order every epoch that depends on seed and epoch alone; Lightning tells the epoch, also when it resumes.

    Where several processes train side by side each draws its own part of the order, all of one length.
    """

    def __init__(self, crops: Crops, *, seed: int, devices: int = 1) -> None:
        self.crops, self.seed, self.devices = crops, seed, devices

    def set_epoch(self, epoch: int) -> None:
        """The epoch, from 0, that is about to be drawn."""
        self.crops.epoch = epoch

    def __len__(self) -> int:
        return self.crops.per_epoch // self.devices

    def __iter__(self) -> Iterator[int]:
        rank = torch.distributed.get_rank() if self.devices > 1 else 0
        order = torch.randperm(len(self.crops), generator=generator(self.seed, self.crops.epoch)).tolist()
        return iter(order[rank : len(self) * self.devices : self.devices])
