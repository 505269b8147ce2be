"""How far a prediction is from its target."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tomosoup.core.config import ZYX
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


HALF = 0.5
"""A maximum of the target at least so high is a particle's centre, not the cut flank of one beyond a turned border."""
SURE = 1e-4
"""Scores are kept so far from 0 and 1 before their logarithms are taken, as in CenterNet's program."""


def centre_loss(prediction: Tensor, target: Tensor, *, cell: ZYX) -> Tensor:
    """CenterNet's loss of centres `(b, c + 3, z, y, x)` for Gaussian heatmaps `(b, c, z, y, x)`: a scalar.

    `prediction` is that of `centre_maps` for cells of `cell` voxels, `target` what other nets learn. With p a cell's
    score, g the highest target in it and N the number of centres, it is the penalty-reduced focal loss -1/N times the
    sum of (1 - p)² log p over cells with a centre and of (1 - g)⁴ p² log(1 - p) over the others, plus the mean L1
    distance (in cells) of the predicted places to the centres (Zhou et al., "Objects as Points", arXiv 1904.07850,
    equations 1 and 2; the same focal loss in Duan et al., ICCV 2019, which the 4th place's paper cites). A centre is a
    maximum of the target, to a voxel, that does not lie on the border of the crop.
    """
    whole = [n // s * s for n, s in zip(target.shape[2:], cell, strict=True)]
    z, y, x = (slice(n) for n in whole)
    prediction, target = prediction[:, :, z, y, x], target[:, :, z, y, x]
    peak = (target >= HALF) & (target == F.max_pool3d(target, 3, stride=1, padding=1))
    inner = F.pad(torch.ones_like(target[..., 1:-1, 1:-1, 1:-1]), (1,) * 6).bool()
    b, c, *place = (peak & inner).nonzero(as_tuple=True)
    at = [p // s for p, s in zip(place, cell, strict=True)]
    # All voxels of a cell say the same: its middle one stands for it.
    cells = prediction[:, :, cell[0] // 2 :: cell[0], cell[1] // 2 :: cell[1], cell[2] // 2 :: cell[2]]
    score = cells[:, :-3].clamp(SURE, 1 - SURE)
    holds = torch.zeros_like(score, dtype=torch.bool)
    holds[b, c, at[0], at[1], at[2]] = True
    near = F.max_pool3d(target, list(cell), stride=list(cell))
    hits = (1 - score).square() * score.log()
    misses = (1 - near) ** 4 * score.square() * (1 - score).log()
    wanted = torch.stack([(p % s - s // 2).to(score) for p, s in zip(place, cell, strict=True)], dim=1)
    sizes = torch.tensor(cell, device=score.device)
    away = ((cells[b, -3:, at[0], at[1], at[2]] - wanted).abs() / sizes).sum()
    return (away - torch.where(holds, hits, misses).sum()) / max(1, len(b))


def training_loss(prediction: Tensor, target: Tensor, recipe: LossOptions, *, cell: ZYX = (1, 1, 1)) -> Tensor:
    """The loss that the recipe names; in fp32 whatever the net computed in. `cell` is that of the net."""
    prediction = prediction.float()
    if recipe.name == "focal":
        return centre_loss(prediction, target, cell=cell)
    if recipe.name == "dice":
        loss: Tensor = dice_loss()(prediction, target)
        return loss
    if recipe.name == "balanced":
        return balanced_loss(prediction, target, recipe)
    return weighted_loss(prediction, target, floor=recipe.floor)
