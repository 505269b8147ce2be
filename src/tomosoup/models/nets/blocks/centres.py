"""What a net says of cells of voxels, for every voxel."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tomosoup.core.config import ZYX

PRIOR = -2.19
"""Bias of the scores at the start, so that each is 0.1, as in CenterNet's program."""


def centre_maps(scores: Tensor, offsets: Tensor, cell: ZYX) -> Tensor:
    """Scores `(b, c, z, y, x)` and offsets `(b, 3, z, y, x)` of cells -> maps `(b, c + 3, ...)` of their voxels.

    An offset leads from a cell's centre to a particle's, in cells (z, y, x). The last three maps lead there from each
    voxel, in voxels: so they may be averaged over windows whose cells lie otherwise.
    """
    sizes = torch.tensor(cell, dtype=offsets.dtype, device=offsets.device).reshape(3, 1, 1, 1)
    maps = F.interpolate(torch.cat([scores, offsets * sizes], dim=1), scale_factor=[float(n) for n in cell])
    z, y, x = (
        torch.arange(total, device=maps.device).remainder(n) - (n - 1) / 2
        for n, total in zip(cell, maps.shape[2:], strict=True)
    )
    within = torch.stack(torch.meshgrid(z, y, x, indexing="ij")).to(maps.dtype)
    classes = scores.shape[1]
    return torch.cat([maps[:, :classes], maps[:, classes:] - within], dim=1)
