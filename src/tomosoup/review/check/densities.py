"""Findings on picks and densities together: contrast, half-voxels, radii."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tomosoup.core.types import Array, Species
from tomosoup.data.volumes.voxel_size import same_voxel_size
from tomosoup.review.check.findings import Finding
from tomosoup.review.check.sampling import Survey
from tomosoup.review.check.subtomogram_average import Boxes, contrast, joined, measured_radius, offset
from tomosoup.review.check.volumes import usual_voxel_size

SURE = 5.0
"""A contrast of so many standard errors is one."""
FEW = 10
"""Fewer picks make no average."""
SKEWED = 0.15
"""Skewness of grey values that tells dark particles (below) from bright ones (above)."""
OFF = 0.25
"""Voxels between picks and densities that are worth a word."""
LEAST_ERROR = 0.02
"""Voxels: no species' offset is known better, its own middle being a matter of taste."""
RADII = 0.5, 1.4
"""The species' radius and the average's agree within these ratios."""


@dataclass(frozen=True)
class Average:
    """What the boxes of one species, of all runs, say."""

    species: Species
    boxes: Boxes
    contrast: float
    error: float

    @property
    def sure(self) -> bool:
        """Whether there is a density at the picks."""
        return len(self.boxes) >= FEW and abs(self.contrast) > SURE * self.error


def averages(surveys: Sequence[Survey], species: Sequence[Species]) -> list[Average]:
    """Of each species that has boxes, those of runs of the usual voxel size."""
    usual = usual_voxel_size(surveys)
    found = []
    for kind in species:
        parts = [
            s.boxes[kind.name]
            for s in surveys
            if kind.name in s.boxes and same_voxel_size(s.tomogram.voxel_size, usual)
        ]
        if parts:
            boxes = joined(parts)
            found.append(Average(kind, boxes, *contrast(boxes)))
    return found


def sign(found: Sequence[Average], surveys: Sequence[Survey]) -> tuple[str, list[Finding]]:
    """Whether particles are "dark", "bright" or "unknown", and what to do about it."""
    inverted = surveys[0].tomogram.inverted
    sure = [a for a in found if a.sure]
    findings = [
        Finding(
            "warning",
            "contrast",
            f"Nothing dark or bright stands at its {len(a.boxes)} picks ({a.contrast:.2f} ± {a.error:.2f} deviations): "
            "are positions in Å, is the voxel size true?",
            species=a.species.name,
        )
        for a in found
        if not a.sure and len(a.boxes) > 2 * FEW
    ]
    if sure:
        verdict = "dark" if sum(a.contrast / a.error for a in sure) < 0 else "bright"
        if verdict == "bright":
            cure = "leave --invert out" if inverted else "train, tune and pick with --invert"
            text = f"Particles are bright, and nets expect dark ones: {cure}."
            findings.append(Finding("error", "contrast", text))
        return verdict, findings
    skewness = float(np.mean([s.grey.skewness for s in surveys]))
    if abs(skewness) < SKEWED:
        text = "Whether particles are dark, as nets expect, is not known without picks: look, else use --invert."
        return "unknown", [*findings, Finding("note", "contrast", text)]
    if skewness > 0:
        text = f"Particles are probably bright (skewness {skewness:.2f}) and nets expect dark ones: look, use --invert."
        return "bright", [*findings, Finding("warning", "contrast", text)]
    return "dark", findings


@dataclass(frozen=True)
class Offsets:
    """Where densities lie as seen from their picks, in voxels along z, y, x, with standard errors."""

    offset: Array
    error: Array
    by_species: Mapping[str, tuple[Array, Array]] = field(default_factory=dict)


def offsets(found: Sequence[Average], voxel_size: float) -> Offsets | None:
    """Of each species with a sure density, and their mean, the species' own scatter counted (DerSimonian and Laird)."""
    own = {a.species.name: offset(a.boxes) for a in found if a.sure}
    if not own:
        return None
    vox = {name: (o / voxel_size, np.maximum(e / voxel_size, LEAST_ERROR)) for name, (o, e) in own.items()}
    values, errors = (np.array(part) for part in zip(*vox.values(), strict=True))
    weights = 1 / errors**2
    mean = (weights * values).sum(0) / weights.sum(0)
    if len(vox) > 1:
        spread = (weights * (values - mean) ** 2).sum(0) - (len(vox) - 1)
        between = np.maximum(0, spread / (weights.sum(0) - (weights**2).sum(0) / weights.sum(0)))
        weights = 1 / (errors**2 + between)
        mean = (weights * values).sum(0) / weights.sum(0)
    return Offsets(mean, 1 / np.sqrt(weights.sum(0)), vox)


def half_voxels(found: Offsets | None, species: Sequence[Species], *, first: float, voxel_size: float) -> list[Finding]:
    """An offset that is there, and the first voxel (from `first`, now) that mends it where all axes share it."""
    if found is None:
        return []
    there = (np.abs(found.offset) > OFF) & (np.abs(found.offset) > 3 * found.error)
    if not there.any():
        return []
    grave = np.abs(found.offset[there]).max() * voxel_size > 0.25 * min(s.radius for s in species)
    z, y, x = found.offset
    text = f"Densities lie {z:.2f}, {y:.2f}, {x:.2f} voxels (z y x, ± {found.error.max():.2f}) from their picks: "
    mean = float((found.offset / found.error**2).sum() / (1 / found.error**2).sum())
    if (np.abs(found.offset - mean) < np.maximum(3 * found.error, OFF)).all():
        wanted = first - mean
        halves = round(2 * wanted) / 2
        text += f"--first-voxel {halves if abs(halves - wanted) < 0.1 else round(wanted, 2):g} mends it."
    else:
        text += "shift the picks, or check how the tomogram was cut."
    return [Finding("error" if grave else "warning", "offset", text)]


def radii(
    found: Sequence[Average], measured: Offsets | None, *, voxel_size: float
) -> tuple[dict[str, float], list[Finding]]:
    """The radius of each average (Å), and the species whose own does not go with it."""
    sizes, findings = {}, []
    for a in found:
        if not a.sure or measured is None or len(a.boxes) < 2 * FEW:
            continue
        size = measured_radius(a.boxes, measured.by_species[a.species.name][0] * voxel_size)
        if size is None:
            continue
        sizes[a.species.name] = size
        if not RADII[0] < size / a.species.radius < RADII[1]:
            text = (
                f"The average of {len(a.boxes)} picks has a radius of about {size:.0f} Å, the species one of "
                f"{a.species.radius:g}: correct the project's."
            )
            findings.append(Finding("warning", "radius", text, species=a.species.name))
    return sizes, findings
