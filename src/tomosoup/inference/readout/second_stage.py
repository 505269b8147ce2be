"""A second stage: a classifier looks again at the crops around candidates, and changes their scores."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from tomosoup.core.progress import Progress, no_progress
from tomosoup.core.types import Array, Picks, PicksBySpecies, Slices, Volume
from tomosoup.data.project import Project
from tomosoup.data.volumes.normalisation import standardise
from tomosoup.data.volumes.resampling import resampled
from tomosoup.data.volumes.voxel_size import same_voxel_size
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.inference.tiling.windows import cut
from tomosoup.models.adapt import second_stage_for
from tomosoup.models.second_stage import SecondStage, load_second_stage

AT_ONCE = 64
"""Crops that go through the net together."""


def chosen_second_stage(plan: PickingPlan, project: Project | None = None) -> SecondStage | None:
    """The second stage of the plan, if it has one, with the project's names for its species."""
    if plan.second_stage is None:
        return None
    second = load_second_stage(plan.second_stage)
    return second_stage_for(project, second) if project else second


def rescored(
    candidates: PicksBySpecies,
    source: Slices,
    second: SecondStage,
    *,
    device: torch.device,
    progress: Progress = no_progress,
) -> dict[str, Picks]:
    """The candidates of a raw `(z, y, x)` source, best first, with their scores times the probability of their species.

    So a candidate that the classifier takes for another species, or for none, falls behind the others, and none is
    dropped. Species that the second stage does not know keep their scores. The tomogram is held in memory.
    """
    known = {kind.name: channel for channel, kind in enumerate(second.species, start=1)}
    found = {name: picks for name, picks in candidates.items() if name in known and len(picks)}
    if not found:
        return dict(candidates)
    volume = ready(source, second.voxel_size)
    net = second.classifier().to(device)
    total, done, changed = sum(map(len, found.values())), 0, dict(candidates)
    for name, picks in found.items():
        of_species = []
        for crops in crops_around(volume, picks.zyx, second.crop):
            with torch.inference_mode():
                of_species.append(net(crops.to(device)).float().softmax(dim=1)[:, known[name]].cpu())
            done += len(crops)
            progress("Second stage", done, total)
        score = picks.score * torch.cat(of_species).double().numpy()
        best_first = np.argsort(-score, kind="stable")
        changed[name] = Picks(picks.zyx[best_first], score[best_first])
    return changed


def ready(source: Slices, voxel_size: float) -> Volume:
    """The whole source in voxels of this size (Å), its grey values at mean 0 and standard deviation 1."""
    if not same_voxel_size(source.voxel_size, voxel_size):
        source = resampled(source, voxel_size)
    return standardise(Volume(source.slices(0, source.shape[0]), source.voxel_size, source.origin))


def crops_around(volume: Volume, zyx: Array, side: int) -> Iterator[Tensor]:
    """Positions `(n, 3)` in Å -> batches of crops `(b, 1, side, side, side)`, zeros where they reach outside.

    The voxel that holds the position is the one at side // 2 along each axis.
    """
    corners = np.round(volume.to_voxel(zyx)).astype(int) - side // 2
    for batch in np.array_split(corners, range(AT_ONCE, len(corners), AT_ONCE)):
        crops = [cut(volume.data, tuple(slice(int(i), int(i) + side) for i in corner)) for corner in batch]  # type: ignore[arg-type]
        yield torch.stack(crops)[:, None]
