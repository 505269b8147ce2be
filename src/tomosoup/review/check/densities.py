"""Findings on picks and densities together: contrast, half-voxel shifts, radii."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tomosoup.core.types import Array, Species
from tomosoup.data.volumes.voxel_size import same_voxel_size
from tomosoup.review.check.findings import Finding
from tomosoup.review.check.sampling import Survey
from tomosoup.review.check.subtomogram_average import Boxes, contrast, joined, measured_radius, offset
from tomosoup.review.check.volumes import usual_voxel_size

SIGNIFICANT = 5.0
"""A contrast above so many standard errors is significant."""
FEW = 10
"""Fewer picks are too few for an average."""
SKEWED = 0.15
"""Skewness of grey values: below minus this, particles are dark; above this, they are bright."""
OFF = 0.25
"""Voxels between picks and densities that are worth a finding."""
LEAST_ERROR = 0.02
"""Voxels: no species' offset is known better, as its centre is a matter of definition."""
RADII = 0.5, 1.4
"""The measured radius and the species' agree if their ratio is within these."""


@dataclass(frozen=True)
class Average:
    """The boxes of one species in all runs."""

    species: Species
    boxes: Boxes
    contrast: float
    """As `subtomogram_average.contrast` measures it."""
    error: float
    """Its standard error."""

    @property
    def significant(self) -> bool:
        """Whether there is a density at the picks."""
        return len(self.boxes) >= FEW and abs(self.contrast) > SIGNIFICANT * self.error


def averages(surveys: Sequence[Survey], species: Sequence[Species]) -> list[Average]:
    """The average of each species that has boxes, from the runs of the usual voxel size."""
    usual = usual_voxel_size(surveys)
    found = []
    for one in species:
        parts = [
            s.boxes[one.name] for s in surveys if one.name in s.boxes and same_voxel_size(s.tomogram.voxel_size, usual)
        ]
        if parts:
            boxes = joined(parts)
            found.append(Average(one, boxes, *contrast(boxes)))
    return found


def sign(found: Sequence[Average], surveys: Sequence[Survey]) -> tuple[str, list[Finding]]:
    """Whether particles are "dark", "bright" or "unknown", and findings where networks expect something else."""
    inverted = surveys[0].tomogram.inverted
    significant = [a for a in found if a.significant]
    findings = [
        Finding(
            "warning",
            "contrast",
            f"There is no density at its {len(a.boxes)} picks (contrast {a.contrast:.2f} ± {a.error:.2f} standard "
            "deviations): check that positions are in Å and that `voxel_size` is right.",
            species=a.species.name,
        )
        for a in found
        if not a.significant and len(a.boxes) > 2 * FEW
    ]
    if significant:
        verdict = "dark" if sum(a.contrast / a.error for a in significant) < 0 else "bright"
        if verdict == "bright":
            cure = "do not set `invert`" if inverted else "train, tune and pick with `invert=True`"
            text = f"The particles are bright, and networks expect dark ones: {cure}."
            findings.append(Finding("error", "contrast", text))
        return verdict, findings
    skewness = float(np.mean([s.grey.skewness for s in surveys]))
    if abs(skewness) < SKEWED:
        text = "Networks expect dark particles. Without picks this cannot be checked: look at a tomogram, and set "
        text += "`invert=True` if they are bright."
        return "unknown", [*findings, Finding("note", "contrast", text)]
    if skewness > 0:
        text = f"The particles are probably bright (skewness {skewness:.2f}), and networks expect dark ones: look at a "
        text += "tomogram, and set `invert=True`."
        return "bright", [*findings, Finding("warning", "contrast", text)]
    return "dark", findings


@dataclass(frozen=True)
class Offsets:
    """Offsets of densities from their picks: voxels along z, y, x, with standard errors, `(3,)` each."""

    offset: Array
    error: Array
    by_species: Mapping[str, tuple[Array, Array]] = field(default_factory=dict)
    """Offset and standard error of each species."""


def offsets(found: Sequence[Average], voxel_size: float) -> Offsets | None:
    """Offsets of the species with a significant density, and their mean, which counts the scatter between species.

    Random-effects mean of DerSimonian and Laird (1986). None where no density is significant.
    """
    own = {a.species.name: offset(a.boxes) for a in found if a.significant}
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
    """A significant offset; where all axes share it, with the first voxel (now `first`) that corrects it."""
    if found is None:
        return []
    there = (np.abs(found.offset) > OFF) & (np.abs(found.offset) > 3 * found.error)
    if not there.any():
        return []
    grave = np.abs(found.offset[there]).max() * voxel_size > 0.25 * min(s.radius for s in species)
    z, y, x = found.offset
    text = f"Densities are {z:.2f}, {y:.2f}, {x:.2f} voxels (z, y, x; ± {found.error.max():.2f}) from their picks: "
    mean = float((found.offset / found.error**2).sum() / (1 / found.error**2).sum())
    if (np.abs(found.offset - mean) < np.maximum(3 * found.error, OFF)).all():
        wanted = first - mean
        halves = round(2 * wanted) / 2
        text += f"set `first_voxel={halves if abs(halves - wanted) < 0.1 else round(wanted, 2):g}`."
    else:
        text += "shift the picks, or check how the tomogram was cut."
    return [Finding("error" if grave else "warning", "offset", text)]


def radii(
    found: Sequence[Average], measured: Offsets | None, *, voxel_size: float
) -> tuple[dict[str, float], list[Finding]]:
    """The radius of each average (Å), and findings where it disagrees with the species'."""
    sizes, findings = {}, []
    for a in found:
        if not a.significant or measured is None or len(a.boxes) < 2 * FEW:
            continue
        size = measured_radius(a.boxes, measured.by_species[a.species.name][0] * voxel_size)
        if size is None:
            continue
        sizes[a.species.name] = size
        if not RADII[0] < size / a.species.radius < RADII[1]:
            findings.append(_other_radius(a, size))
    return sizes, findings


def _other_radius(average: Average, size: float) -> Finding:
    """A warning where the average shows the measured radius (Å) well, else a note.

    A peak of noise looks like a small particle, so the contrast within the measured radius must be significant, too. Of
    119 averages of 20 balls in white noise, 24 measured radii were far off (`RADII`): all had a contrast of less than 5
    standard errors within that radius; of the others, 2 had.
    """
    name, picks = average.species.name, len(average.boxes)
    value, error = contrast(replace(average.boxes, radius=size))
    if abs(value) < SIGNIFICANT * error:
        text = f"The average of {picks} picks is too noisy to check the radius of {average.species.radius:g} Å."
        return Finding("note", "radius", text, species=name)
    text = (
        f"The average of {picks} picks has a radius of about {size:.0f} Å, the species one of "
        f"{average.species.radius:g} Å: correct the species' radius if this is not the particle's."
    )
    return Finding("warning", "radius", text, species=name)
