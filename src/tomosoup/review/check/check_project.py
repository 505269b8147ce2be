"""Check tomograms and picks of a project for common problems, before a network uses them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tomosoup.core.errors import InputError, shortened
from tomosoup.core.progress import Progress, no_progress, tracked
from tomosoup.core.types import PicksByRun
from tomosoup.data.options import AnnotatedData, DataOptions
from tomosoup.data.project import Project, open_project
from tomosoup.data.tomogram import chosen_runs
from tomosoup.data.truth import strange_runs, truths_there
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.review.check import densities, pick_positions, volumes
from tomosoup.review.check.findings import CheckResult, Finding
from tomosoup.review.check.sampling import ENOUGH, Survey, survey


def check(
    project: str | Path | Project,
    *,
    model: str | Path | Checkpoint | None = None,
    data: AnnotatedData = AnnotatedData(),  # noqa: B008 - immutable
    progress: Progress = no_progress,
) -> CheckResult:
    """Check a project for common problems: voxel size, grey values, contrast, misplaced picks, radii.

    Runs are read one after the other. Raises `InputError` for a project or a model that cannot be opened at all.

    Args:
        project: a copick configuration file, a folder in the contest's layout, a folder of MRC files, or one opened.
        model: a checkpoint to compare the project with.
        data: which tomograms to check, and which picks are true.
        progress: called as runs are read.
    """
    project = open_project(project) if isinstance(project, str | Path) else project
    checkpoint = load(model) if isinstance(model, str | Path) else model
    truths, findings = _truths(project, data)
    surveys, unread = _surveys(project, data, truths, progress)
    findings += unread
    if not surveys:
        return CheckResult.of(findings, {"runs": 0})
    species = project.species
    findings += [*volumes.files(project, surveys), *volumes.orientation(surveys)]
    findings += volumes.voxel_sizes(surveys, given=data.voxel_size is not None)
    findings += volumes.grey_values(surveys)
    if checkpoint:
        findings += volumes.against_model(project, species, surveys, checkpoint)
    findings += pick_positions.missing(surveys, species)
    findings += pick_positions.unlisted_species(project, surveys)
    findings += pick_positions.outside(surveys)
    findings += pick_positions.twice(surveys, species)
    findings += pick_positions.of_two_species(surveys, species)
    measured, of_densities = _densities(project, data, surveys)
    if any(f.check == "outside" and f.severity == "error" for f in findings):
        of_densities = []  # misplaced picks say nothing about densities
    return CheckResult.of([*findings, *of_densities], measured)


def _truths(project: Project, data: AnnotatedData) -> tuple[PicksByRun, list[Finding]]:
    """True picks by run, of the runs that have any; that it is not clear which picks are true is a finding."""
    try:
        truths, strange = truths_there(project, data), strange_runs(project, data.truth)
        text = f"The table of true picks has runs that the project does not have ({shortened(strange, most=6)})."
        return truths, [Finding("warning", "picks", text)] if strange else []
    except InputError as error:
        return {}, [Finding("error", "picks", str(error))]


def _surveys(
    project: Project, data: DataOptions, truths: PicksByRun, progress: Progress
) -> tuple[list[Survey], list[Finding]]:
    """What was read of each run; runs that cannot be read are findings, one a reason."""
    annotated = sum(any(map(len, picks.values())) for picks in truths.values())
    most = max(3, -(-ENOUGH // max(1, annotated)))
    surveys: list[Survey] = []
    unread: dict[str, list[str]] = {}
    for run in tracked(progress, "Checking", chosen_runs(project, data)):
        try:
            surveys.append(survey(project, run, data, truths.get(run, {}), project.species, most=most))
        except InputError as error:
            unread.setdefault(str(error).replace(f"Run {run}: ", "").replace(run, "..."), []).append(run)
    return surveys, [Finding("error", "tomogram", text, tuple(runs)) for text, runs in unread.items()]


def _densities(project: Project, data: DataOptions, surveys: Sequence[Survey]) -> tuple[dict[str, Any], list[Finding]]:
    """What picks and densities show together: measures, and findings."""
    species, voxel_size = project.species, volumes.usual_voxel_size(surveys)
    first = project.first_voxel if data.first_voxel is None else data.first_voxel
    found = densities.averages(surveys, species)
    contrast, findings = densities.sign(found, surveys)
    offsets = densities.offsets(found, voxel_size)
    findings += densities.half_voxels(offsets, species, first=first, voxel_size=voxel_size)
    sizes, of_radii = densities.radii(found, offsets, voxel_size=voxel_size)
    measured: dict[str, Any] = {
        "runs": len(surveys),
        "voxel_size": voxel_size,
        "shape": list(surveys[0].tomogram.shape),
        "picks": {s.name: sum(len(one.picks.get(s.name, ())) for one in surveys) for s in species},
        "particles": contrast,
        "contrast": {a.species.name: a.contrast for a in found},
        "radius": sizes,
    }
    if offsets:
        measured["offset_vox"] = dict(zip("zyx", offsets.offset.tolist(), strict=True))
        measured["offset_error_vox"] = dict(zip("zyx", offsets.error.tolist(), strict=True))
    return measured, findings + of_radii
