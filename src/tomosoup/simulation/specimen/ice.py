"""What is in the ice besides the particles that are looked for, and the ice itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from tomosoup.core.types import Array
from tomosoup.simulation.microscope.imaging import Field, contrast_transfer, interaction
from tomosoup.simulation.microscope.reconstruction import filtered
from tomosoup.simulation.microscope.tilt_series import Acquisition
from tomosoup.simulation.options import MicroscopeOptions, SampleOptions
from tomosoup.simulation.specimen.built_in import PROTEIN_VOLUME, bead, globule, membrane
from tomosoup.simulation.specimen.layout import Room

VARIETIES = 8
"""Different bystanders in a run, at most."""
LARGEST_MEMBRANE = 800.0
"""Å across; wider vesicles are fragments."""
HOLE_RADIUS = 6000.0
"""Å: the edge of the carbon film is that of a hole of 1.2 µm."""
CARBON_VOLTS = 4.5
"""Mean inner potential of amorphous carbon, about 9 V (Harscher and Lichte 1998), above that of water."""
CARBON_GRAIN = 9.0
"""V Å: deviation of the projected potential of 10 x 10 Å of a film 100 Å thick. By chance its 1000 atoms of 120 V Å³
would make 38; they keep apart, which we take to leave a quarter (our estimate)."""


@dataclass(frozen=True)
class Carbon:
    """A film below the ice, with a round hole."""

    thickness: float
    """Å."""
    height: float
    """Å (z) of the film from the middle of the tomogram."""
    middle: tuple[float, float]
    """Å (y, x) of the hole's middle from the tomogram's."""


@dataclass(frozen=True)
class Sample:
    """The ice of one run and all that is in it without a label."""

    thickness: float
    """Å."""
    gradient: tuple[float, float]
    """Change of the thickness, as a share of it, from one side of the field to the other, along y and x."""
    maps: dict[str, Tensor]
    """Potential of each unlabelled thing, by name."""
    counts: dict[str, int]
    """How often it is there."""
    hollow: frozenset[str]
    """Those that other things may be inside of."""
    carbon: Carbon | None

    def as_metadata(self) -> dict[str, Any]:
        """What was drawn, as JSON can hold it."""
        carbon = None if self.carbon is None else vars(self.carbon)
        return {"thickness": self.thickness, "gradient": self.gradient, "counts": self.counts, "carbon": carbon}

    def slab(self, extent: Array) -> tuple[float, float]:
        """Where the ice begins and ends (z) in a tomogram of `extent` Å."""
        half = min(self.thickness, extent[0]) / 2
        return float(extent[0] / 2 - half), float(extent[0] / 2 + half)


def draw_sample(recipe: SampleOptions, room: Room, *, random: np.random.Generator) -> Sample:
    """Ice and unlabelled things for a tomogram, with values from the recipe's ranges."""
    voxel_size, extent = room.voxel_size, room.extent
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
        add(f"bystander-{i}", globule(float(masses[i]), voxel_size=voxel_size, random=random), int(count))
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


def _draw_carbon(
    recipe: SampleOptions, extent: Array, thickness: float, *, random: np.random.Generator
) -> Carbon | None:
    share, angle = random.uniform(*recipe.carbon), random.uniform(0, 2 * np.pi)
    if share == 0:
        return None
    towards = np.array([np.sin(angle), np.cos(angle)])
    # How far out (on the axis `towards`) the film's edge may be for each place of the field to be covered.
    grid = np.stack(np.meshgrid(*(((np.arange(64) + 0.5) / 64 - 0.5) * n for n in extent[1:]), indexing="ij"), axis=-1)
    aside = grid @ np.array([-towards[1], towards[0]])
    edges = grid @ towards + HOLE_RADIUS - np.sqrt(np.clip(HOLE_RADIUS**2 - aside**2, 0, None))
    middle = (np.quantile(edges, 1 - share) - HOLE_RADIUS) * towards
    return Carbon(recipe.carbon_thickness, -thickness / 2, (float(middle[0]), float(middle[1])))


def ice_thickness(sample: Sample, acquisition: Acquisition, *, field: Field, extent: Array) -> Tensor:
    """Å of ice `(tilts, y, x)` (or of a shape that broadcasts to it) along the normal where each pixel looks."""
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
    """Phase contrast `(tilts, y, x)` in radians of a thin, grainy film, after contrast transfer."""
    rows = acquisition.true().projection_matrices.float()[:, 1:3]
    y, x = ((torch.arange(n) - (n - 1) / 2) * field.pixel for n in field.shape)
    seen = torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1)
    # Where on the film, at its height, each pixel looks: the projection of (z, y, x) solved for (y, x).
    moved = seen - (rows[:, :, 0] * carbon.height + rows[:, :, 3])[:, None, None]
    places = torch.einsum("tij,tyxj->tyxi", torch.linalg.inv(rows[:, :, 1:3]), moved)
    reach = places.abs().amax(dim=(0, 1, 2)) / field.pixel
    grain = torch.randn([1, 1, *(2 * reach.ceil().int() + 1).tolist()], generator=random)
    at = places.flip(-1) / field.pixel / reach.ceil().flip(0)
    texture = F.grid_sample(grain.expand(len(at), -1, -1, -1), at, align_corners=True)[:, 0]
    from_middle = torch.linalg.norm(places - torch.tensor(carbon.middle), dim=-1)
    covered = ((from_middle - HOLE_RADIUS) / field.pixel + 0.5).clamp(0, 1)
    slant = torch.tensor(1 / np.cos(np.radians(acquisition.angles)), dtype=torch.float32)[:, None, None]
    deviation = CARBON_GRAIN * (carbon.thickness / 100) ** 0.5 * 10 / field.pixel
    volts = covered * (CARBON_VOLTS * carbon.thickness * slant + deviation * slant.sqrt() * texture)
    defocus = torch.tensor(acquisition.defocus, dtype=torch.float32)
    transfer = contrast_transfer(acquisition, recipe, defocus=defocus, shape=field.shape, pixel=field.pixel)
    return filtered(volts * interaction(recipe.voltage), transfer)
