"""Train a net on annotated tomograms, one run held out: a Lightning module and `train`."""

from __future__ import annotations

import logging
import math
import shutil
import signal
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor
from torch.utils.data import DataLoader

from tomosoup.checkpoints import Checkpoint
from tomosoup.crops import Crops, Example, generator, read_examples
from tomosoup.errors import InputError
from tomosoup.evaluation import best_thresholds, steady_thresholds
from tomosoup.io.project import Project, open_project
from tomosoup.losses import heatmap_loss
from tomosoup.nets import build_net
from tomosoup.peaks import find_peaks
from tomosoup.prediction import best_device, predict_heatmap
from tomosoup.recipes.data import DataRecipe
from tomosoup.recipes.training import TrainingRecipe
from tomosoup.types import Progress, Species, quiet


def cosine_with_warmup(update: int, *, warmup: float, total: int) -> float:
    """Share of the peak learning rate at an update (from 0): linear from 0 over `warmup` updates, then the cosine.

    The cosine runs from update 0 to `total`, so the rate steps down a little where the warm-up ends (as in timm).
    """
    if update < warmup:
        return update / warmup
    return 0.5 * (1 + math.cos(math.pi * min(update, total) / total))


class HeatmapTraining(pl.LightningModule):
    """A net, its loss, its schedule, and the F4 of its averaged weights on the held-out run."""

    def __init__(
        self, recipe: TrainingRecipe, species: Sequence[Species], *, updates_per_epoch: int, progress: Progress = quiet
    ) -> None:
        super().__init__()
        self.recipe, self.species = recipe, tuple(species)
        self.updates_per_epoch, self.progress = updates_per_epoch, progress
        self.net = build_net(recipe.net, classes=len(self.species))
        self.results: dict[str, Any] = {}

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Loss of one batch of crops `(b, 1, z, y, x)` and targets `(b, c, z, y, x)`."""
        windows, targets = batch
        loss = heatmap_loss(self.net(windows), targets, floor=self.recipe.loss_floor)
        if not torch.isfinite(loss):
            raise InputError(
                f"The loss became {float(loss)} after {self.global_step} updates: train with a lower --learning-rate."
            )
        self.log_dict({"loss": loss, "epoch_loss": loss}, on_step=False, on_epoch=True)
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
        checkpoint["recipe"] = self.recipe.model_dump(mode="json")

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Raises `InputError` where the training to resume was another one."""
        ours = self.recipe.model_dump(mode="json")
        if other := [key for key, value in checkpoint["recipe"].items() if ours[key] != value]:
            raise InputError(
                f"The training to resume was started with another {', '.join(other)}: give the same options, or start "
                "anew with --overwrite."
            )


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
    """A new order every epoch that depends on seed and epoch alone; Lightning tells the epoch, also when it resumes."""

    def __init__(self, crops: Crops, *, seed: int) -> None:
        self.crops, self.seed = crops, seed

    def set_epoch(self, epoch: int) -> None:
        """The epoch, from 0, that is about to be drawn."""
        self.crops.epoch = epoch

    def __len__(self) -> int:
        return len(self.crops)

    def __iter__(self) -> Iterator[int]:
        return iter(torch.randperm(len(self), generator=generator(self.seed, self.crops.epoch)).tolist())


def train(
    project: Project | str | Path,
    recipe: TrainingRecipe,
    *,
    fold: int = 0,
    folder: str | Path,
    data: DataRecipe = DataRecipe(),  # noqa: B008 - immutable
    truth: str | None = None,
    resume: bool = False,
    device: str = "auto",
    progress: Progress = quiet,
) -> Checkpoint:
    """Train on all chosen runs of a project but the `fold`-th (by name), on which the best weights are chosen.

    The averaged weights are validated on the held-out run by blended whole-volume heatmap and best-threshold F4; the
    best are returned, with a threshold a species from the same run. `truth` names the true picks as
    `io.project.read_truth` takes it. `folder` keeps the log (`metrics.csv`) and what `resume` goes on from, after a
    kill at any time, to the same weights as an unbroken training.

    Raises `InputError` for data that cannot be used, and `KeyboardInterrupt` on Ctrl-C, with the last finished epoch on
    disk.
    """
    project = project if not isinstance(project, str | Path) else open_project(project)
    folder = Path(folder)
    species = project.species
    examples = read_examples(project, data, truth=truth, progress=progress)
    if not 0 <= fold < len(examples) or len(examples) < 2:
        raise InputError(
            f"Fold {fold} holds out one of {len(examples)} runs and trains on the others: "
            f"expected at least 2 runs and a fold from 0 to {len(examples) - 1}."
        )
    held_out = examples.pop(fold)
    crops = Crops(examples, species, recipe)
    module, trainer, loader = _assemble(recipe, species, crops, folder=folder, device=device, progress=progress)
    last = folder / "last.ckpt"
    if resume and not last.is_file():
        raise InputError(f"There is no training to resume in {folder}: leave out --resume to start one.")
    with _only_our_words(), _interrupts_pass(trainer):
        trainer.fit(
            module,
            loader,
            DataLoader([held_out], batch_size=None),  # type: ignore[arg-type]
            ckpt_path=last if resume else None,
            weights_only=False,
        )
    return _best_checkpoint(
        folder,
        recipe,
        species,
        voxel_size=held_out.volume.voxel_size,
        runs=[e.run for e in examples],
        held_out=held_out.run,
    )


def training_folder(output: Path, *, resume: bool, overwrite: bool) -> Path:
    """Where the training that makes checkpoint `output` keeps its log and its state.

    Raises `InputError` where an unfinished training is there and neither `resume` nor `overwrite` says what to do.
    """
    folder = output.with_suffix(".training")
    if (folder / "last.ckpt").exists() and not resume:
        if not overwrite:
            raise InputError(
                f"{folder} holds an earlier training: go on with --resume, or start anew with --overwrite."
            )
        shutil.rmtree(folder)
    return folder


def _assemble(
    recipe: TrainingRecipe, species: Sequence[Species], crops: Crops, *, folder: Path, device: str, progress: Progress
) -> tuple[HeatmapTraining, pl.Trainer, DataLoader[tuple[Tensor, Tensor]]]:
    torch.manual_seed(recipe.seed)
    loader = DataLoader(
        crops,
        batch_size=min(recipe.batch_size, len(crops)),
        sampler=ShuffledByEpoch(crops, seed=recipe.seed),
        num_workers=recipe.workers,
        drop_last=True,
    )
    accelerator = best_device(device).type
    module = HeatmapTraining(recipe, species, updates_per_epoch=len(loader), progress=progress)
    with _only_our_words():
        trainer = pl.Trainer(
            max_epochs=recipe.epochs,
            accelerator=accelerator,
            devices=1,
            precision=_precision(recipe.precision, accelerator),
            check_val_every_n_epoch=recipe.validate_every,
            num_sanity_val_steps=0,
            logger=CSVLogger(folder, name="", version=""),
            log_every_n_steps=1,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[
                EMAWeightAveraging(decay=recipe.average_decay),
                ModelCheckpoint(
                    dirpath=folder,
                    filename="best",
                    monitor="f4",
                    mode="max",
                    save_last=True,
                    enable_version_counter=False,
                ),
                Reporter(progress),
            ],
        )
    return module, trainer, loader


def _precision(wanted: str, accelerator: str) -> Any:
    """fp16 on CUDA, fp32 elsewhere: torch's bf16 gradient of conv3d is wrong on the CPU for maps two voxels deep."""
    return wanted if wanted != "auto" else "16-mixed" if accelerator == "cuda" else "32-true"


def _best_checkpoint(
    folder: Path,
    recipe: TrainingRecipe,
    species: Sequence[Species],
    *,
    voxel_size: float,
    runs: list[str],
    held_out: str,
) -> Checkpoint:
    """The best averaged weights of a finished training."""
    best = torch.load(folder / "best.ckpt", map_location="cpu", weights_only=True)
    results = best["results"]
    return Checkpoint(
        weights={k.removeprefix("net."): v for k, v in best["state_dict"].items()},
        architecture=recipe.net,
        species=tuple(species),
        voxel_size=voxel_size,
        windows=recipe.windows,
        thresholds=results["thresholds"],
        history=(
            {
                "step": "train",
                "tomosoup": version("tomosoup"),
                "recipe": recipe.model_dump(mode="json"),
                "runs": runs,
                "held_out": held_out,
                **{k: v for k, v in results.items() if k != "thresholds"},
            },
        ),
    )


@contextmanager
def _interrupts_pass(trainer: pl.Trainer) -> Iterator[None]:
    """Lightning turns Ctrl-C into an exit of the program; turn it back, since that is the caller's to decide."""
    try:
        yield
    except SystemExit:
        if not trainer.interrupted:
            raise
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if trainer.interrupted:
        raise KeyboardInterrupt


@contextmanager
def _only_our_words() -> Iterator[None]:
    """Keep Lightning's hints off the terminal: our defaults are chosen, and progress is told by `Progress`."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        warnings.filterwarnings("ignore", message=".*lightning.*|.*Lightning.*")
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
