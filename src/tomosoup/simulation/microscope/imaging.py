"""What the microscope sees: projections with contrast transfer, radiation damage, and a counted number of electrons."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Generator, Tensor
from torch_ctf import calculate_ctf_2d
from torch_fourier_filter.dose_weight import critical_exposure
from torch_fourier_filter.mtf import read_mtf
from torch_fourier_slice import project_3d_to_2d

from tomosoup.core.errors import InputError
from tomosoup.core.progress import Progress, no_progress
from tomosoup.core.types import Picks
from tomosoup.simulation.microscope.tilt_series import Acquisition
from tomosoup.simulation.options.microscope import MicroscopeOptions

PROJECTING = "Projecting particles"
"""What `project` reports to its `progress`."""
CHUNK = 500_000
"""Complex numbers held at once while particles are projected."""


TRANSFER_REACH = 8
"""Pixels round a particle into which contrast transfer spreads it; at 4 µm and 20 Å it is 4 pixels of 10 Å."""


def interaction(voltage: float) -> float:
    """Radians of phase that an electron of `voltage` (kV) gains in 1 V over 1 Å.

    2 pi m e lambda / h² with the relativistic mass and wavelength (Kirkland, Advanced Computing in Electron
    Microscopy, 2010, eq. 2.34): 6.53e-4 at 300 kV.
    """
    volts, rest = voltage * 1e3, 510_998.95
    wavelength = 12.2643 / math.sqrt(volts + 0.978466e-6 * volts**2)
    return 2 * math.pi / (wavelength * volts) * (rest + volts) / (2 * rest + volts)


@dataclass(frozen=True)
class Field:
    """Images `(tilts, y, x)` of a tomogram's field of view: pixel sizes are Å, the centre pixel sees the centre."""

    shape: tuple[int, int]
    """Pixels (y, x)."""
    pixel: float

    @classmethod
    def of(cls, shape: tuple[int, int, int], pixel: float, acquisition: Acquisition) -> Field:
        """Wide enough that every voxel of a tomogram of `shape` (z, y, x) is seen at every tilt."""
        z, y, x = shape
        tilts = np.radians(acquisition.angles)
        return cls((y, math.ceil(float(np.max(x * np.cos(tilts) + z * np.abs(np.sin(tilts))))) + 2), pixel)


def contrast_transfer(
    acquisition: Acquisition, recipe: MicroscopeOptions, *, defocus: Tensor, shape: tuple[int, int], pixel: float
) -> Tensor:
    """CTF `(..., y, x // 2 + 1)` at `defocus` `(...)` in µm, positive where underfocus darkens matter (torch-ctf)."""
    transfer: Tensor = calculate_ctf_2d(
        defocus=defocus,
        astigmatism=acquisition.astigmatism,
        astigmatism_angle=acquisition.astigmatism_angle,
        voltage=recipe.voltage,
        spherical_aberration=recipe.spherical_aberration,
        amplitude_contrast=recipe.amplitude_contrast,
        phase_shift=acquisition.phase_shift,
        pixel_size=pixel,
        image_shape=shape,
        rfft=True,
        fftshift=False,
    )
    return transfer


def project(
    maps: Mapping[str, Tensor],
    particles: Mapping[str, Picks],
    acquisition: Acquisition,
    recipe: MicroscopeOptions,
    *,
    field: Field,
    progress: Progress = no_progress,
) -> Tensor:
    """Phase contrast `(tilts, y, x)` of all particles: radians, after contrast transfer, dark counted positive.

    `maps` are cubes `(n, n, n)` in V above water with voxels as large as the field's pixels. `particles` stand at Å
    from the centre of the tomogram, with their `rotations`. Each is projected by its own central slices
    (torch-fourier-slice), gets the contrast transfer of its own height along the beam (1 Å nearer to the source: 1 Å
    less underfocus), and is moved to its sub-pixel position by a phase ramp.
    """
    margin = max((m.shape[0] + 2 for m in maps.values()), default=0)
    canvas = torch.zeros(len(acquisition), field.shape[0] + 2 * margin, field.shape[1] + 2 * margin)
    total, done = sum(map(len, particles.values())), 0
    for name, picks in particles.items():
        density = maps[name]
        if density.shape[0] % 2:  # torch-fourier-slice 0.6 samples odd cubes half a frequency off; n // 2 stays n // 2
            density = F.pad(density, (1, 0) * 3)
        density = density * (field.pixel * interaction(recipe.voltage))
        batch = max(1, CHUNK // (len(acquisition) * 2 * density.shape[0] ** 2))
        for start in range(0, len(picks), batch):
            some = slice(start, start + batch)
            _add_particles(canvas, density, picks, some, acquisition, recipe, field=field, margin=margin)
            done += len(picks.zyx[some])
            progress(PROJECTING, done, total)
    inner = canvas[:, margin : margin + field.shape[0], margin : margin + field.shape[1]]
    return inner.contiguous()


def _add_particles(
    canvas: Tensor,
    density: Tensor,
    picks: Picks,
    some: slice,
    acquisition: Acquisition,
    recipe: MicroscopeOptions,
    *,
    field: Field,
    margin: int,
) -> None:
    """Project `some` of the particles and add them to the images, in place."""
    assert picks.rotations is not None
    series = acquisition.true()
    beam = series.projection_matrices.float()
    points = torch.tensor(picks.zyx[some].copy(), dtype=torch.float32)
    poses = torch.tensor(picks.rotations[some].copy(), dtype=torch.float32)
    seen = torch.einsum("tij,pj->pti", beam[:, :3, :3], points) + beam[:, :3, 3]
    # A slice through the transform of the map, at the slice's frequencies rotated back into the map's frame.
    rotation = rearrange(torch.einsum("tij,pjk->ptik", beam[:, :3, :3], poses), "p t scope map -> p t map scope")
    patches = _projections(density, rotation)
    n = patches.shape[-1]
    positions = seen[..., 1:] / field.pixel + (torch.tensor(field.shape) - 1) / 2 + margin
    whole = positions.round()
    defocus = torch.tensor(acquisition.defocus, dtype=torch.float32) - seen[..., 0] * 1e-4
    spectrum = torch.fft.rfft2(patches) * phase_ramp((n, n), positions - whole)
    # The library corrects for the blur of sampling between frequencies; 0 is none of those, and 5 to 10 % too strong.
    spectrum[..., 0, 0] = density.sum()
    spectrum *= contrast_transfer(acquisition, recipe, defocus=defocus, shape=(n, n), pixel=field.pixel)
    patches = torch.fft.irfft2(spectrum, s=(n, n))
    corners = whole.long() - n // 2
    for particle, corner in zip(patches, corners.tolist(), strict=True):
        for image, patch, (y, x) in zip(canvas, particle, corner, strict=True):
            y0, x0 = max(y, 0), max(x, 0)
            y1, x1 = min(y + n, image.shape[0]), min(x + n, image.shape[1])
            if y1 > y0 and x1 > x0:
                image[y0:y1, x0:x1] += patch[y0 - y : y1 - y, x0 - x : x1 - x]


def _projections(density: Tensor, rotation: Tensor) -> Tensor:
    """Projections `(..., m, m)` of a cube with an even side, `m` so much larger that contrast transfer stays inside."""
    n = density.shape[0]
    margin = TRANSFER_REACH + TRANSFER_REACH % 2
    images: Tensor = project_3d_to_2d(
        F.pad(density, (margin,) * 6), rotation, pad_factor=max(1.0, 2 * n / (n + 2 * margin)), zyx_matrices=True
    )
    return images


def phase_ramp(shape: tuple[int, int], by: Tensor) -> Tensor:
    """Factors `(..., y, x // 2 + 1)` on the rfft of an image of `shape` that move it `by` `(..., 2)` pixels (y, x)."""
    ky, kx = torch.fft.fftfreq(shape[0]), torch.fft.rfftfreq(shape[1])
    phase = by[..., 0, None, None] * ky[:, None] + by[..., 1, None, None] * kx
    return torch.polar(torch.ones_like(phase), -2 * math.pi * phase)


def frequencies(shape: tuple[int, int], pixel: float) -> Tensor:
    """Spatial frequency `(y, x // 2 + 1)` in 1/Å of an image's rfft."""
    return torch.hypot(torch.fft.fftfreq(shape[0], pixel)[:, None], torch.fft.rfftfreq(shape[1], pixel))


def left_by_exposure(acquisition: Acquisition, recipe: MicroscopeOptions, frequency: Tensor) -> Tensor:
    """What radiation damage leaves of each frequency half-way through each tilt: factors `(tilts, ...)` on amplitudes.

    exp(-N / 2 Ne) after N electrons per Å², with the critical exposures Ne of Grant and Grigorieff (2015), eLife
    4:e06980, at 300 kV; slower electrons do more damage (at 200 kV a quarter more, as they measured).
    """
    critical = critical_exposure(frequency.clamp(min=1e-6)) * (1.0 if recipe.voltage > 250 else 0.8)
    half_way = torch.tensor(acquisition.exposure + acquisition.dose / 2, dtype=torch.float32)
    return torch.exp(-half_way.reshape(-1, *[1] * frequency.ndim) / (2 * critical))


def modulation_transfer(recipe: MicroscopeOptions, frequency: Tensor) -> Tensor:
    """The detector's transfer at frequencies in 1/Å: from the recipe's file, else a Gaussian."""
    relative = frequency * recipe.detector_pixel  # cycles per pixel of the detector
    if recipe.mtf_file is None:
        return torch.exp(math.log(recipe.mtf) * (relative / 0.5) ** 2)
    try:
        at, values = read_mtf(str(recipe.mtf_file))
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{recipe.mtf_file} is not a RELION table of a detector's transfer; expected a STAR file with the columns "
            "rlnResolutionInversePixel and rlnMtfValue."
        ) from error
    return torch.from_numpy(np.interp(relative, at, values)).float()


def expected_counts(
    phase: Tensor, acquisition: Acquisition, recipe: MicroscopeOptions, *, thickness: Tensor, pixel: float
) -> Tensor:
    """Electrons `(tilts, y, x)` that each pixel counts on average, from phase contrast in radians.

    I = I0 (1 - 2 phase). Radiation damage and the detector weaken the phase first. I0 is the detected part of
    the dose that passes ice of `thickness` Å (broadcast to the images) along the tilted beam unscattered.
    """
    shape = phase.shape[-2], phase.shape[-1]
    frequency = frequencies(shape, pixel)
    factor = modulation_transfer(recipe, frequency).expand(len(acquisition), -1, -1)
    if recipe.damage:
        factor = factor * left_by_exposure(acquisition, recipe, frequency)
    worn = torch.fft.irfft2(torch.fft.rfft2(phase) * factor, s=shape)
    slant = torch.tensor(1 / np.cos(np.radians(acquisition.angles)), dtype=torch.float32)[:, None, None]
    passed = acquisition.dose * acquisition.detected * pixel**2 * torch.exp(-thickness * slant / recipe.mean_free_path)
    expected: Tensor = (passed * (1 - 2 * worn)).clamp(min=0)
    return expected


def count(expected: Tensor, *, random: Generator) -> tuple[Tensor, Tensor]:
    """Two halves of the electrons of `expected` images, as even and odd frames would count them."""
    return torch.poisson(expected / 2, random), torch.poisson(expected / 2, random)


def normalised(counts: Tensor) -> Tensor:
    """Counts `(tilts, y, x)` -> contrast: each image's mean becomes 0, and no electrons at all -1."""
    mean = counts.mean(dim=(1, 2), keepdim=True)
    if not bool((mean > 0).all()):
        raise InputError(
            "Some tilts counted no electrons: raise `microscope.dose` or `microscope.detected`, or thin the ice."
        )
    contrast: Tensor = counts / mean - 1
    return contrast
