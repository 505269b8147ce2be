"""Picks from other programs' files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tomosoup.core.errors import InputError, shortened
from tomosoup.core.types import Picks, check_name
from tomosoup.data.formats.base import Block, Details, Format
from tomosoup.data.formats.export_picks import grids_of, run_template
from tomosoup.data.formats.known_formats import FORMATS
from tomosoup.data.formats.name_template import Template
from tomosoup.data.options import FormatName, FrameOptions
from tomosoup.data.project import open_project


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

    Raises `InputError` where files cannot be read or do not say enough.
    """
    form = FORMATS[format]
    paths = [Path(file) for file in ([files] if isinstance(files, str | Path) else files)]
    frame = form.frame.with_first_voxel(options.other_first_voxel)
    runs_named, names = run_template(options, form), Template(pattern or f"{{run}}{form.endings[0]}", "pattern")
    blocks = [
        (run, name, block)
        for path in paths
        for block in form.decode(path, Details(pixel_size=options.pixel_size))
        for run, name in [names_of(block, path, runs=runs_named, files=names, species=species, form=form)]
        if len(block.picks) and run in (options.data.runs or [run])
    ]
    if not blocks:
        sources, runs = shortened([str(path) for path in paths], most=3), ", ".join(options.data.runs)
        raise InputError(f"There are no picks{f' of run {runs}' if runs else ''} in {sources}.")
    project = open_project(options.project) if options.project else None
    grids = grids_of(project, {run for run, _, _ in blocks}, options) if frame.first_voxel is not None else {}
    parts: dict[str, dict[str, list[Picks]]] = {}
    for run, name, block in blocks:
        size = options.pixel_size or block.pixel_size
        zyx = frame.here(block.picks.zyx, grids.get(run), pixel_size=size, fractions=block.fractions)
        parts.setdefault(run, {}).setdefault(name, []).append(replace(block.picks, zyx=zyx))
    return {run: {name: joined(those) for name, those in found.items()} for run, found in parts.items()}


def names_of(
    block: Block, path: Path, *, runs: Template, files: Template, species: str | None, form: Format
) -> tuple[str, str]:
    """The project's names of a block's run and species, from what its file says or is called."""
    from_name = files.match(path.name) or {}
    theirs = block.run if block.run is not None or form.several_runs else from_name.get("run")
    run = from_name.get("run") if theirs is None else (runs.match(theirs) or {}).get("run")
    if run is None and theirs is not None:
        raise InputError(
            f"{path} calls its run {theirs[:100]!r}, which does not fit {runs.text}: give the names of runs as `name`."
        )
    name = block.species or from_name.get("species") or species
    if run is None or name is None:
        what, other = ("run", "") if run is None else ("species", ", or give `species`")
        raise InputError(
            f"{path} does not say its {what}, and its name does not fit {files.text} with a {what} in it: say how "
            f"files are named with `pattern`{other}."
        )
    return run, check_name(name, what="a species")


def joined(parts: Sequence[Picks]) -> Picks:
    """Picks of several blocks as one; orientations only where all have them."""
    rotations = [part.rotations for part in parts if part.rotations is not None]
    return Picks(
        np.concatenate([part.zyx for part in parts]),
        np.concatenate([part.score for part in parts]),
        np.concatenate(rotations) if len(rotations) == len(parts) else None,
    )
