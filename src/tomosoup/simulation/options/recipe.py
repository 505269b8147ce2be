"""The whole recipe of a simulated run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from tomosoup.core.config import ZYX, Recipe, Typed
from tomosoup.simulation.options.microscope import MicroscopeOptions, ReconstructionOptions
from tomosoup.simulation.options.ranges import NotNegative, Positive
from tomosoup.simulation.options.specimen import LabelOptions, LayoutOptions, ParticleOptions, SampleOptions

CONCENTRATION = {
    "apo-ferritin": 5500.0,
    "beta-amylase": 3800.0,
    "beta-galactosidase": 3800.0,
    "ribosome": 3100.0,
    "thyroglobulin": 3800.0,
    "virus-like-particle": 1900.0,
}
"""Five to twenty times the contest's, so that a small volume has enough of each species to learn from and to score."""


class SimulationRecipe(Recipe):
    """One simulated run: particles, ice, microscope, reconstruction."""

    FOLDER = "tomosoup.simulation", "recipes"

    shape: Annotated[ZYX, Typed("Input")] = (64, 256, 256)
    """Size of a tomogram in voxels (z y x)."""
    voxel_size: Positive = 10.0
    """Å a voxel, and a pixel of the projections."""
    concentration: Annotated[dict[str, NotNegative], Typed("Input")] = Field(default=CONCENTRATION)
    """Number of particles per cubic micrometre, by species."""
    default_concentration: NotNegative = 3000.0
    """Particles per cubic micrometre of species that have a structure or a map and no `concentration`."""
    structures: Annotated[dict[str, str], Typed("Input")] = Field(default={})
    """Atomic model of a species, in place of the built-in shape: a PDB or mmCIF file, or a PDB id such as 8cpv, which
    is downloaded from RCSB."""
    maps: Annotated[dict[str, Path], Typed("Input")] = Field(default={})
    """Density map (MRC) of a species, in place of the built-in shape."""
    map_scale: dict[str, Positive] = Field(default={})
    """Enlarge a species' map by this factor, at the same density."""
    map_mass: dict[str, Positive] = Field(default={})
    """Scale a species' map to this mass (kDa); without it, map values that sum to 28.3 stand for 1 kDa, as in
    the maps of the contest's organisers."""
    particles: ParticleOptions = ParticleOptions()
    """How the particles of a species differ."""
    layout: LayoutOptions = LayoutOptions()
    """Numbers and positions."""
    labels: LabelOptions = LabelOptions()
    """Errors of an annotator, in a second set of picks."""
    sample: SampleOptions = SampleOptions()
    """Ice and what else is in it."""
    microscope: MicroscopeOptions = MicroscopeOptions()
    """The tilt series."""
    reconstruction: ReconstructionOptions = ReconstructionOptions()
    """From the tilt series to tomograms."""

    @property
    def concentrations(self) -> dict[str, float]:
        """Particles per cubic micrometre of every species."""
        return dict.fromkeys((*self.structures, *self.maps), self.default_concentration) | self.concentration
