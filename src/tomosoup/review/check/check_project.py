"""Is a project what it is taken for? `tomosoup check`: look at tomograms and picks before a net does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tomosoup.cli.options.check import CheckCommand
from tomosoup.core.errors import InputError
from tomosoup.core.progress import Progress, no_progress
from tomosoup.core.types import PicksBySpecies
from tomosoup.data.options import DataOptions
from tomosoup.data.project import Project, open_project
from tomosoup.data.tomogram import chosen_runs
from tomosoup.data.truth import truths_there
from tomosoup.models.checkpoint import load
from tomosoup.review.check import densities, volumes
from tomosoup.review.check import pick_positions as places
from tomosoup.review.check.findings import Finding, Report
from tomosoup.review.check.sampling import ENOUGH, Survey, survey


def check(options: CheckCommand, *, progress: Progress = no_progress) -> Report:
    """All findings on the chosen runs of a project, read one after the other.

    Raises `InputError` for a project, a model or a truth that cannot be opened at all.
    """
    project, data = open_project(options.project), options.data
    model = load(options.model) if options.model else None
    species = project.species
    runs = chosen_runs(project, data)
    truths, findings = _truths(project, options)
    most = max(3, -(-ENOUGH // max(1, sum(any(map(len, t.values())) for t in truths.values()))))
    surveys: list[Survey] = []
    unread: dict[str, list[str]] = {}
    for i, run in enumerate(runs):
        progress("Checking", i, len(runs))
        try:
            surveys.append(survey(project, run, data, truths.get(run, {}), species, most=most))
        except InputError as error:
            unread.setdefault(str(error).replace(f"Run {run}: ", "").replace(run, "..."), []).append(run)
    progress("Checking", len(runs), len(runs))
    findings += [Finding("error", "tomogram", text, tuple(those)) for text, those in unread.items()]
    if not surveys:
        return Report.of(findings, {"runs": 0})
    findings += [*volumes.voxel_sizes(surveys), *volumes.grey_values(surveys)]
    if model:
        findings += volumes.against_model(project, species, surveys, model)
    findings += [*places.empty(surveys, species), *places.strangers(surveys, species), *places.outside(surveys)]
    findings += [*places.twice(surveys, species), *places.of_two_species(surveys, species)]
    measured, more = _densities(project, data, surveys)
    if any(f.check == "outside" and f.severity == "error" for f in findings):
        more = []  # nothing to be said of what is elsewhere
    return Report.of([*findings, *more], measured)


def _truths(project: Project, options: CheckCommand) -> tuple[dict[str, PicksBySpecies], list[Finding]]:
    """True picks by run, of the runs that have any; a truth that cannot be told from others is a finding."""
    try:
        return dict(truths_there(project, options.data)), []
    except InputError as error:
        return {}, [Finding("error", "picks", str(error))]


def _densities(project: Project, data: DataOptions, surveys: Sequence[Survey]) -> tuple[dict[str, Any], list[Finding]]:
    """What picks and densities say together: measures for programs, and findings."""
    species, voxel_size = project.species, volumes.usual_voxel_size(surveys)
    first = project.first_voxel if data.first_voxel is None else data.first_voxel
    found = densities.averages(surveys, species)
    contrast, findings = densities.sign(found, surveys)
    offsets = densities.offsets(found, voxel_size)
    findings += densities.half_voxels(offsets, species, first=first, voxel_size=voxel_size)
    sizes, more = densities.radii(found, offsets, voxel_size=voxel_size)
    measured: dict[str, Any] = {
        "runs": len(surveys),
        "voxel_size": voxel_size,
        "shape": list(surveys[0].tomogram.shape),
        "picks": {s.name: sum(len(v.picks.get(s.name, ())) for v in surveys) for s in species},
        "particles": contrast,
        "contrast": {a.species.name: a.contrast for a in found},
        "radius": sizes,
    }
    if offsets:
        measured["offset_vox"] = dict(zip("zyx", offsets.offset.tolist(), strict=True))
        measured["offset_error_vox"] = dict(zip("zyx", offsets.error.tolist(), strict=True))
    return measured, findings + more
