"""Train a net on annotated tomograms, one run held out: `train`."""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from timm.layers import convert_sync_batchnorm
from torch import Tensor
from torch.utils.data import DataLoader

from tomosoup.checkpoints import Checkpoint
from tomosoup.crops import Crops, data_set_normalisation, normalised, read_examples
from tomosoup.errors import InputError
from tomosoup.folds import first_process, hold_out
from tomosoup.heatmap_training import HeatmapTraining, Reporter, ShuffledByEpoch
from tomosoup.io.project import Project, open_project
from tomosoup.prediction import best_device
from tomosoup.recipes.data import AnnotatedData, Normalisation
from tomosoup.recipes.hardware import Hardware
from tomosoup.recipes.training import TrainingRecipe
from tomosoup.types import Progress, Species, quiet

AUTO = Hardware()


def train(
    project: Project | str | Path,
    recipe: TrainingRecipe,
    *,
    fold: int = 0,
    folder: str | Path,
    data: AnnotatedData = AnnotatedData(),  # noqa: B008 - immutable
    resume: bool = False,
    hardware: Hardware = AUTO,
    progress: Progress = quiet,
) -> Checkpoint:
    """Train on all chosen annotated runs of a project but the `fold`-th (by name), which chooses the best weights.

    The averaged weights are validated on the held-out run by blended whole-volume heatmap and best-threshold F4; the
    best are returned, with a threshold a species from the same run. `folder` keeps the log (`metrics.csv`) and what
    `resume` goes on from, after a kill at any time, to the same weights as an unbroken training.

    With several devices (Lightning's DDP) the program is started once a device and each process runs this function; all
    return the same checkpoint, and the one that `folds.first_process` names should write it.

    Raises `InputError` for data that cannot be used, and `KeyboardInterrupt` on Ctrl-C, with the last finished epoch on
    disk.
    """
    project = project if not isinstance(project, str | Path) else open_project(project)
    last = (folder := Path(folder)) / "last.ckpt"
    if resume and not last.is_file():
        raise InputError(f"There is no training to resume in {folder}: leave out --resume to start one.")
    examples = read_examples(project, data, progress=progress)
    held_out = hold_out(examples, fold, project.species)
    normalisation = data_set_normalisation(examples) if recipe.normalisation == "data_set" else Normalisation()
    examples, [held_out] = normalised(examples, normalisation), normalised([held_out], normalisation)
    crops = Crops(examples, project.species, recipe)
    options = recipe.model_dump(mode="json")
    trained_on = {"runs": [e.run for e in examples], "held_out": held_out.run}
    identity = {
        **options,
        **data.model_dump(mode="json"),
        **trained_on,
        "species": [asdict(s) for s in project.species],
        "voxel_size": held_out.volume.voxel_size,
    }
    module, trainer, loader = _assemble(
        crops, identity=identity, folder=folder, resume=resume, hardware=hardware, progress=progress
    )
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
        project.species,
        voxel_size=held_out.volume.voxel_size,
        normalisation=normalisation,
        event={"step": "train", "tomosoup": version("tomosoup"), "recipe": options, **trained_on},
    )


def _assemble(
    crops: Crops, *, identity: dict[str, Any], folder: Path, resume: bool, hardware: Hardware, progress: Progress
) -> tuple[HeatmapTraining, pl.Trainer, DataLoader[tuple[Tensor, Tensor]]]:
    device, recipe = best_device(hardware.device), crops.recipe
    accelerator, index = device.type, device.index
    share = shared_batch(crops, accelerator, hardware)
    torch.manual_seed(recipe.seed)
    loader = DataLoader(
        crops,
        batch_size=share,
        sampler=ShuffledByEpoch(crops, seed=recipe.seed, devices=hardware.devices),
        num_workers=recipe.workers,
        drop_last=True,
    )
    module = HeatmapTraining(recipe, crops.species, updates_per_epoch=len(loader), identity=identity, progress=progress)
    if hardware.devices > 1 and accelerator == "cuda":
        # timm's norms may hold an activation, which torch's own conversion, and so Lightning's, would drop.
        module.net = convert_sync_batchnorm(module.net)
    if resume and first_process():
        _keep_log(folder / "metrics.csv")
    with _only_our_words():
        trainer = pl.Trainer(
            max_epochs=recipe.epochs,
            accelerator=accelerator,
            devices=hardware.devices if index is None or hardware.devices > 1 else [index],
            strategy="ddp" if hardware.devices > 1 else "auto",
            use_distributed_sampler=False,
            precision=_precision(recipe.precision, accelerator),
            check_val_every_n_epoch=recipe.validate_every,
            num_sanity_val_steps=0,
            logger=CSVLogger(folder, name="", version=""),
            log_every_n_steps=1,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[
                EMAWeightAveraging(decay=recipe.average_decay),
                ModelCheckpoint(folder, filename="best", monitor="f4", mode="max", enable_version_counter=False),
                ModelCheckpoint(folder, filename="last", save_on_train_epoch_end=True, enable_version_counter=False),
                Reporter(progress),
            ],
        )
    return module, trainer, loader


def shared_batch(crops: Crops, accelerator: str, hardware: Hardware) -> int:
    """Crops of one update on each device. Raises `InputError` where they cannot be shared out alike."""
    there = torch.cuda.device_count() if accelerator == "cuda" else hardware.devices
    if hardware.devices > there:
        raise InputError(f"There are {there} CUDA devices here, {hardware.devices} were asked for: set --devices.")
    if crops.recipe.batch_size % hardware.devices:
        raise InputError(
            f"A batch of {crops.recipe.batch_size} crops cannot be shared by {hardware.devices} devices alike: "
            "set --batch-size to a multiple of --devices."
        )
    share = min(crops.recipe.batch_size, crops.per_epoch) // hardware.devices
    if not share:
        raise InputError(f"An epoch has {crops.per_epoch} crops, too few for {hardware.devices} devices: use fewer.")
    return share


def _keep_log(log: Path) -> None:
    """Set the log of the part that was broken off aside: Lightning starts a new one."""
    if log.is_file():
        number = 1 + sum(1 for _ in log.parent.glob("metrics.*.csv"))
        log.rename(log.with_name(f"metrics.{number}.csv"))


def _precision(wanted: str, accelerator: str) -> Any:
    """fp16 on CUDA, fp32 elsewhere: torch's bf16 gradient of conv3d is wrong on the CPU for maps two voxels deep."""
    return wanted if wanted != "auto" else "16-mixed" if accelerator == "cuda" else "32-true"


def _best_checkpoint(
    folder: Path,
    recipe: TrainingRecipe,
    species: Sequence[Species],
    *,
    voxel_size: float,
    normalisation: Normalisation,
    event: dict[str, Any],
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
        normalisation=normalisation,
        thresholds=results["thresholds"],
        history=({**event, **{k: v for k, v in results.items() if k != "thresholds"}},),
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
