"""Picks from other programs' files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tomosoup.core.errors import InputError, counted, shortened
from tomosoup.core.files import unpacked_name
from tomosoup.core.types import Grid, Picks, check_name
from tomosoup.data.formats.base import Block, Details, Format, Frame, apart
from tomosoup.data.formats.geometry.tomogram_sizes import read_sizes
from tomosoup.data.formats.geometry.voxels import grids_of, origins_of, remark_centre, remark_origins, sizes_by_run
from tomosoup.data.formats.known_formats import FORMATS
from tomosoup.data.formats.name_template import RunNames, Template, advice, by_number, paired
from tomosoup.data.formats.remarks import check_runs, remark, remark_crowded, remark_outside, remark_twice
from tomosoup.data.formats.tables.score_names import USUAL
from tomosoup.data.options import FormatName, FrameOptions
from tomosoup.data.project import Project, open_project
from tomosoup.data.volumes.voxel_size import same_voxel_size


@dataclass(frozen=True)
class Part:
    """A block with the file that it is from and the names that it has there."""

    path: Path
    block: Block
    run: str
    """The other program's name, or the project's where only the name of the file says it."""
    species: str
    run_of_file: bool = False
    """Whether the file alone is called after the run: then it is the project's name."""


def import_picks(
    files: str | Path | Sequence[str | Path],
    format: FormatName,  # noqa: A002 - what the command line calls it
    *,
    species: str | None = None,
    pattern: str | None = None,
    options: FrameOptions = FrameOptions(),  # noqa: B008 - immutable
) -> dict[str, dict[str, Picks]]:
    """Read other programs' files: picks by run and species, in Å; `write_picks` keeps them.

    Args:
        files: One file of that program, or several.
        format: Their format (`FORMATS`).
        species: The particles' species, where neither files nor their names say it.
        pattern: How files are named, where they do not say the run or the species: `{run}_{species}.coords`.
        options: The tomograms' voxels, the other program's frame and its names of runs.

    What is doubtful is said (`formats.remarks`). Raises `InputError` where files cannot be read or do not say enough.
    """
    form = FORMATS[format]
    paths = [Path(file) for file in ([files] if isinstance(files, str | Path) else files)]
    names = Template(pattern or f"{{run}}{form.endings[0]}", "pattern")
    parts = [
        part_of(block, path, files=names, species=species, form=form)
        for path in paths
        for block in form.decode(path, Details(pixel_size=options.pixel_size))
        if len(block.picks)
    ]
    project = open_project(options.project) if options.project else None
    called = RunNames.of(options.name, usual=form.run)
    source = shortened([str(path) for path in paths], most=3)
    ours = project_names(parts, called, project, source=source)
    parts = [part for part in parts if ours.get(part.run) in (options.data.runs or ours.values())]
    if not parts:
        asked = ", ".join(options.data.runs)
        raise InputError(f"There are no picks{f' of run {asked}' if asked else ''} in {source}.")
    runs = sorted({ours[part.run] for part in parts})
    frame, sizes = form.frame.with_first_voxel(options.other_first_voxel), read_sizes(options.tomograms)
    grids = grids_of(project, runs, options, sizes_by_run(sizes, runs, {ours[p.run]: p.run for p in parts}))
    if frame.first_voxel is not None:
        remark_sizes(parts, frame, [grids[run] for run in runs if run in grids], options)
        remark_centre(frame, grids.values(), format)
    origins = origins_of(project, runs) if format == "chimerax" else {}
    if not options.header_origin:
        remark_origins(origins)
    found = positions(parts, ours, frame, grids, options, origins=origins if options.header_origin else {})
    picks = {run: {name: apart(p, options.apart) for name, p in those.items()} for run, those in found.items()}
    remark_scores(parts)
    remark_outside(picks, grids)
    remark_crowded(picks, grids)
    if project is not None:
        remark_twice(picks, project.species)
    return picks


def part_of(block: Block, path: Path, *, files: Template, species: str | None, form: Format) -> Part:
    """A block with the names of its run and species, from what its file says or is called."""
    from_name = files.match(path.name) or files.match(usual_name(path, form.endings[0])) or {}
    theirs = block.run if block.run is not None else from_name.get("run")
    name = block.species or from_name.get("species") or species
    if name and species and name != species:
        remark("species", f"{path} says the species {name}: it counts, and not {species}, which `species` gives.")
    if theirs is None or name is None:
        what, other = ("run", "") if theirs is None else ("species", ", or give `species`")
        raise InputError(
            f"{path} does not say its {what}, and its name does not fit {files.text} with a {what} in it: say how "
            f"files are named with `pattern`{other}."
        )
    return Part(path, block, theirs, check_name(name, what="a species"), block.run is None and form.several_runs)


def usual_name(path: Path, ending: str) -> str:
    """The name of a file with its ending as it usually is: in small letters, and not packed."""
    name = unpacked_name(path)
    return name[: -len(ending)] + ending if name.lower().endswith(ending) else name


def project_names(parts: Sequence[Part], called: RunNames, project: Project | None, *, source: str) -> dict[str, str]:
    """The project's name of each run that the project has. Raises `InputError` where it has none of them."""
    runs = [] if project is None else project.runs
    bare = RunNames.of(None, usual="{run}")
    ours: dict[str, str] = {}
    for how, of_file in ((called, False), (bare, True)):
        names = list(dict.fromkeys(part.run for part in parts if part.run_of_file == of_file))
        ours |= paired(names, runs, how, source=source)
    if project is None or not ours:
        return ours
    do = f"say how runs are called with {advice(ours, runs)}"
    unknown = check_runs(ours.values(), runs, source=source, project=str(project.path), do=do)
    if unknown:
        do = f"say how runs are called with {advice([name for name, run in ours.items() if run in unknown], runs)}"
        has = f"{project.path} has {shortened(runs, most=6)}"
        remark(
            "unknown-runs",
            f"Picks of {counted(len(unknown), 'unknown run')} are left out ({shortened(unknown, most=6)}; {has}): if "
            f"runs have other names there, {do}.",
        )
    usual = {called.theirs(run) for run in ours.values()} if not called.given else set()
    renamed = {name: run for name, run in ours.items() if name not in {run, *usual} and run in runs}
    if renamed and not called.given:
        pairs = shortened([f"{name} is {run}" for name, run in renamed.items()], most=3)
        by = f"common part of their names ({pairs}), as with {advice(renamed, runs)}"
        if all(by_number(name, runs) == run for name, run in renamed.items()):
            by = f"number that their names end in ({pairs})"
        remark("renamed", f"Runs were found by the {by}.")
    return {name: run for name, run in ours.items() if run in runs}


def positions(
    parts: Iterable[Part],
    ours: Mapping[str, str],
    frame: Frame,
    grids: Mapping[str, Grid],
    options: FrameOptions,
    *,
    origins: Mapping[str, tuple[float, float, float]],
) -> dict[str, dict[str, Picks]]:
    """The picks of all parts by run and species, in Å of the project; the other program's count from `origins`."""
    found: dict[str, dict[str, list[Picks]]] = {}
    for part in parts:
        run, block = ours[part.run], part.block
        size = options.pixel_size or block.pixel_size
        zyx = frame.here(block.picks.zyx, grids.get(run), pixel_size=size, fractions=block.fractions)
        zyx = zyx - np.asarray(origins.get(run, (0, 0, 0)))
        found.setdefault(run, {}).setdefault(part.species, []).append(replace(block.picks, zyx=zyx))
    return {run: {name: joined(those) for name, those in species.items()} for run, species in found.items()}


def joined(parts: Sequence[Picks]) -> Picks:
    """Picks of several blocks as one; orientations only where all have them."""
    rotations = [part.rotations for part in parts if part.rotations is not None]
    if 0 < len(rotations) < len(parts):
        remark("left-out", "Some files have orientations and others have none: the orientations are left out.")
    distances = [part.mask_distance for part in parts]
    known = [np.full(len(part), np.nan) if d is None else d for part, d in zip(parts, distances, strict=True)]
    return Picks(
        np.concatenate([part.zyx for part in parts]),
        np.concatenate([part.score for part in parts]),
        np.concatenate(rotations) if len(rotations) == len(parts) else None,
        None if all(d is None for d in distances) else np.concatenate(known),
    )


def remark_scores(parts: Sequence[Part]) -> None:
    """Say where scores are from, and where there are none."""
    for path in dict.fromkeys(part.path for part in parts):
        blocks = [part.block for part in parts if part.path == path]
        none = sum(len(b.picks) if b.scored_by is None else b.unscored for b in blocks)
        total = sum(len(b.picks) for b in blocks)
        if none:
            of = f"{none} of {counted(total, 'pick')} in {path} have" if none < total else f"{path} has"
            scores = sorted({f"{value:g}" for b in blocks if b.scored_by is None for value in b.picks.score}) or ["1"]
            remark("no-scores", f"{of} no scores: their score is {' or '.join(scores)}, and thresholds mean nothing.")
        for column in sorted({b.scored_by for b in blocks if b.scored_by} - USUAL):
            remark("scores-from", f"The scores of {path} are from {column}.")


def remark_sizes(parts: Sequence[Part], frame: Frame, grids: Sequence[Grid], options: FrameOptions) -> None:
    """Say which pixel size counts, where the file says none or the user another."""
    said = sorted({part.block.pixel_size for part in parts if part.block.pixel_size})
    if frame.unit == "Å":
        return
    if said and options.pixel_size and not same_voxel_size(said[0], options.pixel_size):
        remark("pixel-size", f"The file says {said[0]:g} Å a pixel; `pixel_size={options.pixel_size:g}` counts.")
    if frame.unit == "voxel" and grids:
        size = grids[0].voxel_size
        silent = [part for part in parts if not (part.block.pixel_size or part.block.fractions)]
        if silent and not options.pixel_size:
            remark(
                "pixel-size",
                f"{silent[0].path} does not say its pixel size: voxels of {size:g} Å are assumed. If it counts others, "
                "give their size as `pixel_size` (1 for positions in Å).",
            )
        for other in [options.pixel_size] if options.pixel_size else said:
            if not same_voxel_size(other, size):
                remark("pixel-size", f"Positions are in voxels of {other:g} Å; those of the tomograms are {size:g} Å.")
