"""A second look, with density maps, at places that a model picks as two species: the map that fits worse loses.

A net is quick to say that something of the right size is there, and slow to learn which of two kinds it is. For one
place that question is cheap to answer: each map is turned into many orientations, its missing wedge is taken away, and
the loudest correlations about the place are compared, as in template matching (Frangakis et al., PNAS 99, 2002).
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

from tomosoup.core.errors import InputError, counted
from tomosoup.core.types import Array, Picks, PicksBySpecies, Slices, Species, Volume
from tomosoup.data.volumes.mrc import read_mrc
from tomosoup.data.volumes.resampling import resampled
from tomosoup.data.volumes.voxel_size import same_voxel_size
from tomosoup.inference.options.templates import TemplateOptions
from tomosoup.inference.readout.matched_filter import Whitening, around
from tomosoup.simulation.specimen.density_maps import from_map, support_radius

REACH = 30.0
"""How far (Å) from a pick a particle's middle is looked for."""
FINEST = 10.0
"""Å. Tomograms of smaller voxels are resampled to these: what tells species apart at such noise is coarser still."""
RIM = 10.0
"""What is looked at reaches this far (Å) beyond the largest map."""
AT_ONCE = 50
"""Templates that are made at a time."""


Maps = Mapping[str, Volume]
"""By species, its density map, bright where matter is."""


def read_maps(folder: Path, species: Sequence[str]) -> dict[str, Volume]:
    """The maps SPECIES.mrc of a folder, in the order of `species`.

    Raises `InputError` for files that bear no species' name, cannot be read or hold zeros only, and where there are
    not two.
    """
    files = {path.stem: path for path in sorted(folder.glob("*.mrc"))}
    called = ", ".join(species)
    if unknown := files.keys() - set(species):
        raise InputError(
            f"{files[min(unknown)]} bears the name of none of the species ({called}): rename or remove it."
        )
    if len(files) < 2:
        raise InputError(
            f"{folder} has {counted(len(files), 'density map')}; expected two or more, named after species that are "
            f"taken for each other: SPECIES.mrc ({called})."
        )
    maps = {name: read_mrc(files[name]) for name in species if name in files}
    for name, density in maps.items():
        if not density.data.any() or not density.data.isfinite().all():
            raise InputError(f"{files[name]} holds zeros only, or values that are not finite; expected a density map.")
    return maps


def fingerprints(maps: Maps) -> dict[str, str]:
    """SHA-256 of each map's voxels and their size."""
    return {
        name: sha256(np.float64(m.voxel_size).tobytes() + m.data.contiguous().numpy().tobytes()).hexdigest()
        for name, m in maps.items()
    }


def check_with_templates(
    picks: PicksBySpecies, source: Slices, species: Sequence[Species], maps: Maps, recipe: TemplateOptions
) -> dict[str, Picks]:
    """The picks without those that stand where another species is picked, too, whose map fits better.

    Two picks are of one place where they are nearer than the smaller of the two species' radii. Matter is dark in the
    `(z, y, x)` source. Species without a map keep their picks.
    """
    radii = {kind.name: kind.radius for kind in species}
    mapped = [name for name in picks if name in maps]
    rivals = {
        name: {
            other: near(picks[name], picks[other], within=min(radii[name], radii[other]))
            for other in mapped
            if other != name
        }
        for name in mapped
    }
    kept = dict(picks)
    contested = {name: np.any(list(others.values()), axis=0) for name, others in rivals.items() if others}
    if not any(places.any() for places in contested.values()):
        return kept
    templates = Templates.of(source, {name: maps[name] for name in mapped}, recipe)
    for name, places in contested.items():
        stays = np.ones(len(picks[name]), dtype=bool)
        for i in np.flatnonzero(places):
            others = [other for other, at in rivals[name].items() if at[i]]
            fits = templates.fits(picks[name].zyx[i], [name, *others])
            stays[i] = fits[name] * (1 + recipe.margin) >= max(fits.values())
        kept[name] = picks[name].where(stays)
    return kept


def near(picks: Picks, others: Picks, *, within: float) -> NDArray[np.bool_]:
    """`(n,)`: whether one of `others` is nearer than `within` Å."""
    if not len(picks) or not len(others):
        return np.zeros(len(picks), dtype=bool)
    away, _ = KDTree(others.zyx).query(picks.zyx)
    return np.asarray(away) < within


@dataclass(frozen=True)
class Templates:
    """Maps in many orientations, to hold against places of one tomogram."""

    volume: Volume
    loud: Tensor
    """The tomogram with matter bright, of mean 0 and deviation 1."""
    power: Tensor
    """The tomogram's mean power by frequency, in steps of one over `side` voxels; missing wedge left out."""
    ball: Tensor
    """`(side, side, side)`: what is compared."""
    banks: Mapping[str, Tensor]
    """By species `(orientations, voxels of the ball)`, each of norm 1."""
    recipe: TemplateOptions

    @classmethod
    def of(cls, source: Slices, maps: Maps, recipe: TemplateOptions) -> Templates:
        """For a tomogram; some seconds, which its first contested place waits for."""
        if source.voxel_size < FINEST and not same_voxel_size(source.voxel_size, FINEST):
            volume = resampled(source, FINEST)
        else:
            volume = Volume(source.slices(0, source.shape[0]), source.voxel_size, source.origin)
        size = volume.voxel_size
        densities = {name: from_map(density, voxel_size=size) for name, density in maps.items()}
        radius = (max(support_radius(m, voxel_size=size) for m in densities.values()) + RIM) / size
        side = odd_fast_size(2 * int(np.ceil(radius)) + 1)
        loud = (volume.data.mean() - volume.data) / volume.data.std()
        power = Whitening.of(loud, side=min(side, *volume.shape), random=np.random.default_rng(0)).amplitude.pow(-2)
        frequency, seen = grid(power.shape[0], recipe.tilt_limit)
        ring = (frequency * side).round().long()
        total, number = (
            torch.zeros(int(ring.max()) + 1).index_add_(0, ring[seen], what[seen])
            for what in (power, torch.ones_like(power))
        )
        axis = torch.arange(side) - side // 2.0
        ball = (radius + 0.5 - (axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2).sqrt()).clamp(0, 1)
        turns = torch.from_numpy(orientations(recipe.orientations)).float()
        banks = {
            name: torch.cat([shown(density, some, ball, recipe.tilt_limit) for some in torch.split(turns, AT_ONCE)])
            for name, density in densities.items()
        }
        return cls(volume, loud, total / number.clamp(min=1), ball, banks, recipe)

    def fits(self, zyx: Array, names: Sequence[str]) -> dict[str, float]:
        """How loud each named map is about a place (Å): the highest over orientations and shifts, to be compared."""
        side, reach = self.ball.shape[0], round(REACH / self.volume.voxel_size)
        middle = np.round(self.volume.to_voxel(zyx)).astype(int)
        cube = self.flattened(around(self.loud, middle - side // 2 - 2 * reach, side + 4 * reach))[reach:-reach]
        windows = cube[:, reach:-reach, reach:-reach].unfold(0, side, 1).unfold(1, side, 1).unfold(2, side, 1)
        axis = torch.arange(-reach, reach + 1)
        close = axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2 <= reach**2
        inside = self.ball > 0
        seen = windows[close][:, inside] * self.ball[inside]
        return {name: float((seen @ self.banks[name].T).max()) for name in names}

    def flattened(self, cube: Tensor) -> Tensor:
        """A cube whose spectrum is divided by the root of the tomogram's amplitude: halfway to white."""
        frequency, seen = grid(cube.shape[0], self.recipe.tilt_limit)
        ring = (frequency * self.ball.shape[0]).round().long().clamp(max=len(self.power) - 1)
        gain = self.power.clamp(min=1e-4 * float(self.power.max()))[ring].pow(-0.25) * seen
        flat: Tensor = torch.fft.irfftn(torch.fft.rfftn(cube) * gain, s=cube.shape)
        return flat


def shown(density: Tensor, turns: Tensor, ball: Tensor, tilt_limit: float) -> Tensor:
    """A map `(n, n, n)` in orientations `(t, 3, 3)` (z, y, x), as a tomogram shows it: `(t, voxels of the ball)`."""
    side, n = ball.shape[0], density.shape[0]
    back = turns.transpose(1, 2).flip(1, 2) * (side - 1) / (n - 1)  # grid_sample's axes are x, y, z, from -1 to 1
    places = F.affine_grid(F.pad(back, (0, 1)), [len(turns), 1, side, side, side], align_corners=True)
    turned = F.grid_sample(density.expand(len(turns), 1, n, n, n), places, align_corners=True)[:, 0]
    axes = (1, 2, 3)
    seen = torch.fft.irfftn(torch.fft.rfftn(turned, dim=axes) * grid(side, tilt_limit)[1], s=ball.shape, dim=axes)
    inside = ball > 0
    return F.normalize(seen[:, inside] * ball[inside], dim=1)


def grid(side: int, tilt_limit: float) -> tuple[Tensor, Tensor]:
    """Of rfftn of a cube: each place's frequency (cycles a voxel), and whether tilts about y up to the limit see it."""
    whole, half = torch.fft.fftfreq(side), torch.fft.rfftfreq(side)
    z, y, x = torch.meshgrid(whole, whole, half, indexing="ij")
    frequency = (z**2 + y**2 + x**2).sqrt()
    return frequency, z.abs() <= np.tan(np.radians(tilt_limit)) * x + 0.5 / side


def orientations(number: int) -> Array:
    """`(number, 3, 3)` rotations that lie evenly (Alexa, "Super-Fibonacci spirals", CVPR 2022)."""
    phi, psi = np.sqrt(2.0), 1.533751168755204288118041  # psi**4 = psi + 4
    step = np.arange(number) + 0.5
    a, b = 2 * np.pi * step / phi, 2 * np.pi * step / psi
    r, s = np.sqrt(step / number), np.sqrt(1 - step / number)
    turns: Array = Rotation.from_quat(
        np.stack([r * np.sin(a), r * np.cos(a), s * np.sin(b), s * np.cos(b)], axis=1)
    ).as_matrix()
    return turns


def odd_fast_size(least: int) -> int:
    """The first odd size from `least` on that a Fourier transform is quick for."""
    return next(n for n in range(least | 1, 2 * least + 10, 2) if next_fast_len(n) == n)
