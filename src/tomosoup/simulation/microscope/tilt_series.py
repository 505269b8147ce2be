"""One run's tilt series: a value for everything that a recipe gives a range of."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch_tilt_series import TiltSeries

from tomosoup.core.types import Array
from tomosoup.simulation.options.microscope import MicroscopeOptions


@dataclass(frozen=True)
class Acquisition:
    """A tilt series about the y axis. Arrays have a row a tilt, from the most negative to the most positive."""

    angles: Array
    """`(tilts,)` degrees, as the microscope reports them and the reconstruction uses them."""
    exposure: Array
    """`(tilts,)` electrons per Å² that had passed before each tilt was taken."""
    dose: float
    """Electrons per Å² of one tilt."""
    defocus: Array
    """`(tilts,)` µm of underfocus on the tilt axis."""
    astigmatism: float
    """µm, (largest - smallest defocus) / 2."""
    astigmatism_angle: float
    """Degrees of the largest defocus from the x axis, towards y."""
    angle_errors: Array
    """`(tilts,)` degrees by which the true tilts differ."""
    rotation_errors: Array
    """`(tilts,)` degrees by which the true images are rotated."""
    shift_errors: Array
    """`(tilts, 2)` Å (y, x) by which the true images are shifted."""
    phase_shift: float = 0.0
    """Degrees by which a phase plate shifts the phase; 0 without one."""
    detected: float = 1.0
    """Fraction of the dose that is counted."""

    def __len__(self) -> int:
        return len(self.angles)

    def as_metadata(self) -> dict[str, Any]:
        """All of it as JSON can hold it."""
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in asdict(self).items()}

    def aligned(self) -> TiltSeries:
        """The geometry that alignment found: without the errors."""
        still = np.zeros(len(self))
        return _series(self.angles, still, np.zeros((len(self), 2)))

    def true(self) -> TiltSeries:
        """The geometry that the images were taken in."""
        return _series(self.angles + self.angle_errors, self.rotation_errors, self.shift_errors)


def _series(angles: Array, rotations: Array, shifts: Array) -> TiltSeries:
    return TiltSeries(*(torch.tensor(v, dtype=torch.float32) for v in (angles, rotations, shifts)), pixel_spacing=1.0)


def draw_acquisition(recipe: MicroscopeOptions, *, random: np.random.Generator) -> Acquisition:
    """A tilt series with values from the recipe's ranges."""
    limit, pretilt = random.uniform(*recipe.tilt_limit), random.uniform(*recipe.pretilt)
    angles = pretilt + tilt_angles(limit, recipe.tilt_step)
    n = len(angles)
    dose = random.uniform(*recipe.dose) / n
    drawn = Acquisition(
        angles=angles,
        exposure=dose * np.argsort(taking_order(angles - pretilt, recipe.order)).astype(float),
        dose=dose,
        defocus=np.maximum(random.uniform(*recipe.defocus) + recipe.defocus_error * random.uniform(-1, 1, n), 0.0),
        astigmatism=random.uniform(*recipe.astigmatism),
        astigmatism_angle=random.uniform(0, 180),
        angle_errors=recipe.angle_error * random.standard_normal(n),
        rotation_errors=recipe.angle_error * random.standard_normal(n),
        shift_errors=recipe.shift_error * random.standard_normal((n, 2)),
    )
    # `draw_processing` goes on with the same generator: without these options a seed gives what it gave in 0.1.0.
    if (recipe.alignment_errors, recipe.phase_plate, recipe.detected) == ((1.0, 1.0), 0.0, (1.0, 1.0)):
        return drawn
    worse = random.uniform(*recipe.alignment_errors)
    plate, phase_shift = random.random() < recipe.phase_plate, random.uniform(*recipe.phase_shift)
    detected = random.uniform(*recipe.detected)
    return replace(
        drawn,
        angle_errors=worse * drawn.angle_errors,
        rotation_errors=worse * drawn.rotation_errors,
        shift_errors=worse * drawn.shift_errors,
        phase_shift=phase_shift if plate else 0.0,
        detected=detected,
    )


def tilt_angles(limit: float, step: float) -> Array:
    """Degrees from about `-limit` to `limit`, `step` apart, 0 among them."""
    arm = math.floor(limit / step + 1e-6)
    angles: Array = np.arange(-arm, arm + 1, dtype=float) * step
    return angles


def taking_order(angles: Array, order: str) -> NDArray[np.intp]:
    """Indices of the tilts in the order they are taken in: "one-way", or "dose-symmetric" (0, 3, -3, -6, 6, ...).

    Dose-symmetric is the scheme of Hagen, Wan and Briggs (2017), J. Struct. Biol. 197, 191.
    """
    if order == "one-way":
        return np.argsort(angles)
    away = np.round(np.abs(angles) / (np.diff(angles).min() if len(angles) > 1 else 1.0))
    # Of each pair, the side where the stage already is comes first.
    side = np.where((away % 2 == 1) == (angles > 0), 0, 1)
    return np.lexsort((side, away))
