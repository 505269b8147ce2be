"""The ice, and what is in it besides the labelled particles: other proteins, gold, membranes, carbon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from tomosoup.core.types import Array
from tomosoup.simulation.microscope.imaging import Field, contrast_transfer, interaction
from tomosoup.simulation.microscope.reconstruction import filtered
from tomosoup.simulation.microscope.tilt_series import Acquisition
from tomosoup.simulation.options.microscope import MicroscopeOptions
from tomosoup.simulation.options.specimen import SampleOptions
from tomosoup.simulation.specimen.built_in import PROTEIN_VOLUME
from tomosoup.simulation.specimen.clutter import Cloud
from tomosoup.simulation.specimen.density_maps import centred
from tomosoup.simulation.specimen.layout import OccupancyGrid
from tomosoup.simulation.specimen.particles import LOST, without_a_part
from tomosoup.simulation.specimen.unlabelled import bead, globule, membrane

VARIETIES = 8
"""Different background proteins in a run."""
LARGEST_MEMBRANE = 800.0
"""Å across; of wider vesicles a fragment is simulated."""
HOLE_RADIUS = 6000.0
"""Å: the edge of the carbon film is that of a hole of 1.2 µm."""
CARBON_VOLTS = 4.5
"""Mean inner potential of amorphous carbon, about 9 V (Harscher and Lichte 1998), above that of water."""
CARBON_GRAIN = 9.0
"""V Å: standard deviation of the projected potential of 10 x 10 Å of a film 100 Å thick. If its 1000 atoms of 120 V Å³
were placed at random, it would be 38. Atoms keep apart; we estimate that this leaves a quarter."""


@dataclass(frozen=True)
class Carbon:
    """A film below the ice, with a round hole."""

    thickness: float
    """Å."""
    height: float
    """Å (z) of the film from the centre of the tomogram."""
    centre: tuple[float, float]
    """Å (y, x) of the hole's centre from the tomogram's."""


@dataclass(frozen=True)
class Sample:
    """The ice of one run and all unlabelled things in it."""

    thickness: float
    """Å."""
    gradient: tuple[float, float]
    """Change of the thickness, as a fraction of it, from one side of the field to the other, along y and x."""
    maps: dict[str, Tensor]
    """Potential of each unlabelled thing, by name."""
    counts: dict[str, int]
    """Number of each, by name."""
    hollow: frozenset[str]
    """Names of those that may have other things inside."""
    carbon: Carbon | None
    cloud: Cloud | None = None
    """Matter without a known shape, once the particles have their positions."""

    def as_metadata(self) -> dict[str, Any]:
        """What was drawn, as JSON can hold it."""
        carbon = None if self.carbon is None else vars(self.carbon)
        beads = 0 if self.cloud is None else len(self.cloud.volts)
        described = {"thickness": self.thickness, "gradient": self.gradient, "counts": self.counts}
        return described | {"carbon": carbon, "beads": beads}

    def surfaces(self, extent: Array) -> tuple[float, float]:
        """z (Å) of the lower and the upper surface of the ice, inside a tomogram of `extent` Å (z, y, x) or not."""
        return float((extent[0] - self.thickness) / 2), float((extent[0] + self.thickness) / 2)

    def slab(self, extent: Array) -> tuple[float, float]:
        """Lowest and highest z (Å) of the ice in a tomogram of `extent` Å (z, y, x)."""
        low, high = self.surfaces(extent)
        return max(low, 0.0), min(high, float(extent[0]))


def draw_sample(recipe: SampleOptions, grid: OccupancyGrid, *, random: np.random.Generator) -> Sample:
    """Ice and unlabelled things for a tomogram, with values from the recipe's ranges."""
    voxel_size, extent = grid.voxel_size, grid.extent
    thickness = float(random.uniform(*recipe.thickness))
    direction, change = random.uniform(0, 2 * np.pi), random.uniform(*recipe.ice_gradient)
    ice = min(thickness, extent[0]) * extent[1] * extent[2]
    maps: dict[str, Array] = {}
    counts: dict[str, int] = {}

    def add(name: str, density: Array, count: int) -> None:
        if count:
            full = f"unlabelled {name}"  # no species has a name with a space
            maps[full], counts[full] = density, count

    light, heavy = np.log(recipe.background_mass)
    masses = np.exp(random.uniform(light, heavy, VARIETIES))
    crowd = random.uniform(*recipe.crowding) * ice / (PROTEIN_VOLUME * masses.mean())
    total = round(random.uniform(*recipe.background_proteins) * ice * 1e-12 + crowd)
    for i, count in enumerate(random.multinomial(total, np.full(VARIETIES, 1 / VARIETIES))):
        add(f"background-{i}", globule(float(masses[i]), voxel_size=voxel_size, random=random), int(count))
    diameter = random.uniform(*recipe.gold_diameter)
    add("gold", bead(diameter, voxel_size=voxel_size), round(random.uniform(*recipe.gold)))
    largest = min(LARGEST_MEMBRANE, 0.8 * float(extent.min()))
    for i in range(round(random.uniform(*recipe.membranes))):
        radius = random.uniform(*recipe.membrane_radius)
        add(f"membrane-{i}", membrane(radius, largest=largest, voxel_size=voxel_size), 1)
    tensors = {name: torch.from_numpy(density).float() for name, density in maps.items()}
    gradient = (change * np.sin(direction), change * np.cos(direction))
    carbon = _draw_carbon(recipe, extent, thickness, random=random)
    hollow = frozenset(name for name in maps if "membrane" in name)
    return Sample(thickness, (float(gradient[0]), float(gradient[1])), tensors, counts, hollow, carbon)


def with_fragments(
    sample: Sample,
    maps: Mapping[str, Sequence[Tensor]],
    recipe: SampleOptions,
    extent: Array,
    *,
    random: np.random.Generator,
) -> Sample:
    """The sample with pieces of particles of random species and varieties besides, none of them labelled."""
    low, high = sample.slab(extent)
    ice = (high - low) * float(extent[1] * extent[2]) * 1e-12
    number = int(random.poisson(random.uniform(*recipe.fragments) * ice)) if maps else 0
    pieces = {}
    for i in range(number):
        varieties = maps[str(random.choice(list(maps)))]
        whole = varieties[int(random.integers(len(varieties)))].double().numpy()
        piece = without_a_part(whole, 1 - float(random.uniform(*LOST)), random=random)
        pieces[f"unlabelled fragment-{i}"] = centred(piece)
    return replace(sample, maps=sample.maps | pieces, counts=sample.counts | dict.fromkeys(pieces, 1))


def _draw_carbon(
    recipe: SampleOptions, extent: Array, thickness: float, *, random: np.random.Generator
) -> Carbon | None:
    fraction, angle = random.uniform(*recipe.carbon), random.uniform(0, 2 * np.pi)
    if fraction == 0:
        return None
    towards = np.array([np.sin(angle), np.cos(angle)])
    # How far out, on the axis `towards`, the film's edge may be to cover each position of the field.
    grid = np.stack(np.meshgrid(*(((np.arange(64) + 0.5) / 64 - 0.5) * n for n in extent[1:]), indexing="ij"), axis=-1)
    aside = grid @ np.array([-towards[1], towards[0]])
    edges = grid @ towards + HOLE_RADIUS - np.sqrt(np.clip(HOLE_RADIUS**2 - aside**2, 0, None))
    centre = (np.quantile(edges, 1 - fraction) - HOLE_RADIUS) * towards
    return Carbon(recipe.carbon_thickness, -thickness / 2, (float(centre[0]), float(centre[1])))


def ice_thickness(sample: Sample, acquisition: Acquisition, *, field: Field, extent: Array) -> Tensor:
    """Thickness of the ice (Å) that each pixel sees, along the ice's normal: `(tilts, y, x)`, or a scalar."""
    if sample.gradient == (0.0, 0.0):
        return torch.tensor(sample.thickness)
    y, x = (torch.from_numpy((np.arange(n) - (n - 1) / 2) * field.pixel).float() for n in field.shape)
    slant = torch.tensor(1 / np.cos(np.radians(acquisition.angles)), dtype=torch.float32)
    along_y = sample.gradient[0] * y[None, :, None] / float(extent[1])
    along_x = sample.gradient[1] * x[None, None, :] * slant[:, None, None] / float(extent[2])
    return (sample.thickness * (1 + along_y + along_x)).clamp(min=0)


def carbon_phase(
    carbon: Carbon, acquisition: Acquisition, recipe: MicroscopeOptions, *, field: Field, random: Generator
) -> Tensor:
    """Phase contrast `(tilts, y, x)` in radians of a thin, grainy carbon film, after contrast transfer."""
    rows = acquisition.true().projection_matrices.float()[:, 1:3]
    y, x = ((torch.arange(n) - (n - 1) / 2) * field.pixel for n in field.shape)
    seen = torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1)
    # The position on the film, at its height, that each pixel sees: the projection of (z, y, x) solved for (y, x).
    moved = seen - (rows[:, :, 0] * carbon.height + rows[:, :, 3])[:, None, None]
    positions = torch.einsum("tij,tyxj->tyxi", torch.linalg.inv(rows[:, :, 1:3]), moved)
    reach = positions.abs().amax(dim=(0, 1, 2)) / field.pixel
    grain = torch.randn([1, 1, *(2 * reach.ceil().int() + 1).tolist()], generator=random)
    at = positions.flip(-1) / field.pixel / reach.ceil().flip(0)
    texture = F.grid_sample(grain.expand(len(at), -1, -1, -1), at, align_corners=True)[:, 0]
    from_centre = torch.linalg.norm(positions - torch.tensor(carbon.centre), dim=-1)
    covered = ((from_centre - HOLE_RADIUS) / field.pixel + 0.5).clamp(0, 1)
    slant = torch.tensor(1 / np.cos(np.radians(acquisition.angles)), dtype=torch.float32)[:, None, None]
    spread = CARBON_GRAIN * (carbon.thickness / 100) ** 0.5 * 10 / field.pixel
    volts = covered * (CARBON_VOLTS * carbon.thickness * slant + spread * slant.sqrt() * texture)
    defocus = torch.tensor(acquisition.defocus, dtype=torch.float32)
    transfer = contrast_transfer(acquisition, recipe, defocus=defocus, shape=field.shape, pixel=field.pixel)
    return filtered(volts * interaction(recipe.voltage), transfer)
