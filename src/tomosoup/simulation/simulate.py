"""One simulated run: from a recipe and a seed to tomograms, their true picks and labels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tomosoup.core.progress import Progress, no_progress
from tomosoup.core.runtime import one_thread
from tomosoup.core.types import Array, Picks, PicksBySpecies, Volume
from tomosoup.data.volumes.normalisation import standardise
from tomosoup.simulation.annotator import annotated
from tomosoup.simulation.microscope.imaging import PROJECTING, Field, project
from tomosoup.simulation.microscope.reconstruction import RECONSTRUCTING, draw_processing
from tomosoup.simulation.microscope.tilt_series import Acquisition, draw_acquisition
from tomosoup.simulation.microscope.tomograms import tomograms
from tomosoup.simulation.options.recipe import SimulationRecipe
from tomosoup.simulation.specimen.clutter import cloud_phase, draw_cloud
from tomosoup.simulation.specimen.density_maps import support
from tomosoup.simulation.specimen.ice import Sample, carbon_phase, draw_sample, with_fragments
from tomosoup.simulation.specimen.layout import Component, OccupancyGrid, placed_at, random_layout
from tomosoup.simulation.specimen.particles import draw_varieties

UNLABELLED = 255
"""Label, in the occupancy grid, of all that is not a particle of a species."""
STEPS = (PROJECTING, RECONSTRUCTING)
"""The work that `simulate_run` reports to its `progress`, in this order."""


@dataclass(frozen=True)
class Scene:
    """Tomograms and the true picks in them, both in Å from the outer corner of voxel 0 (copick's rule)."""

    volumes: dict[str, Volume]
    """By tomogram type, each `(z, y, x)` with mean 0 and standard deviation 1, particles dark."""
    truth: dict[str, Picks]
    """By species, with rotations."""
    annotated: dict[str, Picks] | None
    """The picks with an annotator's errors, if the recipe has any."""
    labels: Volume
    """`(z, y, x)` uint8: 1 for the matter of the first species of `truth`, and so on; 0 elsewhere."""
    parameters: dict[str, Any] = field(repr=False)
    """The recipe, the seed and every value that was drawn, as JSON can hold them."""

    @property
    def volume(self) -> Volume:
        """The first tomogram."""
        return next(iter(self.volumes.values()))


def simulate_run(
    recipe: SimulationRecipe = SimulationRecipe(),  # noqa: B008 - immutable
    *,
    seed: int,
    at: Mapping[str, Picks] | None = None,
    progress: Progress = no_progress,
) -> Scene:
    """Simulate one run. The same recipe and seed give the same voxels, on any number of cores.

    Raises `InputError` for species without a shape, files that cannot be read and particles that do not fit.

    Args:
        recipe: particles, ice, microscope and reconstruction.
        seed: of all that is drawn.
        at: true picks by species, where particles are to be. They are used as they are, overlapping or not, and get
            random rotations where they have none. Without it particles are placed at random, by the recipe's
            concentrations.
        progress: called with each of `STEPS`.
    """
    with one_thread():
        return _simulate(recipe, seed=seed, at=at, progress=progress)


def _simulate(recipe: SimulationRecipe, *, seed: int, at: Mapping[str, Picks] | None, progress: Progress) -> Scene:
    positions, surroundings, microscope, noise, shapes, annotator = map(
        np.random.default_rng, np.random.SeedSequence(seed).spawn(6)
    )
    electrons = torch.Generator().manual_seed(int(noise.integers(2**62)))
    names = list(at if at is not None else recipe.concentrations)
    grid = OccupancyGrid(recipe.shape, recipe.voxel_size)
    acquisition = draw_acquisition(recipe.microscope, random=microscope)
    processing = draw_processing(recipe.reconstruction, random=microscope)
    sample = draw_sample(recipe.sample, grid, random=surroundings)
    varieties = {name: draw_varieties(name, recipe, random=shapes) for name in names}
    maps = {name: [variety.density for variety in some] for name, some in varieties.items()}
    sample = with_fragments(sample, maps, recipe.sample, grid.extent, random=shapes)
    truth, others = _lay_out(maps, sample, recipe, grid, at=at, random=positions)
    cloud = draw_cloud(recipe.sample, grid, sample.surfaces(grid.extent), random=surroundings)
    sample = replace(sample, cloud=cloud)
    all_maps = maps | {name: [density] for name, density in sample.maps.items()}
    phase = _phase(all_maps, truth | others, sample, acquisition, recipe, random=electrons, progress=progress)
    made = tomograms(phase, sample, acquisition, processing, recipe, random=electrons, progress=progress)
    half = recipe.voxel_size / 2
    labels = torch.from_numpy(np.where(grid.labels == UNLABELLED, 0, grid.labels).astype(np.uint8))
    return Scene(
        {k: standardise(Volume(v, recipe.voxel_size, (half, half, half))) for k, v in made.items()},
        truth,
        annotated(truth, recipe.labels, random=annotator),
        Volume(labels, recipe.voxel_size, (half, half, half)),
        {
            "seed": seed,
            "recipe": recipe.model_dump(mode="json"),
            "particles": {name: [variety.drawn for variety in some] for name, some in varieties.items()},
            "acquisition": acquisition.as_metadata(),
            "sample": sample.as_metadata(),
            "processing": asdict(processing),
        },
    )


def _lay_out(
    maps: Mapping[str, Sequence[Tensor]],
    sample: Sample,
    recipe: SimulationRecipe,
    grid: OccupancyGrid,
    *,
    at: PicksBySpecies | None,
    random: np.random.Generator,
) -> tuple[dict[str, Picks], dict[str, Picks]]:
    """Poses of the labelled particles and of all else, in Å from the tomogram's corner; marks them in the grid."""

    def component(name: str, varieties: Sequence[Tensor], number: int, label: int = UNLABELLED) -> Component:
        hollow = name in sample.hollow
        matter, *further = (support(v, voxel_size=recipe.voxel_size, hollow=hollow) for v in varieties)
        return Component(name, matter, number, label, tuple(further))

    slab = sample.slab(grid.extent)
    others = [component(n, [m], sample.counts[n]) for n, m in sample.maps.items()]
    if at is not None:
        wanted = [component(n, m, 0, i + 1) for i, (n, m) in enumerate(maps.items())]
        truth = placed_at(at, wanted, grid, random=random)
        return truth, random_layout(others, grid, random=random, slab=slab)
    numbers = {n: particle_number(recipe, n, grid.extent, random=random) for n in maps}
    wanted = [component(n, m, numbers[n], i + 1) for i, (n, m) in enumerate(maps.items())]
    found = random_layout([*wanted, *others], grid, random=random, recipe=recipe.layout, slab=slab)
    return {n: found[n] for n in maps}, {n: found[n] for n in sample.maps}


def particle_number(recipe: SimulationRecipe, name: str, extent: Array, *, random: np.random.Generator) -> int:
    """Particles of a species in a tomogram of `extent` Å (z, y, x).

    Its concentration times the volume, times a log-normal factor of mean 1 where the recipe has numbers vary.
    """
    spread = math.sqrt(math.log(1 + recipe.layout.variation.get(name, 0.0) ** 2))
    factor = math.exp(spread * random.standard_normal() - spread**2 / 2)
    return round(recipe.concentrations[name] * float(np.prod(extent)) * 1e-12 * factor)


def _phase(
    maps: Mapping[str, Sequence[Tensor]],
    particles: PicksBySpecies,
    sample: Sample,
    acquisition: Acquisition,
    recipe: SimulationRecipe,
    *,
    random: torch.Generator,
    progress: Progress,
) -> Tensor:
    """Phase contrast `(tilts, y, x)` in radians of all that is in the sample.

    Of each name, the n-th particle has the n-th of its maps, in turn.
    """
    extent = np.array(recipe.shape) * recipe.voxel_size
    view = Field.of(recipe.shape, recipe.voxel_size, acquisition)
    densities, from_centre = {}, {}
    for name, p in particles.items():
        for i, density in enumerate(maps[name]):
            turn = slice(i, None, len(maps[name]))
            rotations = None if p.rotations is None else p.rotations[turn]
            densities[f"{name} {i}"] = density
            from_centre[f"{name} {i}"] = Picks(p.zyx[turn] - extent / 2, p.score[turn], rotations)
    phase = project(densities, from_centre, acquisition, recipe.microscope, field=view, progress=progress)
    if sample.cloud is not None and len(sample.cloud.volts):
        phase += cloud_phase(sample.cloud, acquisition, recipe.microscope, field=view, extent=extent)
    if sample.carbon is not None:
        phase += carbon_phase(sample.carbon, acquisition, recipe.microscope, field=view, random=random)
    return phase
