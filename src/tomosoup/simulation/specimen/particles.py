"""The maps of each species: where they come from, and how a species' particles differ from one another.

Maps are potentials `(n, n, n)` in V above that of water, n odd, with the particle's centre on the centre voxel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from tomosoup.core.errors import InputError
from tomosoup.core.types import Array
from tomosoup.data.volumes.files import read_volume
from tomosoup.simulation.options.recipe import SimulationRecipe
from tomosoup.simulation.specimen.atomic_models import read_model
from tomosoup.simulation.specimen.built_in import SHAPES, VOLTS_PER_KDA, built_in, trimmed
from tomosoup.simulation.specimen.density_maps import centred, from_map, inside, near_zero_removed
from tomosoup.simulation.specimen.potential import NUCLEIC_VOLUME, potential

BEND_LENGTH = 40.0
"""Å over which the random displacements of a flexible particle change (standard deviation of a Gaussian): about the
radius of a protein domain of 200 kDa."""
STRAND = 10.0
"""Å: radius of the strands that a filling is made of, as of a double helix of RNA."""
LAYER, LAYER_DENSITY = 25.0, 2.0
"""Å below the shell in which a filling is so many times as dense as further in. In MS2 most of the RNA lies next to the
coat (Koning et al. 2016, Dai et al. 2017); the factor is an estimate."""
LOST = (0.15, 0.5)
"""Fractions of its mass that a broken particle lacks."""


@dataclass(frozen=True)
class Variety:
    """One of the shapes in which a species occurs in a run."""

    density: Tensor
    drawn: dict[str, Any]
    """How it differs from the species' map, as JSON can hold it."""


def structure_maps(names: Sequence[str], recipe: SimulationRecipe) -> dict[str, Tensor]:
    """The map of each species as it is: from the recipe's atomic model, else its density map, else the built-in shape.

    Raises `InputError` for files that cannot be read and names without a shape.
    """
    return {name: _sources(name, recipe)[0]() for name in names}


def draw_varieties(name: str, recipe: SimulationRecipe, *, random: np.random.Generator) -> list[Variety]:
    """The shapes of a species in one run: at least one from each of its sources, each varied as the recipe says.

    Raises `InputError` as `structure_maps` does, and for a filling of a particle that encloses no space.
    """
    sources = _sources(name, recipe)
    number = max(recipe.particles.varieties, len(sources))
    maps = [source() for source in sources]
    if name not in (*recipe.structures, *recipe.maps):  # a built-in shape has a grain that can be drawn again
        again = partial(built_in, name, voxel_size=recipe.voxel_size)
        maps += [centred(again(seed=int(random.integers(2**31)))) for _ in range(number - 1)]
    return [_varied(maps[i % len(maps)], name, recipe, random=random) for i in range(number)]


def _sources(name: str, recipe: SimulationRecipe) -> list[Callable[[], Tensor]]:
    """What makes the species' map: one function for each of its sources."""
    size = recipe.voxel_size

    def from_structure() -> Tensor:
        return centred(potential(read_model(recipe.structures[name]), voxel_size=size))

    def from_density() -> Tensor:
        scale, mass = recipe.map_scale.get(name, 1.0), recipe.map_mass.get(name)
        return from_map(read_volume(recipe.maps[name]), voxel_size=size, scale=scale, mass_kda=mass)

    def from_shape() -> Tensor:
        return centred(built_in(name, voxel_size=size))

    sources = [from_structure] if name in recipe.structures else []
    sources += [from_density] if name in recipe.maps else []
    if not sources or (recipe.particles.also_built_in and name in SHAPES):
        sources.append(from_shape)
    return sources


def _varied(density: Tensor, name: str, recipe: SimulationRecipe, *, random: np.random.Generator) -> Variety:
    """A map with what the recipe puts into it, in another size, bent, in another mass and perhaps broken."""
    options, size, volts = recipe.particles, recipe.voxel_size, density.double().numpy()
    drawn: dict[str, Any] = {}
    if name in options.filling and random.random() >= options.empty:
        drawn["filling"] = float(random.uniform(*options.filling[name]))
        volts = filled(volts, drawn["filling"], name, voxel_size=size, random=random)
    if options.size_spread or options.deformation:
        scale = 1 + options.size_spread * (random.standard_normal() + random.standard_normal(3)) / np.sqrt(2)
        drawn["size"] = scale.tolist()
        volts = deformed(volts, scale, options.deformation, voxel_size=size, random=random)
    if options.mass_spread:
        drawn["mass"] = float(np.exp(options.mass_spread * random.standard_normal()))
        volts = volts * drawn["mass"]
    if options.broken and random.random() < options.broken:
        drawn["lost"] = float(random.uniform(*LOST))
        volts = without_a_part(volts, drawn["lost"], random=random)
    return Variety(torch.from_numpy(volts.astype(np.float32)), drawn)


def filled(density: Array, mass_kda: float, name: str, *, voxel_size: float, random: np.random.Generator) -> Array:
    """A shell with grainy matter of `mass_kda` inside, as a capsid with RNA.

    Half of the space stays empty, and the rest is uneven: strands of `STRAND` Å, by a Gaussian random field above 0,
    denser in a `LAYER` next to the shell.
    Potential by mass is that of protein (RNA has 1 % more). Raises `InputError` if the map encloses too little space.
    """
    space = inside(density)
    if space.sum() * voxel_size**3 < mass_kda * 1000 * NUCLEIC_VOLUME:
        raise InputError(
            f"The map of {name} encloses {space.sum() * voxel_size**3 / 1000:.0f} nm³, too little for a filling of "
            f"{mass_kda:.0f} kDa: lower its `particles.filling`, or leave it out there."
        )
    field = ndimage.gaussian_filter(random.standard_normal(density.shape), STRAND / voxel_size)
    depth = ndimage.distance_transform_edt(space) * voxel_size
    grain = np.where(space, np.clip(field, 0, None), 0.0) * np.where(depth < LAYER, LAYER_DENSITY, 1.0)
    result: Array = density + grain * (mass_kda * VOLTS_PER_KDA / (grain.sum() * voxel_size**3))
    return result


def deformed(density: Array, scale: Array, bend: float, *, voxel_size: float, random: np.random.Generator) -> Array:
    """A map `scale` `(3,)` times as large along its axes and bent at random, with the same sum.

    Every point moves by `bend` Å (root mean square in the particle's matter), neighbours alike (`BEND_LENGTH`).
    """
    reach = density.shape[0] // 2 * max(float(scale.max()) - 1, 0.0) + 3 * bend / voxel_size
    wide = np.pad(density, int(np.ceil(reach)) + 1)
    at = (np.indices(wide.shape) - wide.shape[0] // 2) / scale[:, None, None, None]
    if bend:
        field = random.standard_normal(at.shape)
        field = ndimage.gaussian_filter(field, (0, *[BEND_LENGTH / voxel_size] * 3), mode="wrap")
        weight = np.abs(wide) / np.abs(wide).sum()
        field -= (field * weight).sum(axis=(1, 2, 3), keepdims=True)
        at += field * (bend / voxel_size / np.sqrt((field**2 * weight).sum()))
    moved = near_zero_removed(ndimage.map_coordinates(wide, at + wide.shape[0] // 2))
    return trimmed(moved * (density.sum() / moved.sum()))


def without_a_part(density: Array, lost: float, *, random: np.random.Generator) -> Array:
    """A particle that lacks all beyond a random plane: the fraction `lost` of its mass."""
    normal = random.standard_normal(3)
    along = np.tensordot(normal / np.linalg.norm(normal), np.indices(density.shape), axes=1)
    order = np.argsort(along, axis=None)
    kept = np.cumsum(np.abs(density).ravel()[order])
    edge = along.ravel()[order[np.searchsorted(kept, (1 - lost) * kept[-1])]]
    return trimmed(density * np.clip(edge - along + 0.5, 0, 1))
