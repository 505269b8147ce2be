"""What the microscope sees: projections of particles at every tilt, with contrast transfer and noise."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Generator, Tensor
from torch_ctf import calculate_ctf_2d
from torch_fourier_slice import project_3d_to_2d
from torch_tilt_series import TiltSeries

from tomosoup.recipes.simulation import SimulationRecipe
from tomosoup.simulation.structures import UNITS_PER_KDA
from tomosoup.types import Picks, Progress, quiet


def tilt_series(recipe: SimulationRecipe) -> TiltSeries:
    """The geometry of the recipe's tilts: one axis, along y, perfectly aligned."""
    low, high = recipe.tilt_range
    angles = torch.arange(math.floor((high - low) / recipe.tilt_step + 1e-6) + 1) * recipe.tilt_step + low
    n = len(angles)
    return TiltSeries(angles, torch.zeros(n), torch.zeros(n, 2), pixel_spacing=recipe.voxel_size)


def image_shape(recipe: SimulationRecipe) -> tuple[int, int]:
    """Pixels (y, x) of a projection: wide enough that every voxel is seen at every tilt."""
    z, y, x = recipe.shape
    tilts = np.radians(tilt_series(recipe).tilt_angles.numpy())
    return y, math.ceil(float(np.max(x * np.cos(tilts) + z * np.abs(np.sin(tilts))))) + 2


@contextmanager
def _one_thread() -> Iterator[None]:
    """Many small transforms: threads only get in each other's way, and tenfold so where the cores are shared."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@_one_thread()
def project(
    maps: Mapping[str, Tensor], particles: Mapping[str, Picks], recipe: SimulationRecipe, *, progress: Progress = quiet
) -> Tensor:
    """Noise-free projections `(tilts, y, x)` of all particles: summed density along the beam.

    `particles` stand at Å from the centre of the volume, which projects onto the centre of each image, and are turned
    by their `rotations`. Each is projected by its own central slices (torch-fourier-slice) and moved to its sub-pixel
    place by a phase shift.
    """
    series = tilt_series(recipe)
    height, width = image_shape(recipe)
    tilts = series.projection_matrices[:, :3, :3]
    margin = max((m.shape[0] + 1 for m in maps.values()), default=0)
    canvas = torch.zeros(len(tilts), height + 2 * margin, width + 2 * margin)
    total, done = sum(map(len, particles.values())), 0
    for name, picks in particles.items():
        assert picks.rotations is not None
        density = maps[name]
        if density.shape[0] % 2:  # torch-fourier-slice 0.6 samples odd cubes half a frequency off; n // 2 stays n // 2
            density = F.pad(density, (1, 0) * 3)
        places = series.project_points(torch.tensor(picks.zyx, dtype=torch.float32)) / recipe.voxel_size
        places = places + torch.tensor([(height - 1) / 2, (width - 1) / 2])
        for pose, place in zip(torch.tensor(picks.rotations, dtype=torch.float32), places, strict=True):
            # A slice through the transform of the map, at the slice's frequencies turned back into the map's frame.
            turn = rearrange(tilts @ pose, "t scope map -> t map scope")
            _add(canvas, project_3d_to_2d(density, turn, zyx_matrices=True), place + margin)
            done += 1
            progress("Projecting particles", done, total)
    return canvas[:, margin : margin + height, margin : margin + width]


def _add(canvas: Tensor, patches: Tensor, places: Tensor) -> None:
    """Add `(t, n, n)` patches to `(t, y, x)` images, in place: patch pixel n // 2 goes to `places` `(t, 2)`."""
    n = patches.shape[-1]
    whole = places.round()
    moved = shift(patches, places - whole)
    corners = whole.long() - n // 2
    for image, patch, (y, x) in zip(canvas, moved, corners.tolist(), strict=True):
        y0, x0 = max(y, 0), max(x, 0)
        y1, x1 = min(y + n, image.shape[0]), min(x + n, image.shape[1])
        if y1 > y0 and x1 > x0:
            image[y0:y1, x0:x1] += patch[y0 - y : y1 - y, x0 - x : x1 - x]


def shift(images: Tensor, by: Tensor) -> Tensor:
    """`(t, y, x)` images, each moved by its row of `by` `(t, 2)` (y, x) pixels, through a phase ramp."""
    height, width = images.shape[-2:]
    ky, kx = torch.fft.fftfreq(height), torch.fft.rfftfreq(width)
    phase = by[:, 0, None, None] * ky[:, None] + by[:, 1, None, None] * kx
    moved: Tensor = torch.fft.irfft2(torch.fft.rfft2(images) * torch.exp(-2j * math.pi * phase), s=(height, width))
    return moved


def expose(projections: Tensor, recipe: SimulationRecipe, *, random: Generator) -> Tensor:
    """Noise-free `(tilts, y, x)` projections of density -> images in which particles are dark and drowned in noise.

    Contrast transfer per tilt (torch-ctf), white Gaussian noise, and the recipe's low-pass over both.
    """
    low, high = recipe.defocus
    defocus = low + (high - low) * torch.rand((), generator=random)
    defocus = defocus + 0.1 * (2 * torch.rand(len(projections), generator=random) - 1)
    shape = projections.shape[-2], projections.shape[-1]
    transfer = calculate_ctf_2d(
        defocus=defocus,
        astigmatism=0.0,
        astigmatism_angle=0.0,
        voltage=recipe.voltage,
        spherical_aberration=recipe.spherical_aberration,
        amplitude_contrast=recipe.amplitude_contrast,
        phase_shift=0.0,
        pixel_size=recipe.voxel_size,
        image_shape=shape,
        rfft=True,
        fftshift=False,
    )
    noise = torch.randn(projections.shape, generator=random) * recipe.noise * UNITS_PER_KDA
    spectrum = torch.fft.rfft2(noise) - torch.fft.rfft2(projections) * transfer
    images: Tensor = torch.fft.irfft2(spectrum * lowpass(shape, recipe), s=shape)
    return images


def lowpass(shape: tuple[int, int], recipe: SimulationRecipe) -> Tensor:
    """The recipe's Gaussian low-pass over the frequencies `(y, x // 2 + 1)` of a real transform; ones without one."""
    ky, kx = torch.fft.fftfreq(shape[0]), torch.fft.rfftfreq(shape[1])
    if recipe.lowpass is None:
        return torch.ones(len(ky), len(kx))
    relative = (ky[:, None] ** 2 + kx**2) * (recipe.lowpass / recipe.voxel_size) ** 2
    return torch.exp(-math.log(2) * relative)
