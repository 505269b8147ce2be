"""Template check: where a model picks two species at one position, density maps decide which pick remains.

Networks learn quickly that a particle of some size is present, and slowly which of two similar species it is. Template
matching answers this at one position at little cost: it correlates each map with the tomogram in many orientations,
with the missing wedge applied, and compares the highest correlations (Frangakis et al., PNAS 99, 2002).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.fft import next_fast_len
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation
from torch import Tensor

from tomosoup.core.errors import InputError
from tomosoup.core.types import Array, Picks, PicksBySpecies, Slices, Species, Volume
from tomosoup.data.volumes.files import read_volume, volume_files
from tomosoup.data.volumes.resampling import resampled
from tomosoup.data.volumes.voxel_size import same_voxel_size
from tomosoup.inference.options.templates import TemplateOptions
from tomosoup.inference.readout.matched_filter import Whitening, cube_at
from tomosoup.simulation.specimen.density_maps import from_map, support_radius

SEARCH_RADIUS = 30.0
"""Distance (Å) from a pick within which the centre of the particle is searched."""
SMALLEST_VOXEL_SIZE = 10.0
"""Å. Tomograms with smaller voxels are resampled to this size: the noise hides finer differences between species."""
PADDING = 10.0
"""Distance (Å) by which the compared sphere exceeds the largest map."""
BATCH = 50
"""Templates computed at a time."""

Maps = Mapping[str, Volume]
"""Species name -> density map with bright particles."""


def read_maps(folder: Path, species: Sequence[str]) -> dict[str, Volume]:
    """The maps SPECIES.mrc (or another format that `volume_files` finds) of a folder, in the order of `species`.

    Raises `InputError` for fewer than two maps, and for files that are not named like a species, cannot be read, hold
    only zeros or hold values that are not finite.
    """
    found = volume_files(folder)
    files = found.by_name
    expected = ", ".join(species)
    if unknown := files.keys() - set(species):
        raise InputError(
            f"{files[min(unknown)]} is not named like one of the species ({expected}): rename or remove it."
        )
    if len(files) < 2:
        raise InputError(
            f"Expected a density map SPECIES.mrc for two or more similar species in {folder}, got {len(files)} (the "
            f"species are {expected}). {found.message}".rstrip()
        )
    maps = {name: read_volume(files[name]) for name in species if name in files}
    for name, density in maps.items():
        if not density.data.any() or not density.data.isfinite().all():
            raise InputError(f"{files[name]} holds only zeros, or values that are not finite; expected a density map.")
    return maps


def fingerprints(maps: Maps) -> dict[str, str]:
    """SHA-256 of the voxel size and the voxels of each map, by species."""
    return {
        name: sha256(np.float64(m.voxel_size).tobytes() + m.data.contiguous().numpy().tobytes()).hexdigest()
        for name, m in maps.items()
    }


def check_with_templates(
    picks: PicksBySpecies, source: Slices, species: Sequence[Species], maps: Maps, recipe: TemplateOptions
) -> dict[str, Picks]:
    """The picks, without those at whose position a second species is picked whose map fits better.

    Two picks share a position if they are closer than the smaller of the two radii. Particles are dark in `source`
    `(z, y, x)`. Species without a map keep their picks.
    """
    radii = {s.name: s.radius for s in species}
    mapped = [name for name in picks if name in maps]
    shared = {
        name: {
            other: has_neighbour(picks[name], picks[other], within=min(radii[name], radii[other]))
            for other in mapped
            if other != name
        }
        for name in mapped
    }
    kept = dict(picks)
    ambiguous = {name: np.any(list(others.values()), axis=0) for name, others in shared.items() if others}
    if not any(flags.any() for flags in ambiguous.values()):
        return kept
    templates = Templates.of(source, {name: maps[name] for name in mapped}, recipe)
    for name, flags in ambiguous.items():
        keep = np.ones(len(picks[name]), dtype=bool)
        for i in np.flatnonzero(flags):
            others = [other for other, close in shared[name].items() if close[i]]
            correlations = templates.best_correlations(picks[name].zyx[i], [name, *others])
            keep[i] = correlations[name] * (1 + recipe.margin) >= max(correlations.values())
        kept[name] = picks[name].where(keep)
    return kept


def has_neighbour(picks: Picks, others: Picks, *, within: float) -> NDArray[np.bool_]:
    """`(n,)`: whether a pick has one of `others` within `within` Å."""
    if not len(picks) or not len(others):
        return np.zeros(len(picks), dtype=bool)
    distance, _ = KDTree(others.zyx).query(picks.zyx)
    return np.asarray(distance) < within


@dataclass(frozen=True)
class Templates:
    """Density maps in many orientations, to compare with positions of one tomogram."""

    volume: Volume
    bright: Tensor
    """`(z, y, x)`: the tomogram with bright particles, mean 0 and standard deviation 1."""
    power: Tensor
    """Mean power of the tomogram by frequency, in steps of 1 / `side` cycles per voxel, without the missing wedge."""
    mask: Tensor
    """`(side, side, side)`: the sphere of voxels that is compared."""
    banks: Mapping[str, Tensor]
    """Species name -> templates `(orientations, voxels of the mask)`, each of norm 1."""
    recipe: TemplateOptions

    @classmethod
    def of(cls, source: Slices, maps: Maps, recipe: TemplateOptions) -> Templates:
        """The templates for one tomogram. Takes some seconds."""
        if source.voxel_size < SMALLEST_VOXEL_SIZE and not same_voxel_size(source.voxel_size, SMALLEST_VOXEL_SIZE):
            volume = resampled(source, SMALLEST_VOXEL_SIZE)
        else:
            volume = Volume(source.slices(0, source.shape[0]), source.voxel_size, source.origin)
        size = volume.voxel_size
        densities = {name: from_map(density, voxel_size=size) for name, density in maps.items()}
        radius_vox = (max(support_radius(m, voxel_size=size) for m in densities.values()) + PADDING) / size
        side = odd_fast_size(2 * int(np.ceil(radius_vox)) + 1)
        bright = (volume.data.mean() - volume.data) / volume.data.std()
        axis = torch.arange(side) - side // 2.0
        distance = (axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2).sqrt()
        mask = (radius_vox + 0.5 - distance).clamp(0, 1)
        rotations = torch.from_numpy(orientations(recipe.orientations)).float()
        banks = {
            name: torch.cat(
                [oriented(density, some, mask, recipe.tilt_limit) for some in torch.split(rotations, BATCH)]
            )
            for name, density in densities.items()
        }
        return cls(volume, bright, radial_power(bright, side, recipe.tilt_limit), mask, banks, recipe)

    def best_correlations(self, zyx: Array, names: Sequence[str]) -> dict[str, float]:
        """The highest correlation of each named map near a position (Å), over orientations and shifts."""
        side, reach = self.mask.shape[0], round(SEARCH_RADIUS / self.volume.voxel_size)
        centre = np.round(self.volume.to_voxel(zyx)).astype(int)
        cube = self.half_whitened(cube_at(self.bright, centre - side // 2 - 2 * reach, side + 4 * reach))[reach:-reach]
        windows = cube[:, reach:-reach, reach:-reach].unfold(0, side, 1).unfold(1, side, 1).unfold(2, side, 1)
        axis = torch.arange(-reach, reach + 1)
        close = axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2 <= reach**2
        inside = self.mask > 0
        compared = windows[close][:, inside] * self.mask[inside]
        return {name: float((compared @ self.banks[name].T).max()) for name in names}

    def half_whitened(self, cube: Tensor) -> Tensor:
        """A cube with its spectrum divided by the square root of the tomogram's amplitude."""
        frequency, sampled = fourier_grid(cube.shape[0], self.recipe.tilt_limit)
        shell = (frequency * self.mask.shape[0]).round().long().clamp(max=len(self.power) - 1)
        gain = self.power.clamp(min=1e-4 * float(self.power.max()))[shell].pow(-0.25) * sampled
        result: Tensor = torch.fft.irfftn(torch.fft.rfftn(cube) * gain, s=cube.shape)
        return result


def radial_power(bright: Tensor, side: int, tilt_limit: float) -> Tensor:
    """Mean power of a tomogram `(z, y, x)` by frequency, in steps of 1 / `side`, without the missing wedge."""
    whitening = Whitening.of(bright, side=min(side, *bright.shape), random=np.random.default_rng(0))
    power = whitening.amplitude.pow(-2)
    frequency, sampled = fourier_grid(power.shape[0], tilt_limit)
    shell = (frequency * side).round().long()
    total, number = (
        torch.zeros(int(shell.max()) + 1).index_add_(0, shell[sampled], values[sampled])
        for values in (power, torch.ones_like(power))
    )
    return total / number.clamp(min=1)


def oriented(density: Tensor, rotations: Tensor, mask: Tensor, tilt_limit: float) -> Tensor:
    """A map `(n, n, n)` in orientations `(r, 3, 3)` (zyx), with missing wedge: `(r, voxels of the mask)`, norm 1."""
    side, n = mask.shape[0], density.shape[0]
    inverse = rotations.transpose(1, 2).flip(1, 2) * (side - 1) / (n - 1)  # grid_sample's axes: x, y, z, from -1 to 1
    points = F.affine_grid(F.pad(inverse, (0, 1)), [len(rotations), 1, side, side, side], align_corners=True)
    rotated = F.grid_sample(density.expand(len(rotations), 1, n, n, n), points, align_corners=True)[:, 0]
    axes = (1, 2, 3)
    sampled = fourier_grid(side, tilt_limit)[1]
    seen = torch.fft.irfftn(torch.fft.rfftn(rotated, dim=axes) * sampled, s=mask.shape, dim=axes)
    inside = mask > 0
    return F.normalize(seen[:, inside] * mask[inside], dim=1)


def fourier_grid(side: int, tilt_limit: float) -> tuple[Tensor, Tensor]:
    """For a cube's rfftn: frequency (cycles per voxel), and whether tilts about y up to the limit sample it."""
    whole, half = torch.fft.fftfreq(side), torch.fft.rfftfreq(side)
    z, y, x = torch.meshgrid(whole, whole, half, indexing="ij")
    frequency = (z**2 + y**2 + x**2).sqrt()
    return frequency, z.abs() <= np.tan(np.radians(tilt_limit)) * x + 0.5 / side


def orientations(number: int) -> Array:
    """`(number, 3, 3)` evenly distributed rotations (Alexa, "Super-Fibonacci spirals", CVPR 2022)."""
    phi, psi = np.sqrt(2.0), 1.533751168755204288118041  # psi**4 = psi + 4
    step = np.arange(number) + 0.5
    a, b = 2 * np.pi * step / phi, 2 * np.pi * step / psi
    r, s = np.sqrt(step / number), np.sqrt(1 - step / number)
    rotations: Array = Rotation.from_quat(
        np.stack([r * np.sin(a), r * np.cos(a), s * np.sin(b), s * np.cos(b)], axis=1)
    ).as_matrix()
    return rotations


def odd_fast_size(least: int) -> int:
    """The smallest odd size >= `least` with a fast Fourier transform."""
    return next(n for n in range(least | 1, 2 * least + 10, 2) if next_fast_len(n) == n)
