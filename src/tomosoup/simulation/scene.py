"""A whole simulated run: from a recipe and a seed to a tomogram and its true picks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tomosoup.errors import InputError
from tomosoup.io.mrc import read_mrc
from tomosoup.io.new_project import new_project
from tomosoup.io.tables import read_csv
from tomosoup.normalisation import standardise
from tomosoup.recipes.commands import SimulateCommand
from tomosoup.recipes.simulation import SimulationRecipe
from tomosoup.recipes.species import CONTEST_SPECIES
from tomosoup.simulation.layout import random_layout, with_random_orientations
from tomosoup.simulation.reconstruction import RECONSTRUCTING, reconstruct
from tomosoup.simulation.structures import built_in, from_map, support_radius
from tomosoup.simulation.tilts import expose, project, tilt_series
from tomosoup.types import Picks, Progress, Species, Volume, quiet

RUNS_A_SEED = 100_000
"""Projects of neighbouring seeds share no run unless they have more runs than this."""
STEPS = 100
"""Parts of a run that its progress is told in: half for projecting, half for reconstructing."""


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
    if at is None and (unknown := sorted(set(recipe.maps) - set(names))):
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


def simulate_project(options: SimulateCommand, *, progress: Progress = quiet) -> list[str]:
    """Simulate a project as the `simulate` command is told; returns the names of its runs.

    The folder appears once all runs are written. Raises `InputError` as `simulate` does, and where the folder exists.
    """
    recipe = options.simulation
    layouts = dict(_like(options)) if options.like else {f"run_{i:03d}": None for i in range(options.runs)}
    names = [*recipe.concentration] if not options.like else sorted({n for at in layouts.values() for n in at or ()})
    known = {s.name: s for s in CONTEST_SPECIES}
    maps = structure_maps(names, recipe)
    species = [
        known[n] if n in known else Species(n, support_radius(maps[n], voxel_size=recipe.voxel_size)) for n in names
    ]
    with new_project(options.out, species, contest=options.contest, overwrite=options.overwrite) as project:
        for i, (run, at) in enumerate(layouts.items()):

            def report(what: str, done: int, total: int, i: int = i, run: str = run) -> None:
                share = done / total / 2 + (what == RECONSTRUCTING) / 2
                progress(f"Simulating ({run})", round((i + share) * STEPS), len(layouts) * STEPS)

            scene = simulate(recipe, seed=options.seed * RUNS_A_SEED + i, at=at, progress=report)
            project.add_run(run, scene.volume, scene.truth, kind=options.kind)
    return list(layouts)


def _like(options: SimulateCommand) -> Iterator[tuple[str, dict[str, Picks]]]:
    """The runs of a table of picks, species by species, as layouts."""
    assert options.like is not None
    table = read_csv(options.like)
    if unknown := sorted(set(options.like_runs) - set(table)):
        raise InputError(f"{options.like} has no run {', '.join(unknown)}; it has {', '.join(table)}.")
    for run in options.like_runs or table:
        yield run, table[run]
