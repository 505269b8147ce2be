"""Unlabelled matter without a known shape: specks, aggregates, films, filaments, contamination.

All of it is a cloud of small beads, so that a tomogram holds as much of it as real ones do at the cost of a few images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from tomosoup.core.types import Array
from tomosoup.simulation.microscope.imaging import Field, contrast_transfer, frequencies, interaction
from tomosoup.simulation.microscope.tilt_series import Acquisition
from tomosoup.simulation.options.microscope import MicroscopeOptions
from tomosoup.simulation.options.specimen import SampleOptions
from tomosoup.simulation.specimen.built_in import PROTEIN_VOLUME, VOLTS_PER_KDA
from tomosoup.simulation.specimen.layout import OccupancyGrid
from tomosoup.simulation.specimen.potential import WATER_VOLTS

BEAD_KDA, BEAD_SIZE = 10.0, 6.4
"""kDa of the beads of protein at most, and their size (Å, standard deviation of a Gaussian): a ball of 10 kDa of
protein has a radius of 14 Å, and thus this radius of gyration along an axis."""
FILM_DEPTH, FILM_PATCH = 10.0, 150.0
"""Å: how far a film of denatured protein reaches into the ice, and over which length its cover changes; half of each
surface is covered. Estimates."""
ADSORBED_DEPTH = 40.0
"""Å: how far adsorbed proteins are from the surface: their own radius and the film."""
GRAIN = 20.0
"""Å between the beads of contamination."""
STIFFNESS, STEP, FILAMENT_LENGTH = 1000.0, 20.0, (500.0, 3000.0)
"""Å: persistence length of filaments (DNA 500, F-actin 100,000), the length of their straight pieces, and their lengths
(estimates)."""
WALL = 40.0
"""Å: thickness of the wall of a tube: that of a microtubule, or of a membrane."""
KDA_OF_MG = 6.022e23 * 1e-3 * 1e-3 / 1e20
"""kDa/Å² in 1 mg/m²."""


@dataclass(frozen=True)
class Cloud:
    """Beads of `BEAD_SIZE`."""

    zyx: Array
    """`(n, 3)` Å from the tomogram's corner."""
    volts: Array
    """`(n,)` V Å³ of each bead above water."""


def draw_cloud(
    recipe: SampleOptions, grid: OccupancyGrid, slab: tuple[float, float], *, random: np.random.Generator
) -> Cloud:
    """The clutter of a tomogram whose ice reaches from the lower to the higher z of `slab` (Å).

    Beads whose voxel in the grid holds something are left out.
    """
    low = np.array([slab[0], 0.0, 0.0])
    size = np.array([slab[1] - slab[0], *grid.extent[1:]])
    ice = float(size.prod()) * 1e-12

    def number(per_volume: tuple[float, float]) -> int:
        return int(random.poisson(random.uniform(*per_volume) * ice))

    parts = [
        specks(recipe, number(recipe.specks), size, random=random),
        *(aggregate(recipe, size, random=random) for _ in range(number(recipe.aggregates))),
        *(filament(recipe, size, random=random) for _ in range(number(recipe.filaments))),
        film(float(random.uniform(*recipe.film)), size, random=random),
        *(lump(recipe, size, random=random) for _ in range(round(random.uniform(*recipe.contamination)))),
    ]
    zyx, volts = np.concatenate([p.zyx for p in parts]) + low, np.concatenate([p.volts for p in parts])
    at = grid.voxels(zyx)
    within = ((at >= 0) & (at < grid.shape)).all(axis=1)
    free = np.ones(len(zyx), dtype=bool)
    free[within] = grid.labels[tuple(at[within].T)] == 0
    return Cloud(zyx[free], volts[free])


def balls(centres: Array, masses: Array, *, random: np.random.Generator) -> Cloud:
    """Compact proteins of `masses` `(n,)` kDa at `centres` `(n, 3)`: ellipsoids of beads; half axes differ by 30 %."""
    beads = np.ceil(masses / BEAD_KDA).astype(int)
    which = np.repeat(np.arange(len(masses)), beads)
    axes = np.exp(0.3 * random.standard_normal((len(masses), 3)))
    axes *= (radius(masses) / np.cbrt(axes.prod(axis=1)))[:, None]
    offsets = random.standard_normal((len(which), 3))
    offsets *= (np.cbrt(random.random(len(which))) / np.linalg.norm(offsets, axis=1))[:, None]
    return Cloud(centres[which] + offsets * axes[which], (masses / beads)[which] * VOLTS_PER_KDA)


def radius(mass_kda: Array) -> Array:
    """Å of a ball of protein."""
    result: Array = np.cbrt(mass_kda * PROTEIN_VOLUME * 3 / (4 * np.pi))
    return result


def _masses(range_kda: tuple[float, float], number: int, *, random: np.random.Generator) -> Array:
    """Masses whose logarithms are spread evenly."""
    masses: Array = np.exp(random.uniform(np.log(range_kda[0]), np.log(range_kda[1]), number))
    return masses


def specks(recipe: SampleOptions, number: int, size: Array, *, random: np.random.Generator) -> Cloud:
    """Small compact proteins anywhere in ice of `size` Å; some are adsorbed to its two surfaces."""
    centres = random.random((number, 3)) * size
    adsorbed = random.random(number) < random.uniform(*recipe.adsorbed)
    depth = np.abs(random.normal(0, ADSORBED_DEPTH, number))
    centres[:, 0] = np.where(adsorbed, np.where(random.random(number) < 0.5, depth, size[0] - depth), centres[:, 0])
    return balls(centres, _masses(recipe.speck_mass, number, random=random), random=random)


def aggregate(recipe: SampleOptions, size: Array, *, random: np.random.Generator) -> Cloud:
    """A clump of background proteins somewhere in the ice: each touches one that was there before."""
    (whole,) = _masses(recipe.aggregate_mass, 1, random=random)
    masses = _masses(recipe.background_mass, int(np.ceil(whole / recipe.background_mass[0])), random=random)
    masses = masses[: np.searchsorted(np.cumsum(masses), whole) + 1]
    radii, centres = radius(masses), np.zeros((len(masses), 3))
    for i in range(1, len(masses)):
        neighbour = random.integers(i)
        direction = random.standard_normal(3)
        apart = radii[i] + radii[neighbour]
        centres[i] = centres[neighbour] + direction * (apart / np.linalg.norm(direction))
    return balls(centres + random.random(3) * size, masses, random=random)


def filament(recipe: SampleOptions, size: Array, *, random: np.random.Generator) -> Cloud:
    """A thread of protein density that bends within the plane of the ice, or, if it is wide, a tube with a `WALL`."""
    wide = float(random.uniform(*recipe.filament_radius))
    steps = int(random.uniform(*FILAMENT_LENGTH) / STEP)
    angles = random.uniform(0, 2 * np.pi) + np.cumsum(np.sqrt(STEP / STIFFNESS) * random.standard_normal(steps))
    along = np.stack([np.zeros(steps), np.sin(angles), np.cos(angles)], axis=1)
    axis = random.random(3) * size + STEP * np.cumsum(along, axis=0)
    inner = max(0.0, wide - WALL)
    mass = np.pi * (wide**2 - inner**2) * STEP / PROTEIN_VOLUME
    beads = int(np.ceil(mass / BEAD_KDA))
    which = np.repeat(np.arange(steps), beads)
    out = np.sqrt(random.uniform(inner**2, wide**2, len(which)))
    turn = random.uniform(0, 2 * np.pi, len(which))
    across = along[which][:, [0, 2, 1]] * [0, 1, -1]
    up = np.array([1.0, 0.0, 0.0])
    zyx = axis[which] + out[:, None] * (np.cos(turn)[:, None] * across + np.sin(turn)[:, None] * up)
    zyx += STEP * random.uniform(-0.5, 0.5, (len(which), 1)) * along[which]
    return Cloud(zyx, np.full(len(which), mass / beads * VOLTS_PER_KDA))


def film(cover: float, size: Array, *, random: np.random.Generator) -> Cloud:
    """Denatured protein on both surfaces of the ice, `cover` mg/m² where it is, in patches on half of each."""
    beads = round(cover * KDA_OF_MG / BEAD_KDA * 2 * float(size[1] * size[2]))
    zyx = random.random((beads, 3)) * size
    top = random.random(beads) < 0.5
    shape = np.ceil(size[1:] / FILM_PATCH * 4).astype(int) + 1
    patches = [ndimage.gaussian_filter(random.standard_normal(shape), 4, mode="wrap") for _ in range(2)]
    at = tuple((zyx[:, 1:] / FILM_PATCH * 4).astype(int).T)
    covered = np.where(top, patches[0][at], patches[1][at]) > 0
    depth = np.abs(random.normal(0, FILM_DEPTH, beads))
    zyx[:, 0] = np.where(top, depth, size[0] - depth)
    return Cloud(zyx[covered], np.full(int(covered.sum()), BEAD_KDA * VOLTS_PER_KDA))


def lump(recipe: SampleOptions, size: Array, *, random: np.random.Generator) -> Cloud:
    """Contamination on one of the surfaces: half an ellipsoid of ice crystals, as high as half its diameter."""
    wide = float(random.uniform(*recipe.contamination_diameter)) / 2
    axes = wide * random.uniform(0.6, 1.0, 3)
    beads = int(np.ceil(2 / 3 * np.pi * axes.prod() / GRAIN**3))
    offsets = random.standard_normal((beads, 3))
    offsets *= np.cbrt(random.random((beads, 1))) / np.linalg.norm(offsets, axis=1, keepdims=True)
    zyx = random.random(3) * size + offsets * axes
    height = np.abs(offsets[:, 0] * axes[0])
    zyx[:, 0] = -height if random.random() < 0.5 else size[0] + height
    return Cloud(zyx, np.full(beads, WATER_VOLTS * GRAIN**3))


def cloud_phase(
    cloud: Cloud, acquisition: Acquisition, recipe: MicroscopeOptions, *, field: Field, extent: Array
) -> Tensor:
    """Phase contrast `(tilts, y, x)` in radians of a cloud in a tomogram of `extent` Å, after contrast transfer.

    Every bead is drawn twice, into an image with the contrast transfer of the highest beads and one of the lowest, with
    weights by its height: between them the transfer is nearly linear (0.2 µm of defocus are 0.3 radians at 20 Å).
    """
    beam = acquisition.true().projection_matrices.float()
    points = torch.from_numpy(cloud.zyx - extent / 2).float()
    volts = torch.from_numpy(cloud.volts).float() * (interaction(recipe.voltage) / field.pixel**2)
    images, ends = torch.zeros(2, len(beam), *field.shape), torch.zeros(2, len(beam))
    for tilt, matrix in enumerate(beam):
        seen = points @ matrix[:3, :3].T + matrix[:3, 3]
        height = seen[:, 0]
        ends[0, tilt], ends[1, tilt] = height.min(), height.max()
        share = (height - ends[0, tilt]) / (ends[1, tilt] - ends[0, tilt]).clamp(min=1.0)
        at = seen[:, 1:] / field.pixel + (torch.tensor(field.shape) - 1) / 2
        images[:, tilt] = _drawn(at, volts * torch.stack([1 - share, share]), field.shape)
    defocus = torch.tensor(acquisition.defocus, dtype=torch.float32) - ends * 1e-4
    transfer = contrast_transfer(acquisition, recipe, defocus=defocus, shape=field.shape, pixel=field.pixel)
    blur = max(BEAD_SIZE**2 - field.pixel**2 / 6, 0.0)  # pixels that share a bead blur it, too
    size = torch.exp(-2 * blur * (torch.pi * frequencies(field.shape, field.pixel)) ** 2)
    phase: Tensor = torch.fft.irfft2((torch.fft.rfft2(images) * transfer).sum(dim=0) * size, s=field.shape)
    return phase


def _drawn(at: Tensor, weights: Tensor, shape: tuple[int, int]) -> Tensor:
    """Images `(k, y, x)` of points `(n, 2)` with weights `(k, n)`; four pixels share each point."""
    images = torch.zeros(len(weights), shape[0] * shape[1])
    low = at.floor()
    for corner in ((0, 0), (0, 1), (1, 0), (1, 1)):
        pixel = low + torch.tensor(corner)
        within = ((pixel >= 0) & (pixel < torch.tensor(shape))).all(dim=1)
        part = weights * (1 - (at - pixel).abs()).prod(dim=1)
        index = (pixel[:, 0] * shape[1] + pixel[:, 1]).long()
        images.index_add_(1, index[within], part[:, within])
    return images.reshape(-1, *shape)
