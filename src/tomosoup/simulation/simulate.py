"""A whole simulated run: from a recipe and a seed to tomograms, their true picks and labels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tomosoup.core.progress import Progress, no_progress
from tomosoup.core.types import Picks, PicksBySpecies, Volume
from tomosoup.data.volumes.mrc import read_mrc
from tomosoup.data.volumes.normalisation import standardise
from tomosoup.simulation.microscope.denoising import denoised
from tomosoup.simulation.microscope.imaging import (
    PROJECTING,
    Field,
    count,
    expected_counts,
    frequencies,
    normalised,
    project,
)
from tomosoup.simulation.microscope.reconstruction import (
    RECONSTRUCTING,
    Processing,
    draw_processing,
    filtered,
    image_weights,
    reconstruct,
    wiener,
)
from tomosoup.simulation.microscope.tilt_series import Acquisition, draw_acquisition
from tomosoup.simulation.options import SimulationRecipe
from tomosoup.simulation.specimen.atomic_models import read_model
from tomosoup.simulation.specimen.built_in import built_in
from tomosoup.simulation.specimen.density_maps import centred, from_map, support
from tomosoup.simulation.specimen.ice import Sample, carbon_phase, draw_sample, ice_thickness
from tomosoup.simulation.specimen.layout import Kind, Room, placed_at, random_layout
from tomosoup.simulation.specimen.potential import potential

UNLABELLED = 255
"""What the room is marked with where something is that nobody looks for."""
STEPS = (PROJECTING, RECONSTRUCTING)
"""What `progress` of `simulate` is told, in this order."""


@dataclass(frozen=True)
class Scene:
    """Tomograms and the poses that they were made from, both in Å from the outer corner of voxel 0 (copick's rule)."""

    volumes: dict[str, Volume]
    """By kind, each `(z, y, x)` with mean 0 and deviation 1, particles dark."""
    truth: dict[str, Picks]
    labels: Volume
    """`(z, y, x)` uint8: 1 for the matter of the first species of `truth`, and so on; 0 elsewhere."""
    parameters: dict[str, Any] = field(repr=False)
    """The recipe, the seed and every value that was drawn, as JSON can hold them."""

    @property
    def volume(self) -> Volume:
        """The first tomogram."""
        return next(iter(self.volumes.values()))


def simulate(
    recipe: SimulationRecipe = SimulationRecipe(),  # noqa: B008 - immutable
    *,
    seed: int,
    at: Mapping[str, Picks] | None = None,
    progress: Progress = no_progress,
) -> Scene:
    """Simulate one run; the same recipe and seed give the same voxels.

    Particles are placed by the recipe's concentrations, or `at` given positions, which are taken as they are (turned at
    random where they bring no orientation). It computes in one thread, whose sums are the same on any number of cores.

    Raises `InputError` for species without a shape, files that cannot be read and particles that do not fit.
    """
    with one_thread():
        return _simulate(recipe, seed=seed, at=at, progress=progress)


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute in one thread within the block."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _simulate(recipe: SimulationRecipe, *, seed: int, at: Mapping[str, Picks] | None, progress: Progress) -> Scene:
    places, surroundings, microscope, noise = map(np.random.default_rng, np.random.SeedSequence(seed).spawn(4))
    electrons = torch.Generator().manual_seed(int(noise.integers(2**62)))
    names = list(at if at is not None else recipe.concentrations)
    room = Room(recipe.shape, recipe.voxel_size)
    acquisition = draw_acquisition(recipe.microscope, random=microscope)
    processing = draw_processing(recipe.reconstruction, random=microscope)
    sample = draw_sample(recipe.sample, room, random=surroundings)
    maps = structure_maps(names, recipe)
    truth, others = _lay_out(maps, sample, recipe, room, at=at, random=places)
    phase = _phase(maps | sample.maps, truth | others, sample, acquisition, recipe, random=electrons, progress=progress)
    tomograms = _tomograms(phase, sample, acquisition, processing, recipe, random=electrons, progress=progress)
    half = recipe.voxel_size / 2
    labels = torch.from_numpy(np.where(room.labels == UNLABELLED, 0, room.labels).astype(np.uint8))
    return Scene(
        {k: standardise(Volume(v, recipe.voxel_size, (half, half, half))) for k, v in tomograms.items()},
        truth,
        Volume(labels, recipe.voxel_size, (half, half, half)),
        {
            "seed": seed,
            "recipe": recipe.model_dump(mode="json"),
            "acquisition": acquisition.as_metadata(),
            "sample": sample.as_metadata(),
            "processing": asdict(processing),
        },
    )


def structure_maps(names: Sequence[str], recipe: SimulationRecipe) -> dict[str, Tensor]:
    """A map `(n, n, n)` for each name, in V: from its model or map where the recipe has one, else built in.

    Raises `InputError` for files that cannot be read and names without a shape.
    """
    return {name: _structure_map(name, recipe) for name in names}


def _structure_map(name: str, recipe: SimulationRecipe) -> Tensor:
    if name in recipe.structures:
        return centred(potential(read_model(recipe.structures[name]), voxel_size=recipe.voxel_size))
    if name in recipe.maps:
        return from_map(
            read_mrc(recipe.maps[name]),
            voxel_size=recipe.voxel_size,
            scale=recipe.map_scale.get(name, 1.0),
            mass_kda=recipe.map_mass.get(name),
        )
    return centred(built_in(name, voxel_size=recipe.voxel_size))


def _lay_out(
    maps: Mapping[str, Tensor],
    sample: Sample,
    recipe: SimulationRecipe,
    room: Room,
    *,
    at: PicksBySpecies | None,
    random: np.random.Generator,
) -> tuple[dict[str, Picks], dict[str, Picks]]:
    """The poses of labelled and of unlabelled things, in Å from the tomogram's corner; fills the room."""

    def kind(name: str, density: Tensor, number: int, label: int = UNLABELLED) -> Kind:
        hollow = name in sample.hollow
        return Kind(name, support(density, voxel_size=recipe.voxel_size, hollow=hollow), number, label)

    slab = sample.slab(room.extent)
    others = [kind(n, m, sample.counts[n]) for n, m in sample.maps.items()]
    if at is not None:
        wanted = [kind(n, m, 0, i + 1) for i, (n, m) in enumerate(maps.items())]
        truth = placed_at(at, wanted, room, random=random)
        return truth, random_layout(others, room, random=random, slab=slab)
    numbers = {n: _number(recipe, n, room, random=random) for n in maps}
    wanted = [kind(n, m, numbers[n], i + 1) for i, (n, m) in enumerate(maps.items())]
    found = random_layout([*wanted, *others], room, random=random, recipe=recipe.layout, slab=slab)
    return {n: found[n] for n in maps}, {n: found[n] for n in sample.maps}


def _number(recipe: SimulationRecipe, name: str, room: Room, *, random: np.random.Generator) -> int:
    """Particles of a species: its concentration, times a log-normal factor of mean 1 where numbers vary."""
    spread = math.sqrt(math.log(1 + recipe.layout.variation.get(name, 0.0) ** 2))
    factor = math.exp(spread * random.standard_normal() - spread**2 / 2)
    return round(recipe.concentrations[name] * float(np.prod(room.extent)) * 1e-12 * factor)


def _phase(
    maps: Mapping[str, Tensor],
    particles: PicksBySpecies,
    sample: Sample,
    acquisition: Acquisition,
    recipe: SimulationRecipe,
    *,
    random: torch.Generator,
    progress: Progress,
) -> Tensor:
    """Phase contrast `(tilts, y, x)` of all that is in the sample."""
    extent = np.array(recipe.shape) * recipe.voxel_size
    view = Field.of(recipe.shape, recipe.voxel_size, acquisition)
    about_middle = {name: Picks(p.zyx - extent / 2, p.score, p.rotations) for name, p in particles.items()}
    phase = project(maps, about_middle, acquisition, recipe.microscope, field=view, progress=progress)
    if sample.carbon is not None:
        phase += carbon_phase(sample.carbon, acquisition, recipe.microscope, field=view, random=random)
    return phase


def _tomograms(
    phase: Tensor,
    sample: Sample,
    acquisition: Acquisition,
    processing: Processing,
    recipe: SimulationRecipe,
    *,
    random: torch.Generator,
    progress: Progress,
) -> dict[str, Tensor]:
    """The recipe's kinds of tomogram, and the halves where it asks for them, `(z, y, x)` each."""
    options, pixel = recipe.reconstruction, recipe.voxel_size
    view = Field((phase.shape[1], phase.shape[2]), pixel)
    extent = np.array(recipe.shape) * pixel
    thickness = ice_thickness(sample, acquisition, field=view, extent=extent)
    expected = expected_counts(phase, acquisition, recipe.microscope, thickness=thickness, pixel=pixel)
    halves = count(expected, random=random)
    frequency = frequencies(view.shape, pixel)
    weights = image_weights(acquisition, recipe.microscope, options, processing, frequency)
    images = {"": normalised(halves[0] + halves[1])}
    if options.half_sets:
        images |= {f"-half{i + 1}": normalised(half) for i, half in enumerate(halves)}
    jobs = [("wbp" + name, filtered(image, weights)) for name, image in images.items()]
    if "ctfdeconvolved" in options.tomo_types:
        undo = wiener(acquisition, recipe.microscope, shape=view.shape, pixel=pixel, snr=options.snr)
        jobs.append(("ctfdeconvolved", filtered(images[""], weights * undo)))
    made: dict[str, Tensor] = {}
    for i, (kind, stack) in enumerate(jobs):

        def report(what: str, done: int, total: int, i: int = i) -> None:
            progress(what, i * total + done, len(jobs) * total)

        made[kind] = reconstruct(stack, acquisition.aligned(), recipe.shape, progress=report)
    if "denoised" in options.tomo_types:
        made["denoised"] = denoised(made["wbp"], voxel_size=pixel, stretch=processing.stretch, random=random)
    return {kind: made[kind] for kind in (*options.tomo_types, *(k for k in made if "half" in k))}
