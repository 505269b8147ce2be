"""Train a net on annotated tomograms, one run held out: `train`, or `train_on` those in memory."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.loggers import CSVLogger
from timm.layers import convert_sync_batchnorm
from torch import Tensor
from torch.utils.data import DataLoader

from tomosoup.core.errors import InputError, counted
from tomosoup.core.progress import Progress, no_progress
from tomosoup.core.runtime import best_device
from tomosoup.data.options import AnnotatedData, Normalisation
from tomosoup.data.project import Project, open_project
from tomosoup.data.volumes.voxel_size import same_voxel_size
from tomosoup.models.adapt import for_species
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.models.history import Trained
from tomosoup.training.learner import Learner
from tomosoup.training.options import Execution, TrainingRecipe
from tomosoup.training.run.best_epochs import kept_checkpoints
from tomosoup.training.run.callbacks import callbacks
from tomosoup.training.run.folds import first_process, hold_out
from tomosoup.training.run.lightning_adapter import ShuffledByEpoch, WholeFiles, interrupts_pass, only_our_words
from tomosoup.training.run.resume import identity_of, keep_log, stopped_by_itself
from tomosoup.training.supervision.crops import Crops, Example, data_set_normalisation, normalised, read_examples
from tomosoup.training.supervision.training_set import TrainingSet


def train(
    project: Project | str | Path,
    recipe: TrainingRecipe,
    *,
    folder: str | Path,
    fold: int = 0,
    data: AnnotatedData = AnnotatedData(),  # noqa: B008 - immutable
    start: Checkpoint | None = None,
    execution: Execution = Execution(),  # noqa: B008 - immutable
    progress: Progress = no_progress,
) -> Checkpoint:
    """Train on all annotated runs of a project but the `fold`-th (by name), which chooses the best weights.

    After every epoch the averaged weights pick the whole held-out run. The best weights by the recipe's measure are
    returned, with a threshold for each species from the same run. Tomograms are resampled to the recipe's voxel size
    (Å) or, where it names none, to that of `start`.

    Args:
        folder: Keeps the log (`metrics.csv`), the best epochs (`kept_checkpoints`) and the state to resume from.
        fold: Position, from 0, of the held-out run among the annotated runs.
        start: Weights to start from (fine-tuning). It may know other species (`models.adapt.for_species`).
        execution: Device, number of devices, and whether to resume the training in `folder`, which may have been
            killed at any time. A resumed training ends with the weights of an unbroken one.

    With several devices (Lightning's DDP) the program is started once a device and each process runs this function. All
    return the same checkpoint; the process that `folds.first_process` names should write it.

    Raises `InputError` for data that cannot be used, a `start` that does not fit or frozen norms without one, and
    `KeyboardInterrupt` on Ctrl-C, with the last finished epoch on disk.
    """
    project = project if not isinstance(project, str | Path) else open_project(project)
    folder = Path(folder)
    if execution.resume and not (folder / "last.ckpt").is_file():
        raise InputError(f"There is no training to resume in {folder}: leave out `resume=True` to start one.")
    if recipe.freeze_norms and start is None:
        raise InputError(
            "`freeze_norms` keeps the batch norm statistics of trained weights, and this training starts from random "
            "weights: name trained weights to start from, or take another recipe."
        )
    voxel_size = recipe.resample_to or (start.voxel_size if start else None)
    read = _read(project, recipe, fold, data, voxel_size, progress)
    return train_on(read, recipe, folder=folder, start=start, execution=execution, progress=progress)


def train_on(
    annotated: TrainingSet,
    recipe: TrainingRecipe,
    *,
    folder: Path,
    start: Checkpoint | None = None,
    execution: Execution = Execution(),  # noqa: B008 - immutable
    progress: Progress = no_progress,
) -> Checkpoint:
    """`train` on tomograms in memory, which may be parts of tomograms. All have one voxel size."""
    training = Trained(
        tomosoup=version("tomosoup"),
        recipe=recipe.model_dump(mode="json"),
        data=annotated.data.model_dump(mode="json"),
        runs=annotated.runs,
        held_out=annotated.held_out[0].run,
    )
    history = (*(start.history if start else ()), training)
    species, voxel_size = annotated.species, annotated.held_out[0].volume.voxel_size
    draft = Checkpoint({}, recipe.net, species, voxel_size, recipe.windows, annotated.normalisation, history=history)
    identity = identity_of(training, draft, start)
    crops = Crops(annotated.examples, species, recipe)
    module, trainer, loader = _assemble(crops, draft, identity, folder, execution, progress)
    if start:
        module.net.load_state_dict(dict(_fitted(start, draft).weights))
    if not (execution.resume and stopped_by_itself(folder / "last.ckpt", identity)):
        with only_our_words(), interrupts_pass(trainer):
            held_out = annotated.held_out
            validation: DataLoader[list[Example]] = DataLoader([held_out], batch_size=None)  # type: ignore[arg-type]
            last = folder / "last.ckpt" if execution.resume else None
            trainer.fit(module, loader, validation, ckpt_path=last, weights_only=True)
    return kept_checkpoints(folder)[0]


def _read(
    project: Project,
    recipe: TrainingRecipe,
    fold: int,
    data: AnnotatedData,
    voxel_size: float | None,
    progress: Progress,
) -> TrainingSet:
    """The tomograms to train on and those of the held-out run."""
    examples = read_examples(project, data, voxel_size=voxel_size, progress=progress)
    held_out = [hold_out(examples, fold, project.species)]
    runs, out, size = [e.run for e in examples], held_out[0].run, held_out[0].volume.voxel_size
    for tomo_type in recipe.extra_tomo_types:
        if tomo_type == data.tomo_type:
            raise InputError(f"{tomo_type} is the main tomogram type already: leave it out of `extra_tomo_types`.")
        wanted = (*runs, out) if recipe.validate_extra_types else tuple(runs)
        other = data.model_copy(update={"tomo_type": tomo_type, "runs": wanted})
        for example in read_examples(project, other, voxel_size=voxel_size, progress=progress):
            if not same_voxel_size(example.volume.voxel_size, size):
                raise InputError(
                    f"Tomograms of the type {tomo_type} have voxels of {example.volume.voxel_size:g} Å and the main "
                    f"ones of {size:g} Å: train on types with one voxel size."
                )
            (held_out if example.run == out else examples).append(example)
    normalisation = data_set_normalisation(examples) if recipe.normalisation == "data_set" else Normalisation()
    return TrainingSet(
        normalised(examples, normalisation), normalised(held_out, normalisation), project.species, normalisation, data
    )


def _fitted(start: Checkpoint, draft: Checkpoint) -> Checkpoint:
    """The weights to start from, in a net for the species of the training.

    Raises `InputError` where they are of another net or voxel size.
    """
    if others := replace(start, species=draft.species).differences(draft):
        raise InputError(
            f"The weights to start from do not fit this training: they differ in {'; '.join(others)}. Start from a "
            "checkpoint of the same net and voxel size."
        )
    return for_species(start, draft.species)


def _assemble(
    crops: Crops,
    draft: Checkpoint,
    identity: dict[str, Any],
    folder: Path,
    execution: Execution,
    progress: Progress,
) -> tuple[Learner, pl.Trainer, DataLoader[tuple[Tensor, Tensor]]]:
    """The net that learns, Lightning's loop, and the crops of this process in batches."""
    device, recipe = best_device(execution.device), crops.recipe
    batch_size = batch_of_each_device(crops, device.type, execution.devices)
    torch.manual_seed(recipe.seed)
    loader = DataLoader(
        crops,
        batch_size=batch_size,
        sampler=ShuffledByEpoch(crops, devices=execution.devices),
        num_workers=recipe.workers,
        drop_last=True,
    )
    module = Learner(
        recipe,
        crops.species,
        updates_per_epoch=len(loader),
        identity=identity,
        metadata=draft.metadata(),
        trained_on=crops.examples,
        progress=progress,
    )
    if execution.devices > 1 and device.type == "cuda":
        # timm's norms may hold an activation, which torch's own conversion, and so Lightning's, would drop.
        module.net = convert_sync_batchnorm(module.net)
    if execution.resume and first_process():
        keep_log(folder / "metrics.csv")
    with only_our_words():
        trainer = pl.Trainer(
            max_epochs=recipe.epochs,
            **lightning_devices(device, execution.devices, recipe.precision),
            use_distributed_sampler=False,
            check_val_every_n_epoch=recipe.validate_every,
            num_sanity_val_steps=0,
            logger=CSVLogger(folder, name="", version=""),
            log_every_n_steps=1,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=callbacks(recipe, folder, progress),
            plugins=[WholeFiles()],
        )
    return module, trainer, loader


def batch_of_each_device(crops: Crops, accelerator: str, devices: int) -> int:
    """Crops of one update on each device. Raises `InputError` where they cannot be divided equally."""
    found = torch.cuda.device_count() if accelerator == "cuda" else devices
    if devices > found:
        raise InputError(f"Expected {devices} CUDA devices, found {found}: set `devices`.")
    if crops.recipe.batch_size % devices:
        raise InputError(
            f"A batch of {crops.recipe.batch_size} crops cannot be divided equally among {devices} devices: "
            "set `batch_size` to a multiple of `devices`."
        )
    size = min(crops.recipe.batch_size, crops.per_epoch) // devices
    if not size:
        raise InputError(f"An epoch has {counted(crops.per_epoch, 'crop')}, too few for {devices} devices: use fewer.")
    return size


def lightning_devices(device: torch.device, devices: int, precision: str) -> dict[str, Any]:
    """Options of Lightning's `Trainer` for `devices` devices like this one; one device is this very one.

    "auto" is fp16 on CUDA, and fp32 elsewhere: torch's bf16 gradient of conv3d is wrong on a CPU for maps two voxels
    deep.
    """
    auto = "16-mixed" if device.type == "cuda" else "32-true"
    return {
        "accelerator": device.type,
        "devices": devices if device.index is None or devices > 1 else [device.index],
        "strategy": "ddp" if devices > 1 else "auto",
        "precision": auto if precision == "auto" else precision,
    }
