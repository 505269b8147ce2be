"""A filter that makes a weighted back-projection look like the contest's denoised tomograms.

Those come from a neural network. The filter has four of its effects: it keeps a fraction of each frequency; it keeps
finer detail along the tilt axis; it flattens what is brighter than the ice; and it adds a little power to the missing
wedge. Its constants were fitted to nine slices of one real tomogram. The net of `simulation.denoising` is closer.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Generator, Tensor

GAIN = (4.9551, 2.6473, 1.4615, 1.36, 1.0, 0.808, 0.7848, 0.4623, 0.3634, 0.1481, 0.088, 0.0338)
"""Factor on amplitudes in twelve equal bands from 0 to 0.05 cycles per Å."""
BAND = 0.05 / len(GAIN)
"""Width of a band in cycles per Å."""
ALONG_AXIS = 0.85
"""Frequencies along the tilt axis (y) count this much."""
BRIGHTEST = 2.2
"""Where brightness levels off, in standard deviations of the noise."""
RESIDUAL = 0.180
"""Noise that denoising adds, without a missing wedge: its standard deviation as a fraction of the tomogram's noise."""


def denoised(volume: Tensor, *, voxel_size: float, random: Generator, stretch: float = 1.0) -> Tensor:
    """A tomogram `(z, y, x)`, dark particles on ice of 0, as the contest's denoised tomograms are.

    Frequencies are in 1/Å, so other voxel sizes (Å) get the same resolution; `stretch` above 1 makes it blurrier.
    """
    smooth = _kept(volume, voxel_size=voxel_size, stretch=stretch)
    own = _kept(torch.randn(volume.shape, generator=random), voxel_size=voxel_size, stretch=stretch)
    noise = _noise(smooth)
    smooth += own.mul_(RESIDUAL * noise / own.std())
    smooth /= noise
    return torch.where(smooth > 0, BRIGHTEST * torch.tanh(smooth / BRIGHTEST), smooth)


def _kept(volume: Tensor, *, voxel_size: float, stretch: float) -> Tensor:
    """The volume `(z, y, x)` with the fraction of every frequency that denoising keeps."""
    spectrum = torch.fft.rfftn(volume)
    kz, ky = (torch.fft.fftfreq(n, voxel_size) for n in volume.shape[:2])
    in_plane = torch.hypot(ALONG_AXIS * ky[:, None], torch.fft.rfftfreq(volume.shape[2], voxel_size))
    centres = (np.arange(len(GAIN)) + 0.5) * BAND
    for plane, k in zip(spectrum, kz, strict=True):
        at = torch.hypot(in_plane, k) * stretch
        plane *= torch.from_numpy(np.interp(at.numpy(), centres, GAIN)).float()
    smooth: Tensor = torch.fft.irfftn(spectrum, s=volume.shape)
    return smooth


def _noise(volume: Tensor) -> Tensor:
    """Standard noise of the noise, from the median magnitude of every 7th voxel: few voxels are particle."""
    return 1.4826 * volume.flatten()[::7].abs().median()
