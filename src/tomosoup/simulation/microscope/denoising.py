"""What makes a weighted back-projection look like the contest's denoised tomograms.

Those come from a net. Seen from outside it does four things, measured on slices of a real tomogram by
`runs/checks/real_and_simulated.py --fit`: it keeps a part of each frequency, it keeps finer detail along the tilt axis,
it flattens what is brighter than the ice, and it puts a little power into the missing wedge.
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
"""Where brightness levels off, in deviations of the noise."""
RESIDUAL = 0.180
"""Noise of the net's own, without a missing wedge: its deviation as a share of the tomogram's noise."""


def denoised(volume: Tensor, *, voxel_size: float, random: Generator, stretch: float = 1.0) -> Tensor:
    """A tomogram `(z, y, x)`, dark particles on ice of 0, as the contest's are; `stretch` makes it so much blurrier.

    Frequencies are in 1/Å: other voxel sizes get the same resolution.
    """
    smooth = _kept(volume, voxel_size=voxel_size, stretch=stretch)
    own = _kept(torch.randn(volume.shape, generator=random), voxel_size=voxel_size, stretch=stretch)
    deviation = _noise(smooth)
    smooth += own.mul_(RESIDUAL * deviation / own.std())
    smooth /= deviation
    return torch.where(smooth > 0, BRIGHTEST * torch.tanh(smooth / BRIGHTEST), smooth)


def _kept(volume: Tensor, *, voxel_size: float, stretch: float) -> Tensor:
    """The part of every frequency that denoising keeps."""
    spectrum = torch.fft.rfftn(volume)
    kz, ky = (torch.fft.fftfreq(n, voxel_size) for n in volume.shape[:2])
    in_plane = torch.hypot(ALONG_AXIS * ky[:, None], torch.fft.rfftfreq(volume.shape[2], voxel_size))
    middles = (np.arange(len(GAIN)) + 0.5) * BAND
    for plane, k in zip(spectrum, kz, strict=True):
        at = torch.hypot(in_plane, k) * stretch
        plane *= torch.from_numpy(np.interp(at.numpy(), middles, GAIN)).float()
    smooth: Tensor = torch.fft.irfftn(spectrum, s=volume.shape)
    return smooth


def _noise(volume: Tensor) -> Tensor:
    """The deviation of the noise, by the median of every 7th voxel's size: particles are few."""
    return 1.4826 * volume.flatten()[::7].abs().median()
