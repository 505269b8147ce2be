"""What a simulated tomogram is made of. Every option of `tomosoup simulate` is a field here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from annotated_types import Ge, Gt, Le
from pydantic import Field, model_validator

from tomosoup.recipes.base import Recipe
from tomosoup.recipes.picking import ZYX

Degrees = Annotated[float, Ge(-90), Le(90)]

CONCENTRATION = {
    "apo-ferritin": 5500.0,
    "beta-amylase": 3800.0,
    "beta-galactosidase": 3800.0,
    "ribosome": 3100.0,
    "thyroglobulin": 3800.0,
    "virus-like-particle": 1900.0,
}
"""Five to twenty times the contest's, so that a small volume holds enough of each kind to learn from and to score."""


class SimulationRecipe(Recipe):
    """One simulated run: particles, microscope, noise, reconstruction."""

    shape: ZYX = (64, 256, 256)
    """Voxels of the tomogram (z, y, x)."""
    voxel_size: Annotated[float, Gt(0)] = 10.0
    """Å a voxel, and a pixel of the projections."""
    concentration: dict[str, Annotated[float, Ge(0)]] = Field(default=CONCENTRATION)
    """Particles per cubic micrometre, by species."""
    maps: dict[str, Path] = Field(default={})
    """MRC density maps by species, in place of the built-in shapes."""
    map_scale: dict[str, Annotated[float, Gt(0)]] = Field(default={})
    """Enlarge a species' map by this factor, at the same density."""
    map_mass: dict[str, Annotated[float, Gt(0)]] = Field(default={})
    """Scale a species' map to this mass (kDa); without it the map's values count as 28.3 a kDa, summed over voxels."""
    tilt_range: tuple[Degrees, Degrees] = (-60.0, 60.0)
    """First and last tilt, in degrees about y."""
    tilt_step: Annotated[float, Gt(0)] = 3.0
    """Degrees between tilts."""
    defocus: tuple[float, float] = (2.0, 4.0)
    """Range of the run's underfocus in µm; each tilt departs from it by up to 0.1."""
    voltage: Annotated[float, Gt(0)] = 300.0
    """Acceleration voltage in kV."""
    spherical_aberration: float = 2.7
    """In mm."""
    amplitude_contrast: Annotated[float, Ge(0), Le(1)] = 0.07
    """Share of the contrast that comes from amplitude."""
    noise: Annotated[float, Ge(0)] = 3.5
    """Standard deviation of one pixel of one projection, as the mass (kDa) whose projected signal is as strong."""
    lowpass: Annotated[float, Gt(0)] | None = 30.0
    """Resolution in Å at which a Gaussian low-pass has fallen to a half; none leaves the noise white."""

    @model_validator(mode="after")
    def _tilts_in_order(self) -> Self:
        low, high = self.tilt_range
        if low >= high:
            raise ValueError(f"tilt_range must go up, from {low:g} to more than that")
        return self
