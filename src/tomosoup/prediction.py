"""One net over a whole volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from tomosoup.checkpoints import Checkpoint
from tomosoup.errors import InputError, first_line
from tomosoup.io.selection import VOXEL_SIZE_TOLERANCE
from tomosoup.labels import label_picks, labels_to_heatmap
from tomosoup.normalisation import standardise
from tomosoup.peaks import find_peaks
from tomosoup.recipes.picking import LabelRecipe, PeakRecipe, WindowPlan
from tomosoup.types import Picks, Progress, Species, Volume, quiet
from tomosoup.windows import Blend, cut, cut_mirrored, fitted, window_regions


@torch.no_grad()
def predict_heatmap(
    net: nn.Module, volume: Volume, *, plan: WindowPlan, batch_size: int = 4, progress: Progress = quiet
) -> Volume:
    """Normalised `(z, y, x)` volume of any size -> heatmap `(c, z, y, x)` on the same grid, blended from windows.

    A volume smaller than a window, or not a whole number of strides, is padded with zeros; where the plan keeps windows
    inside the volume, they are made as small as it is (and as the net allows).
    """
    device = next(net.parameters()).device
    plan = fitted(plan, volume.shape, multiple=getattr(net, "multiple", (1, 1, 1)))
    regions = window_regions(volume.shape, plan)
    take = cut_mirrored if plan.border == "inside" else cut
    blend: Blend | None = None
    for first in range(0, len(regions), batch_size):
        group = regions[first : first + batch_size]
        windows = torch.stack([take(volume.data, region) for region in group])[:, None]
        output: Tensor = net(windows.to(device)).float().cpu()
        if blend is None:
            blend = Blend(output.shape[1], volume.shape, plan)
        for values, region in zip(output, group, strict=True):
            blend.add(values, region)
        progress("Predicting", min(first + batch_size, len(regions)), len(regions))
    assert blend is not None  # a volume has at least one window
    return replace(volume, data=blend.mean())


def read_labels(
    chances: Volume, species: Sequence[Species], *, labels: LabelRecipe, peaks: PeakRecipe
) -> dict[str, Picks]:
    """Probabilities `(c, z, y, x)` without the background -> picks by species, best first, in Å, by `labels.by`."""
    if labels.by == "peaks":
        return find_peaks(labels_to_heatmap(chances, species), species, peaks=peaks)
    return label_picks(chances, species, recipe=labels)


SCALES = 20.0
"""Grey values may be so many times too strong or too weak for a checkpoint with constants of its own."""


def as_shown(volume: Volume, model: Checkpoint) -> Volume:
    """The volume with its grey values as the model's net knows them.

    Raises `InputError` where the model brings constants of its own that belong to tomograms on quite another scale.
    """
    constants = model.normalisation
    shown = standardise(volume, mean=constants.mean, deviation=constants.deviation)
    spread = float(shown.data.std())
    if constants.deviation is not None and not 1 / SCALES < spread < SCALES:
        raise InputError(
            f"The tomogram's grey values deviate by {spread * constants.deviation:.3g} and the checkpoint expects "
            f"about {constants.deviation:.3g}: pick tomograms of the kind that it was trained on, or train on these."
        )
    return shown


def check_voxel_size(voxel_size: float, checkpoint: Checkpoint, *, what: str = "The tomogram") -> None:
    """Raises `InputError` where tomogram and training disagree on the size of a voxel."""
    if abs(voxel_size - checkpoint.voxel_size) > VOXEL_SIZE_TOLERANCE * checkpoint.voxel_size:
        raise InputError(
            f"{what} has voxels of {voxel_size:g} Å and the checkpoint was trained at {checkpoint.voxel_size:g} Å: "
            "resample the tomogram, choose another --voxel-spacing, or correct a wrong header with --voxel-size."
        )


def best_device(wanted: str) -> torch.device:
    """`auto` is CUDA where there is one, then Apple's GPU, then the CPU."""
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=(device := torch.device(wanted)))
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"There is no device {wanted!r} here ({first_line(error)}): leave --device out for the best there is."
        ) from error
    return device
