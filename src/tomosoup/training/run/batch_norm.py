"""The running statistics of batch norms, estimated anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import update_bn
from torch.utils.data import DataLoader, Subset

from tomosoup.core.errors import InputError
from tomosoup.core.progress import Progress, no_progress
from tomosoup.data.options import AnnotatedData
from tomosoup.data.project import Project
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.models.history import first_training, runs_seen
from tomosoup.training.options import TrainingRecipe
from tomosoup.training.supervision.crops import Crops, large_crops, normalised, read_examples
from tomosoup.training.supervision.options import LOSSES, LossOptions

VOXELS_AT_ONCE = 2**21
"""Crops of so many voxels together go through the net at once: eight of 16 x 128 x 128."""
CROPS = 256
"""How many training crops re-estimate the statistics of batch norm."""


def has_batch_norm(net: nn.Module) -> bool:
    """Whether the net keeps running statistics, which change with its weights and with the size of its crops."""
    return any(isinstance(module, _BatchNorm) for module in net.modules())


def statistics_differ(checkpoints: Sequence[Checkpoint]) -> bool:
    """Whether checkpoints of one net have batch norms with statistics of their own.

    Fine-tunings that froze them (`freeze_norms`) share those that they started with.
    """
    first = checkpoints[0]
    names = [name for name in first.weights if name.endswith(("running_mean", "running_var"))]
    return any(not torch.equal(other.weights[n], first.weights[n]) for other in checkpoints[1:] for n in names)


def freeze_norms(net: nn.Module) -> None:
    """Normalise by the running statistics, which stay as they are, in training too."""
    for module in net.modules():
        if isinstance(module, _BatchNorm):
            module.eval()


def estimate_norms(net: nn.Module, crops: Crops, *, most: int, device: torch.device | None = None) -> None:
    """Set the running statistics of a net on `device` to those of its activations on `most` training crops or fewer.

    (Izmailov et al. 2018, averaging weights; torch's `update_bn`.) A net without batch norm stays as it is.
    """
    if has_batch_norm(net):
        batch = max(1, min(len(crops), most, VOXELS_AT_ONCE // prod(crops.recipe.crop)))
        update_bn(DataLoader(Subset(crops, crops.order()[:most]), batch_size=batch, drop_last=True), net, device=device)


def with_statistics(checkpoint: Checkpoint, crops: Crops, *, device: torch.device | None = None) -> Checkpoint:
    """The checkpoint with the statistics of its batch norms re-estimated on training crops, as many as `CROPS`.

    A checkpoint without batch norm comes back as it is.
    """
    net = checkpoint.net().to(device)
    if not has_batch_norm(net):
        return checkpoint
    estimate_norms(net, crops, most=CROPS, device=device)
    return replace(checkpoint, weights={k: v.cpu() for k, v in net.state_dict().items()})


def training_crops(
    project: Project, data: AnnotatedData, mean: Checkpoint, *, progress: Progress = no_progress
) -> Crops:
    """Crops as the first ingredient's training drew them, from the runs that any ingredient was trained on.

    Raises `InputError` where the project has none of these runs.
    """
    runs = tuple(run for run in runs_seen(mean.history).trained if run in project.runs)
    if not runs:
        raise InputError(
            f"{project.path} has none of the runs that the ingredients were trained on, which re-estimate their batch "
            "norms: name the project that they were trained on."
        )
    examples = normalised(
        read_examples(project, data.model_copy(update={"runs": runs}), voxel_size=mean.voxel_size, progress=progress),
        mean.normalisation,
    )
    recipe = _recipe_of(mean)
    if recipe.norm_crops:
        return large_crops(examples, mean.species, recipe, multiple=mean.net().multiple)
    return Crops(examples, mean.species, recipe)


def _recipe_of(mean: Checkpoint) -> TrainingRecipe:
    """The recipe of the first training in the history, or a plain one for its net and windows."""
    training = first_training(mean.history)
    if training and training.recipe:
        return TrainingRecipe.of(training.recipe, source="The first ingredient's history")
    return TrainingRecipe(
        net=mean.architecture,
        windows=mean.windows,
        loss=LossOptions.of({"name": LOSSES[mean.architecture.predicts][0]}, source="The first ingredient"),
    )
