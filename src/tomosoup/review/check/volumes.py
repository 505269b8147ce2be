"""Findings on tomograms: voxel size, grey values, what a model expects."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import median

from tomosoup.core.types import Species
from tomosoup.data.project import CopickProject, Project
from tomosoup.data.volumes.resampling import FAR, WRONG
from tomosoup.data.volumes.voxel_size import same_voxel_size
from tomosoup.inference.sliding_window import SCALES
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.models.rename import named_for
from tomosoup.review.check.findings import Finding
from tomosoup.review.check.sampling import Survey

CLIPPED = 0.005
"""A share of voxels at exactly the lowest or highest value that is no accident."""
OTHER_SCALE = 5.0
"""A run whose grey values deviate so many times more or less than the others' is of another kind."""


def usual_voxel_size(surveys: Sequence[Survey]) -> float:
    """The runs' median voxel size, Å."""
    return median(s.tomogram.voxel_size for s in surveys)


def voxel_sizes(surveys: Sequence[Survey]) -> Iterator[Finding]:
    """Runs that differ from the others."""
    usual = usual_voxel_size(surveys)
    for size in sorted({s.tomogram.voxel_size for s in surveys}):
        if not same_voxel_size(size, usual):
            yield Finding(
                "warning",
                "voxel size",
                f"Voxels of {size:.4g} Å, those of most runs {usual:.4g}: training needs --resample-to, and picking "
                "resamples; is it true? (--voxel-size)",
                tuple(s.run for s in surveys if s.tomogram.voxel_size == size),
            )


def grey_values(surveys: Sequence[Survey]) -> Iterator[Finding]:
    """Voxels that are no numbers, all the same or clipped; runs on another scale than the others."""
    if some := [s for s in surveys if s.grey.bad]:
        text = f"Up to {100 * max(s.grey.bad for s in some):.2g} % of the voxels looked at are NaN or infinite: repair "
        yield Finding("error", "grey values", f"{text}the tomogram, or leave it out.", names(some))
    if some := [s for s in surveys if not s.grey.bad and not s.grey.deviation]:
        text = f"All voxels looked at are {some[0].grey.mean:g}: copy the tomogram again, or leave it out."
        yield Finding("error", "grey values", text, names(some))
    good = [s for s in surveys if s.grey.usable]
    if some := [s for s in good if s.grey.at_ends > CLIPPED]:
        worst = max(some, key=lambda s: s.grey.at_ends)
        yield Finding(
            "warning",
            "grey values",
            f"Up to {worst.grey.at_ends:.1%} of the voxels are exactly the lowest or the highest value "
            f"({worst.grey.lowest:g}, {worst.grey.highest:g}): clipped or padded: export as 16 or 32 bits, unpadded.",
            names(some),
        )
    usual = median(s.grey.deviation for s in good) if len(good) > 2 else math.nan
    if some := [s for s in good if abs(math.log(s.grey.deviation / usual)) > math.log(OTHER_SCALE)]:
        text = f"Grey values deviate by {some[0].grey.deviation:.3g}, those of most runs by {usual:.3g}: of another "
        yield Finding("warning", "grey values", f"{text}kind? Train with --normalisation volume.", names(some))


def names(surveys: Sequence[Survey]) -> tuple[str, ...]:
    """Their runs."""
    return tuple(s.run for s in surveys)


def against_model(
    project: Project, species: Sequence[Species], surveys: Sequence[Survey], model: Checkpoint
) -> Iterator[Finding]:
    """What the model was trained on and this is not."""
    size = usual_voxel_size(surveys)
    ratio = model.voxel_size / size
    if not same_voxel_size(model.voxel_size, size):
        far, wrong = not FAR[0] <= ratio <= FAR[1], not WRONG[0] <= ratio <= WRONG[1]
        yield Finding(
            "error" if wrong else "warning" if far else "note",
            "voxel size",
            f"Voxels of {size:.4g} Å, the model's {model.voxel_size:.4g} Å: "
            + ("too far to resample" if wrong else "picking resamples")
            + ("; check --voxel-size." if far else "."),
        )
    if expected := model.normalisation.deviation:
        off = [s for s in surveys if s.grey.usable and not 1 / SCALES < s.grey.deviation / expected < SCALES]
        if off:
            yield Finding(
                "error",
                "grey values",
                f"They deviate by {median(s.grey.deviation for s in off):.3g}, and the model expects about "
                f"{expected:.3g}: pick the kind of tomogram that it was trained on.",
                tuple(s.run for s in off),
            )
    named = named_for(project, [model])[0].species
    listed = {s.name: s for s in species}
    missing = [s.name for s in named if s.name not in listed]
    if missing:
        yield Finding(
            "error" if isinstance(project, CopickProject) else "note",
            "species",
            f"The model finds {', '.join(missing)}, which the project does not list: add them to its objects.",
        )
    for s in named:
        if s.name in listed and abs(listed[s.name].radius / s.radius - 1) > 0.1:
            yield Finding(
                "warning",
                "species",
                f"Its radius is {listed[s.name].radius:g} Å here and {s.radius:g} Å in the model: scores match within "
                "half of it.",
                species=s.name,
            )
    if unknown := [name for name in listed if name not in {s.name for s in named}]:
        yield Finding("note", "species", f"The model does not find {', '.join(unknown)}.")
