"""How far a prediction is from its target."""

from __future__ import annotations

from functools import cache
from typing import Any

from torch import Tensor

from tomosoup.training.options import LossOptions


def weighted_loss(prediction: Tensor, target: Tensor, *, floor: float = 0.1) -> Tensor:
    """Mean over all voxels of (p - g)² (g + floor): a scalar.

    The squared error has a large weight at particles and the weight `floor` elsewhere: equation 1 of the 4th place's
    paper (A1). Both tensors have the same shape, commonly `(b, c, z, y, x)`.
    """
    return ((prediction - target).square() * (target + floor)).mean()


def balanced_loss(prediction: Tensor, target: Tensor, recipe: LossOptions) -> Tensor:
    """Sum over two regions of weight * sum((p - g)²) / (voxels + eps): a scalar.

    The positive region is every voxel of the batch, in any channel and window, whose target g is at least
    `recipe.positive_from` (0.1: within 2.1 sigma of a particle). The negative region is the rest. Few particles weigh
    as much as all the empty space. On several devices each one computes the loss of its part of the batch. Equation 2
    of the 4th place's paper (A2), which leaves regions, weights and eps open. Both tensors have the same shape,
    commonly `(b, c, z, y, x)`.
    """
    error = (prediction - target).square()
    positive = (target >= recipe.positive_from).to(error)
    on, off = (error * positive).sum(), (error * (1 - positive)).sum()
    count = positive.sum()
    return recipe.positive_weight * on / (count + recipe.eps) + recipe.negative_weight * off / (
        positive.numel() - count + recipe.eps
    )


@cache
def dice_loss() -> Any:
    """The loss of logits `(b, 1 + c, z, y, x)`, background first, and labels `(b, 1, z, y, x)`: a scalar.

    1 - Dice, averaged over crops and classes, plus the cross-entropy averaged over voxels (MONAI's; the 8th place's).
    """
    from monai.losses import DiceCELoss  # here, as MONAI takes seconds to import

    return DiceCELoss(include_background=True, to_onehot_y=True, softmax=True)


def training_loss(prediction: Tensor, target: Tensor, recipe: LossOptions) -> Tensor:
    """The loss that the recipe names; in fp32 whatever the net computed in."""
    prediction = prediction.float()
    if recipe.name == "dice":
        loss: Tensor = dice_loss()(prediction, target)
        return loss
    if recipe.name == "balanced":
        return balanced_loss(prediction, target, recipe)
    return weighted_loss(prediction, target, floor=recipe.floor)
