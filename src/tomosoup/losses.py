"""How far a prediction is from its target."""

from __future__ import annotations

from torch import Tensor


def heatmap_loss(prediction: Tensor, target: Tensor, *, floor: float = 0.1) -> Tensor:
    """Mean over all voxels of (p - g)² (g + floor): a scalar.

    Squared error that counts most where particles are, and `floor` where there are none; equation 1 of the 4th place's
    paper. Both tensors have the same shape, commonly `(b, c, z, y, x)`.
    """
    return ((prediction - target).square() * (target + floor)).mean()
