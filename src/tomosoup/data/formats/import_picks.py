"""Picks from other programs' files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tomosoup.cli.options.exchange import ImportCommand
from tomosoup.core.errors import InputError, shortened
from tomosoup.core.files import refuse_existing
from tomosoup.core.types import Picks, PicksByRun, check_name
from tomosoup.data.copick import files as copick_files
from tomosoup.data.copick.roots import run_of
from tomosoup.data.formats.base import Block, Details, Format
from tomosoup.data.formats.csv_tables import write_csv
from tomosoup.data.formats.export_picks import grids_of, run_template
from tomosoup.data.formats.known_formats import FORMATS
from tomosoup.data.formats.name_template import Template
from tomosoup.data.pick_store.pick_set import PickSet
from tomosoup.data.project import CopickProject, Project, open_project


def import_picks(options: ImportCommand) -> PicksByRun:
    """Read other programs' files as the `import` command is told, and write what they hold. Returns it.

    Raises `InputError` where files cannot be read, do not say enough, or what is there already may not be replaced.
    """
    form = FORMATS[options.format]
    to_table = options.output.suffix == ".csv"
    target = None if to_table else open_project(options.output)
    if to_table:
        refuse_existing(options.output, overwrite=options.overwrite)
    project = open_project(options.project) if options.project else target
    frame = form.frame.with_first_voxel(options.their_first_voxel)
    called = run_template(options, form)
    blocks = [
        (run, name, block)
        for path in options.files
        for block in form.decode(path, Details(pixel_size=options.pixel_size))
        for run, name in [ours(block, path, called, options, form)]
        if len(block.picks) and run in (options.data.runs or [run])
    ]
    grids = grids_of(project, {run for run, _, _ in blocks}, options) if frame.first_voxel is not None else {}
    parts: dict[str, dict[str, list[Picks]]] = {}
    for run, name, block in blocks:
        zyx = frame.here(block.picks.zyx, grids.get(run), pixel_size=block.pixel_size, shares=block.shares)
        parts.setdefault(run, {}).setdefault(name, []).append(replace(block.picks, zyx=zyx))
    picks = {run: {name: joined(those) for name, those in species.items()} for run, species in parts.items()}
    if not picks:
        files, runs = shortened([str(path) for path in options.files], most=3), ", ".join(options.data.runs)
        raise InputError(f"There are no picks{f' of run {runs}' if runs else ''} in {files}.")
    if target is None:
        write_csv(options.output, picks)
    else:
        write_into(target, picks, options)
    return picks


def ours(block: Block, path: Path, called: Template, options: ImportCommand, form: Format) -> tuple[str, str]:
    """Our names of a block's run and species, from what its file says or is called."""
    pattern = Template(options.pattern or f"{{run}}{form.endings[0]}", "--pattern")
    from_name = pattern.match(path.name) or {}
    theirs = block.run if block.run is not None or form.several_runs else from_name.get("run")
    run = from_name.get("run") if theirs is None else (called.match(theirs) or {}).get("run")
    if run is None and theirs is not None:
        raise InputError(
            f"{path} is of a run called {theirs[:100]!r}, which is not {called.text}: name runs with --name."
        )
    name = block.species or from_name.get("species") or options.species
    if run is None or name is None:
        what, other = ("run", "") if run is None else ("species", ", or give --species")
        raise InputError(
            f"{path} does not say its {what}, nor does its name, as it is not {pattern.text} with a {what} in it: say "
            f"with --pattern how files are named{other}."
        )
    return run, check_name(name, what="a species")


def joined(parts: Sequence[Picks]) -> Picks:
    """Picks of several blocks as one; orientations only where all have them."""
    turned = [part.rotations for part in parts if part.rotations is not None]
    return Picks(
        np.concatenate([part.zyx for part in parts]),
        np.concatenate([part.score for part in parts]),
        np.concatenate(turned) if len(turned) == len(parts) else None,
    )


def write_into(project: Project, picks: PicksByRun, options: ImportCommand) -> None:
    """Put picks into a copick project. Raises `InputError`, before anything is written, where it cannot take them."""
    if not isinstance(project, CopickProject):
        raise InputError(f"{project.path} is not written to: name a copick configuration, or a CSV file, as --output.")
    if not options.user:
        raise InputError("Say as whose picks they go to the project with --user.")
    key = PickSet(
        copick_files.valid_name(options.user, what="User"),
        copick_files.valid_name(options.session, what="Session"),
    )
    runs, listed = project.runs, [s.name for s in project.species]
    names = sorted({name for species in picks.values() for name in species})
    for what, asked, there in (("run", list(picks), runs), ("particle", names, listed)):
        if unknown := [name for name in asked if name not in there]:
            advice = "say how runs are called with --name" if what == "run" else "add it to its pickable objects"
            raise InputError(
                f"{project.path} has no {what} {shortened(unknown)} (it has {shortened(there) or 'none'}): {advice}."
            )
    held = [run for run in picks if key in project.pick_sets(run)]
    if held and not options.overwrite:
        raise InputError(
            f"Run {shortened(held)} has picks {key} already: choose another --user or --session, or replace "
            "them with --overwrite."
        )
    for run, species in picks.items():
        copick_files.write_picks(run_of(project.root, run), species, key)
