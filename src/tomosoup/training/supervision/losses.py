"""How far a prediction is from its target."""

from __future__ import annotations

from functools import cache
from typing import Any

from torch import Tensor

from tomosoup.training.supervision.options import LossOptions


def weighted_loss(prediction: Tensor, target: Tensor, *, floor: float = 0.1) -> Tensor:
    """Mean over all voxels of (p - g)² (g + floor): a scalar.

    The squared error has a large weight at particles and the weight `floor` elsewhere: equation 1 of the 4th place's
    paper (`yu4u`). Both tensors have the same shape, commonly `(b, c, z, y, x)`.
    """
    return ((prediction - target).square() * (target + floor)).mean()


def balanced_loss(prediction: Tensor, target: Tensor, recipe: LossOptions) -> Tensor:
    """Weighted mean of (p - g)² over the particles plus that over the background: a scalar.

    The weights are g and 1 - g, over all voxels of the batch, in any channel and window, so few particles weigh as much
    as all the empty space: sum(e g) / (sum(g) + eps) + sum(e (1 - g)) / (sum(1 - g) + eps). Equation 2 of the 4th
    place's paper (tattaka's), as their write-up of the contest gives it. With `recipe.positive_from` the weights are 1
    or 0: a voxel belongs to the particles where g is at least so large (0.1: within 2.1 sigma). On several devices each
    computes the loss of its part of the batch. Both tensors have the same shape, commonly `(b, c, z, y, x)`.
    """
    error = (prediction - target).square()
    on = target if recipe.positive_from is None else (target >= recipe.positive_from).to(error)
    off = 1 - on
    particles = (error * on).sum() / (on.sum() + recipe.eps)
    background = (error * off).sum() / (off.sum() + recipe.eps)
    return recipe.positive_weight * particles + recipe.negative_weight * background


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
