"""A whole simulated run: from a recipe and a seed to a tomogram and its true picks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tomosoup.errors import InputError
from tomosoup.io.mrc import read_mrc
from tomosoup.normalisation import standardise
from tomosoup.recipes.simulation import SimulationRecipe
from tomosoup.simulation.layout import random_layout, with_random_orientations
from tomosoup.simulation.reconstruction import reconstruct
from tomosoup.simulation.structures import built_in, from_map, support_radius
from tomosoup.simulation.tilts import expose, project, tilt_series
from tomosoup.types import Picks, Progress, Volume, quiet


@dataclass(frozen=True)
class Scene:
    """A tomogram and the poses that it was made from, both in Å from the outer corner of voxel 0 (copick's rule)."""

    volume: Volume
    truth: dict[str, Picks]


def simulate(
    recipe: SimulationRecipe = SimulationRecipe(),  # noqa: B008 - immutable
    *,
    seed: int,
    at: Mapping[str, Picks] | None = None,
    progress: Progress = quiet,
) -> Scene:
    """Simulate one run; the same recipe and seed give the same voxels.

    Particles are placed by the recipe's concentrations, or `at` given positions, which are taken as they are (turned at
    random where they bring no orientation). Particles are dark; mean 0, deviation 1.

    Raises `InputError` for species without a shape, maps that cannot be read and particles that do not fit.
    """
    places, noise = np.random.SeedSequence(seed).spawn(2)
    random = np.random.default_rng(places)
    extent = np.array(recipe.shape) * recipe.voxel_size
    names = list(at if at is not None else recipe.concentration)
    if unknown := sorted(set(recipe.maps) - set(names)):
        raise InputError(f"There are maps for {', '.join(unknown)}, but no concentration: give both.")
    maps = structure_maps(names, recipe)
    if at is None:
        radii = {name: support_radius(density, voxel_size=recipe.voxel_size) for name, density in maps.items()}
        counts = {n: round(c * float(np.prod(extent)) * 1e-12) for n, c in recipe.concentration.items()}
        truth = random_layout(counts, radii=radii, extent=extent, random=random)
    else:
        truth = {
            n: p if p.rotations is not None else with_random_orientations(p.zyx, random=random) for n, p in at.items()
        }
    about_centre = {name: Picks(p.zyx - extent / 2, p.score, p.rotations) for name, p in truth.items()}
    projections = project(maps, about_centre, recipe, progress=progress)
    images = expose(projections, recipe, random=torch.Generator().manual_seed(int(noise.generate_state(1)[0])))
    data = reconstruct(images, tilt_series(recipe), recipe.shape, progress=progress)
    half = recipe.voxel_size / 2
    return Scene(standardise(Volume(data, recipe.voxel_size, (half, half, half))), truth)


def structure_maps(names: Sequence[str], recipe: SimulationRecipe) -> dict[str, Tensor]:
    """A density map `(n, n, n)` for each name: from its file where the recipe has one, else built in."""
    return {
        name: from_map(
            read_mrc(recipe.maps[name]),
            voxel_size=recipe.voxel_size,
            scale=recipe.map_scale.get(name, 1.0),
            mass_kda=recipe.map_mass.get(name),
        )
        if name in recipe.maps
        else built_in(name, voxel_size=recipe.voxel_size)
        for name in names
    }
