"""The running statistics of batch norms, estimated anew."""

from __future__ import annotations

from math import prod

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import update_bn
from torch.utils.data import DataLoader, Subset

from tomosoup.training.supervision.crops import Crops

VOXELS_AT_ONCE = 2**21
"""Crops of so many voxels go through the net together: eight of 16 x 128 x 128."""


def has_batch_norm(net: nn.Module) -> bool:
    """Whether the net keeps running statistics: those of other weights, or of other crops, are not its own."""
    return any(isinstance(module, _BatchNorm) for module in net.modules())


def estimate_norms(net: nn.Module, crops: Crops, *, most: int, device: torch.device | None = None) -> None:
    """Set the net's running statistics to those that it has on training crops, at most so many; the net is on `device`.

    (Izmailov et al. 2018, averaging weights; torch's `update_bn`.) A net without batch norm stays as it is.
    """
    if has_batch_norm(net):
        batch = max(1, min(len(crops), VOXELS_AT_ONCE // prod(crops.recipe.crop)))
        update_bn(DataLoader(Subset(crops, crops.order()[:most]), batch_size=batch, drop_last=True), net, device=device)
