"""Findings on tomograms: voxel size, grey values, and differences from what a model was trained on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import median

from tomosoup.core.types import Species
from tomosoup.data.project import CopickProject, Project, left_out, where_species_are_listed
from tomosoup.data.volumes.resampling import FAR, WRONG
from tomosoup.data.volumes.voxel_size import doubtful_size, same_voxel_size
from tomosoup.inference.sliding_window import SCALES
from tomosoup.models.adapt import named_for
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.review.check.findings import Finding
from tomosoup.review.check.sampling import Survey

CLIPPED = 0.005
"""A larger fraction of voxels at exactly the lowest or highest value is no accident."""
OTHER_SCALE = 5.0
"""A run is of another tomogram type if its grey values spread so many times more or less than the others'."""
THIN = 0.6
"""A tomogram that along y has less than this times the voxels along z and along x is probably turned."""
OTHER_RADIUS = 0.1
"""Relative difference of two radii that is worth a warning."""


def usual_voxel_size(surveys: Sequence[Survey]) -> float:
    """The runs' median voxel size, Å."""
    return median(s.tomogram.voxel_size for s in surveys)


def files(project: Project, surveys: Sequence[Survey]) -> Iterator[Finding]:
    """Volumes of a folder that are not read, and files that are odd though they can be read."""
    if text := left_out(project):
        yield Finding("warning", "files", text)
    odd: dict[str, list[str]] = {}
    for one in surveys:
        for text in one.tomogram.remarks():
            odd.setdefault(text, []).append(one.run)
    yield from (Finding("warning", "files", text, tuple(runs)) for text, runs in odd.items())


def orientation(surveys: Sequence[Survey]) -> Iterator[Finding]:
    """Tomograms that are thinnest along y: some programs write the thickness there."""
    shapes = {s.run: s.tomogram.shape for s in surveys}
    if runs := tuple(run for run, (z, y, x) in shapes.items() if y < THIN * min(z, x)):
        z, y, x = shapes[runs[0]]
        yield Finding(
            "warning",
            "axes",
            f"The tomogram is thinnest along y ({x} x {y} x {z} voxels along x, y, z), and expected to be thinnest "
            "along z: rotate it about x (IMOD: `clip rotx`, `trimvol -rx`).",
            runs,
        )


def voxel_sizes(surveys: Sequence[Survey], *, given: bool) -> Iterator[Finding]:
    """Runs whose voxel size differs from the others'; a size that is probably none, unless the user has `given` it."""
    usual = usual_voxel_size(surveys)
    if not given and (text := doubtful_size(usual)):
        yield Finding("warning", "voxel size", text)
    for size in sorted({s.tomogram.voxel_size for s in surveys}):
        if not same_voxel_size(size, usual):
            yield Finding(
                "warning",
                "voxel size",
                f"The voxels are {size:.4g} Å, those of most runs {usual:.4g} Å. If that is wrong, set `voxel_size`; "
                "if it is right, train with `resample_to`. Picking resamples.",
                tuple(s.run for s in surveys if s.tomogram.voxel_size == size),
            )


def grey_values(surveys: Sequence[Survey]) -> Iterator[Finding]:
    """Voxels that are not numbers, all the same or clipped; runs on another scale than the others."""
    if some := [s for s in surveys if s.grey.bad]:
        text = f"Up to {100 * max(s.grey.bad for s in some):.2g} % of the checked voxels are NaN or infinite: "
        yield Finding("error", "grey values", f"{text}repair the tomogram, or leave it out.", names(some))
    if some := [s for s in surveys if not s.grey.bad and not s.grey.standard_deviation]:
        text = f"All checked voxels are {some[0].grey.mean:g}: copy the tomogram again, or leave it out."
        yield Finding("error", "grey values", text, names(some))
    good = [s for s in surveys if s.grey.usable]
    if some := [s for s in good if s.grey.at_ends > CLIPPED]:
        worst = max(some, key=lambda s: s.grey.at_ends)
        yield Finding(
            "warning",
            "grey values",
            f"Up to {100 * worst.grey.at_ends:.2g} % of the voxels have exactly the lowest or the highest value "
            f"({worst.grey.lowest:g}, {worst.grey.highest:g}): they were clipped or padded. Export the tomogram as 16- "
            "or 32-bit numbers, without padding.",
            names(some),
        )
    usual = median(s.grey.standard_deviation for s in good) if len(good) > 2 else math.nan
    if some := [s for s in good if abs(math.log(s.grey.standard_deviation / usual)) > math.log(OTHER_SCALE)]:
        own = some[0].grey.standard_deviation
        text = f"The standard deviation of grey values is {own:.3g}, in most runs {usual:.3g}: use tomograms of one "
        text += "type, or train with `normalisation=volume`."
        yield Finding("warning", "grey values", text, names(some))


def names(surveys: Sequence[Survey]) -> tuple[str, ...]:
    """Their runs."""
    return tuple(s.run for s in surveys)


def against_model(
    project: Project, species: Sequence[Species], surveys: Sequence[Survey], model: Checkpoint
) -> Iterator[Finding]:
    """Differences of the project from what the model was trained on: voxel size, grey values, species."""
    size = usual_voxel_size(surveys)
    ratio = model.voxel_size / size
    if not same_voxel_size(model.voxel_size, size):
        far, wrong = not FAR[0] <= ratio <= FAR[1], not WRONG[0] <= ratio <= WRONG[1]
        yield Finding(
            "error" if wrong else "warning" if far else "note",
            "voxel size",
            f"The voxels are {size:.4g} Å, the model's {model.voxel_size:.4g} Å: "
            + ("that is too different to resample" if wrong else "picking resamples")
            + ("; check `voxel_size`." if far else "."),
        )
    if expected := model.normalisation.deviation:
        off = [s for s in surveys if s.grey.usable and not 1 / SCALES < s.grey.standard_deviation / expected < SCALES]
        if off:
            yield Finding(
                "error",
                "grey values",
                f"Their standard deviation is {median(s.grey.standard_deviation for s in off):.3g}, the model expects "
                f"about {expected:.3g}: choose tomograms of the type that it was trained on.",
                names(off),
            )
    yield from _species_against_model(project, species, model)


def _species_against_model(project: Project, species: Sequence[Species], model: Checkpoint) -> Iterator[Finding]:
    """Species that only one of project and model knows, and radii that differ."""
    named = {s.name: s for s in named_for(project, [model])[0].species}
    listed = {s.name: s for s in species}
    if unlisted := [name for name in named if name not in listed]:
        yield Finding(
            "error" if isinstance(project, CopickProject) else "note",
            "species",
            f"The model finds {', '.join(unlisted)}, which the project does not list: add them to "
            f"{where_species_are_listed(project)}.",
        )
    for name in (name for name in named if name in listed):
        here, there = listed[name].radius, named[name].radius
        if abs(here / there - 1) > OTHER_RADIUS:
            text = f"Its radius is {here:g} Å here and {there:g} Å in the model; scores count picks within half of it."
            yield Finding("warning", "species", text, species=name)
    if unknown := [name for name in listed if name not in named]:
        yield Finding("note", "species", f"The model does not find {', '.join(unknown)}.")
