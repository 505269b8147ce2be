"""Denoise one tomogram of any size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from tomosoup.core.aliases import contest_type
from tomosoup.core.progress import Progress, no_log, no_progress
from tomosoup.core.types import Volume
from tomosoup.data.volumes.normalisation import standardised
from tomosoup.data.volumes.resampling import back_on_grid, resampled, resampling_message
from tomosoup.data.volumes.voxel_size import same_voxel_size
from tomosoup.simulation.denoising.net import FINE_REACH, MULTIPLE, DenoisingNet
from tomosoup.simulation.denoising.weights import Denoiser
from tomosoup.simulation.spectrum import with_spectrum

DENOISING = "Denoising"
"""What `denoise` reports to its `progress`."""
AT_ONCE = 4_000_000
"""Positions, at half of the resolution, whose maps are in memory together: 0.4 GB for 24 channels."""


def denoise_volume(
    denoiser: Denoiser,
    volume: Volume,
    *,
    device: torch.device | None = None,
    progress: Progress = no_progress,
    log: Callable[[str], None] = no_log,
) -> Volume:
    """The volume `(z, y, x)` without noise, on the same voxels: `denoise` at the voxel size of the denoiser's training,
    with the denoiser's strength.

    If the denoiser has an amplitude spectrum, the volume gets it first. A volume of another voxel size is resampled to
    that size and back; `log` gets a line about it. Raises `InputError` where one of the two sizes must be wrong, and
    for a volume that holds NaN or infinity, or that is constant.
    """
    standardised(volume)  # refuses bad voxels before they spread
    if denoiser.spectrum is not None:
        volume = with_spectrum(volume, denoiser.spectrum)
    if same_voxel_size(volume.voxel_size, denoiser.voxel_size):
        data = denoise(denoiser.net, volume.data, device=device, progress=progress)
    else:
        log(resampling_message(volume.voxel_size, denoiser.voxel_size))
        data = _denoised_elsewhere(denoiser, volume, device=device, progress=progress)
    return replace(volume, data=data.lerp_(volume.data.float(), 1 - denoiser.strength))


def already_denoised(tomo_type: str) -> str:
    """What to tell the user of a tomogram of this type that is to be denoised; empty unless it is denoised already."""
    if contest_type(tomo_type) != "denoised":
        return ""
    return f"The tomograms are of the type {tomo_type}: denoised a second time, they lose particles, too."


def _denoised_elsewhere(
    denoiser: Denoiser, volume: Volume, *, device: torch.device | None, progress: Progress
) -> Tensor:
    """The voxels of the volume, denoised at the denoiser's voxel size and resampled back."""
    there = resampled(volume, denoiser.voxel_size)
    made = denoise(denoiser.net, there.data, device=device, progress=progress)
    return back_on_grid(replace(there, data=made), volume, denoiser.voxel_size).data


def denoise(
    net: DenoisingNet, volume: Tensor, *, device: torch.device | None = None, progress: Progress = no_progress
) -> Tensor:
    """The tomogram `(z, y, x)` without noise, in the scale of its own grey values.

    The net sees it with mean 0 and standard deviation 1. Slabs of whole planes go through the net's fine levels and the
    whole tomogram through its coarse ones, so the result does not depend on the slabs.

    Args:
        net: the net, on any device.
        volume: grey values; sizes that are not multiples of `MULTIPLE` are mirrored at their ends.
        device: where to compute; by default where the net is.
        progress: called with `DENOISING`.
    """
    device = device or next(net.parameters()).device
    net = net.to(device).eval()
    net.to(memory_format=torch.channels_last_3d)  # the fastest layout on CPUs
    deviation, mean = torch.std_mean(volume.float())
    scale = float(deviation) or 1.0
    padded = _padded(volume).sub_(float(mean)).div_(scale)
    depth = padded.shape[0] // 2
    slabs = list(_slabs(depth, planes=AT_ONCE // (padded.shape[1] * padded.shape[2] // 4)))
    result = torch.empty_like(padded)
    with torch.inference_mode():
        halved = []
        for i, (start, stop) in enumerate(slabs):
            progress(DENOISING, i, 2 * len(slabs))
            halved.append(net.halved(_fine(net, padded, start, stop, depth)))
        coarse = net.coarse(torch.cat(halved, dim=2))
        for i, (start, stop) in enumerate(slabs, start=len(slabs)):
            progress(DENOISING, i, 2 * len(slabs))
            first, last = max(start - FINE_REACH, 0), min(stop + FINE_REACH, depth)
            here = coarse[:, :, first // 2 : last // 2]
            made = net.joined(_fine(net, padded, first, last, depth), here)[0, 0]
            result[2 * start : 2 * stop] = made[2 * (start - first) :][: 2 * (stop - start)]
    progress(DENOISING, 2 * len(slabs), 2 * len(slabs))
    z, y, x = volume.shape
    return result[:z, :y, :x].mul_(scale).add_(float(mean))


def _fine(net: DenoisingNet, padded: Tensor, start: int, stop: int, depth: int) -> Tensor:
    """`net.fine` of the planes from `start` to `stop`, at half of the resolution, as if it saw all `depth` of them."""
    first, last = max(start - FINE_REACH, 0), min(stop + FINE_REACH, depth)
    part = padded[None, None, 2 * first : 2 * last].to(next(net.parameters()).device)
    return net.fine(part)[:, :, start - first :][:, :, : stop - start]


def _slabs(depth: int, *, planes: int) -> Iterator[tuple[int, int]]:
    """`depth` planes in slabs (start, stop) of about equal, even size and of at most `planes`, or of two."""
    number = -(-depth // max(planes, 2))
    ends = [2 * round(depth / 2 * i / number) for i in range(number + 1)]
    yield from pairwise(ends)


def _padded(volume: Tensor) -> Tensor:
    """A float32 copy whose sizes are multiples of `MULTIPLE`: mirrored at the ends."""
    widths = [(0, -n % MULTIPLE) for n in volume.shape]
    return torch.from_numpy(np.pad(volume.float().numpy(), widths, mode="symmetric"))
