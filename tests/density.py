"""Particles made by hand, and drawn straight into a volume: what the simulator is held against."""

import math
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from einops import einsum
from scipy import ndimage
from scipy.spatial.transform import Rotation
from torch import Tensor

from tomosoup.core.types import Array, Picks
from tomosoup.simulation.microscope.imaging import Field, project
from tomosoup.simulation.microscope.tilt_series import Acquisition, draw_acquisition
from tomosoup.simulation.options.microscope import MicroscopeOptions
from tomosoup.simulation.options.recipe import SimulationRecipe

PERFECT = MicroscopeOptions(
    defocus=(0, 0),
    defocus_error=0,
    spherical_aberration=0,
    amplitude_contrast=1,
    astigmatism=(0, 0),
    damage=False,
    mtf=1,
)
"""A microscope that shows the projected potential as it is."""


def blobs(*centres: tuple[float, float, float], n: int = 21, sigma: float = 1.3) -> Tensor:
    """A map of Gaussian blobs, each a tenth heavier than the one before, at zyx voxels from the middle voxel."""
    grid = np.indices((n, n, n)).T - n // 2
    squares = [((grid - c) ** 2).sum(axis=-1) for c in centres]
    density = sum((1 + i / 10) * np.exp(-s / (2 * sigma**2)) for i, s in enumerate(squares))
    return torch.from_numpy(np.asarray(density, dtype=np.float32).T.copy())


HANDED = blobs((0, 0, 0), (6, 0, 0), (0, 5, 0), (0, 0, 4), (-3, -5, 3))


def poses(n: int, seed: int) -> Array:
    """`(n, 3, 3)` random rotations."""
    rotations: Array = Rotation.random(n, rng=np.random.default_rng(seed)).as_matrix()
    return rotations


def placed(zyx: object, rotations: Array | None = None) -> Picks:
    """True picks, not turned unless `rotations` say so."""
    points = np.asarray(zyx, dtype=float).reshape(-1, 3)
    return Picks(
        points, np.ones(len(points)), np.tile(np.eye(3), (len(points), 1, 1)) if rotations is None else rotations
    )


def centre_of_mass(values: Tensor) -> Array:
    """In voxels or pixels."""
    return np.array(ndimage.center_of_mass(values.double().numpy()))


def peak_near(volume: Tensor, zyx_vox: Array) -> Array:
    """Where the bright spot nearest to a place is: the centre of mass of what exceeds half its maximum."""
    low = np.maximum(np.round(zyx_vox).astype(int) - 4, 0)
    part = volume.numpy()[tuple(slice(a, a + 9) for a in low)]
    spots, _ = ndimage.label(part > part.max() / 2)
    spot = spots == spots[np.unravel_index(part.argmax(), part.shape)]
    return low + np.array(ndimage.center_of_mass(np.where(spot, part - part.max() / 2, 0.0)))


def correlation(a: Tensor, b: Tensor) -> float:
    """Pearson's, over all voxels."""
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])


def acquired(microscope: MicroscopeOptions, *, seed: int = 0) -> Acquisition:
    """One tilt series of a microscope."""
    return draw_acquisition(microscope, random=np.random.default_rng(seed))


def projections(
    maps: Mapping[str, Tensor],
    particles: Mapping[str, Picks],
    recipe: SimulationRecipe,
    acquisition: Acquisition | None = None,
) -> Tensor:
    """`project` of a recipe's tomogram."""
    series = acquired(recipe.microscope) if acquisition is None else acquisition
    field = Field.of(recipe.shape, recipe.voxel_size, series)
    return project(maps, particles, series, recipe.microscope, field=field)


def density_volume(maps: Mapping[str, Tensor], particles: Mapping[str, Picks], recipe: SimulationRecipe) -> Tensor:
    """The particles as a noise-free `(z, y, x)` density without missing wedge, by trilinear interpolation."""
    volume = torch.zeros(recipe.shape)
    centre = (torch.tensor(recipe.shape) - 1) / 2
    for name, picks in particles.items():
        assert picks.rotations is not None
        for pose, place in zip(picks.rotations, picks.zyx / recipe.voxel_size + centre.numpy(), strict=True):
            _deposit(volume, maps[name], pose, place)
    return volume


def _deposit(volume: Tensor, density: Tensor, pose: Array, place: Array) -> None:
    """Add a turned map to the volume, in place, its middle voxel at `place` (voxels)."""
    n = density.shape[0]
    reach = math.ceil(n / 2 * math.sqrt(3)) + 1
    low = np.maximum(np.floor(place).astype(int) - reach, 0)
    high = np.minimum(np.floor(place).astype(int) + reach + 1, volume.shape)
    if (high <= low).any():
        return
    axes = [
        torch.arange(int(a), int(b), dtype=torch.float32) - float(p) for a, b, p in zip(low, high, place, strict=True)
    ]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    source = einsum(torch.tensor(pose, dtype=torch.float32), grid, "scope map, z y x scope -> z y x map")
    sampled = F.grid_sample(density[None, None], (source / (n // 2)).flip(-1)[None], align_corners=True)
    volume[tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))] += sampled[0, 0]
