"""The heatmaps of a run, on the voxels of its tomogram."""

from __future__ import annotations

from collections.abc import Sequence

from tomosoup.core.progress import Progress, no_progress
from tomosoup.core.types import Slices, Volume
from tomosoup.data.volumes.resampling import back_on_grid
from tomosoup.data.volumes.voxel_size import same_voxel_size
from tomosoup.inference.engines.net_cache import Nets
from tomosoup.inference.ensemble import ensemble_heatmap
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.models.checkpoint import Checkpoint


def heatmaps_of(
    volume: Slices,
    models: Sequence[Checkpoint],
    *,
    plan: PickingPlan,
    nets: Nets,
    progress: Progress = no_progress,
) -> Volume:
    """Raw tomogram `(z, y, x)` -> the mean map `(c, z, y, x)` of the models on the tomogram's voxels.

    The channels are the models' species, in order of appearance. Values are those that picks are read from: heights of
    a heatmap, or probabilities of a segmentation model, without noise correction. The map is in memory as a whole.
    Raises `InputError` like `pick`.
    """
    made = ensemble_heatmap(volume, models, plan=plan, nets=nets, progress=progress)
    size = models[0].voxel_size
    return made if same_voxel_size(volume.voxel_size, size) else back_on_grid(made, volume, size)
