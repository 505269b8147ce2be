"""Picks to other programs' files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tomosoup.cli.options.exchange import ExportCommand, FrameOptions
from tomosoup.core.errors import InputError, shortened
from tomosoup.core.files import refuse_existing, written_aside
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.core.thresholds import apply_thresholds
from tomosoup.core.types import Grid, PicksByRun
from tomosoup.data.copick import files as copick_files
from tomosoup.data.formats.base import Block, Details, Format
from tomosoup.data.formats.known_formats import FORMATS
from tomosoup.data.formats.name_template import Template
from tomosoup.data.pick_store.store import read_picks
from tomosoup.data.project import Project, open_project
from tomosoup.data.tomogram import select_tomogram

COPICKS_FIRST_VOXEL = 0.5
"""Of tomograms that no project tells of."""


def export_picks(options: ExportCommand, *, limits: Callable[[Sequence[str]], Mapping[str, float]]) -> list[Path]:
    """Write picks as the `export` command is told; `limits` gives thresholds for species. Returns the files.

    Raises `InputError`, before anything is written, where picks, tomograms or options do not suffice, or files are
    there already.
    """
    form = FORMATS[options.format]
    found, known = read_picks(options.picks, options.picks_set)
    picks = chosen(found, options, limits)
    project = (
        open_project(options.project) if options.project else None if known is None else open_project(options.picks)
    )
    table = copick_files.read_species(options.radii) if options.radii else known or CONTEST_SPECIES
    called, frame = run_template(options, form), form.frame.with_first_voxel(options.their_first_voxel)
    details = Details(species=table, pixel_size=options.pixel_size, volume=options.volume)
    grids = grids_of(project, picks, options) if frame.first_voxel is not None else {}
    details = replace(details, grids={called.fill(run=run): grid for run, grid in grids.items()})
    blocks = [
        (run, Block(called.fill(run=run), name, replace(those, zyx=places)))
        for run, species in picks.items()
        for name, those in species.items()
        for places in [frame.there(those.zyx, grids.get(run), pixel_size=options.pixel_size)]
    ]
    files = sorted_into_files(blocks, options.output, form)
    for path in (beside for file in files for beside in (file, *map(file.with_suffix, form.endings[1:]))):
        refuse_existing(path, overwrite=options.overwrite)
    contents: dict[Path, bytes] = {}
    for path, parts in files.items():
        contents |= contents_of(path, parts, replace(details, file=path.name), form)
    for path, content in contents.items():
        with written_aside(path) as aside:
            aside.write_bytes(content)
    return list(contents)


def chosen(
    found: PicksByRun, options: ExportCommand, limits: Callable[[Sequence[str]], Mapping[str, float]]
) -> PicksByRun:
    """The picks of the runs and species that are asked for, above their thresholds. Raises `InputError` where none."""
    names = sorted({name for species in found.values() for name in species})
    for what, asked, there in (("run", options.data.runs, list(found)), ("species", options.species, names)):
        if unknown := [name for name in asked if name not in there]:
            raise InputError(f"{options.picks} has no picks of {what} {', '.join(unknown)}: it has {shortened(there)}.")
    thresholds = limits(names)
    kept = {
        run: {
            name: picks
            for name, picks in apply_thresholds(species, thresholds).items()
            if len(picks) and name in (options.species or names)
        }
        for run, species in found.items()
        if run in (options.data.runs or found)
    }
    if not any(kept.values()):
        raise InputError(f"No picks of {options.picks} are left to write: choose other runs, species or thresholds.")
    return {run: species for run, species in kept.items() if species}


def run_template(options: FrameOptions, form: Format) -> Template:
    """How the other program calls runs. Raises `InputError` for a name without the run in it."""
    template = Template(options.name or form.run, "--name")
    if not template.names("run") or template.names("species"):
        raise InputError(f"--name {template.text}: expected {{run}} in it, and no {{species}}.")
    return template


def grids_of(project: Project | None, runs: Iterable[str], options: FrameOptions) -> dict[str, Grid]:
    """Where the voxels of each run's tomogram are: from the project, or else from the options, where either says."""
    there = set() if project is None else set(project.runs)
    size, first = options.data.voxel_size, options.data.first_voxel
    grids = {}
    for run in runs:
        if project is not None and run in there and project.listings(run):
            tomogram = select_tomogram(project, run, options.data)
            grids[run] = Grid(tomogram.voxel_size, tomogram.origin, tomogram.shape)
        elif size is not None:
            origin = (COPICKS_FIRST_VOXEL if first is None else first) * size
            grids[run] = Grid(size, (origin, origin, origin), options.shape)
    return grids


def sorted_into_files(blocks: Iterable[tuple[str, Block]], output: str, form: Format) -> dict[Path, list[Block]]:
    """Which file each block goes to, by the template `output`; blocks come with our name of their run.

    A file of a format that names no runs is called after the run as the other program calls it.

    Raises `InputError` where a file would have to hold more runs or species than its format can.
    """
    template = Template(output, "--output")
    if not output.endswith(form.endings[0]):
        raise InputError(f"--output {output}: expected a name that ends in {form.endings[0]}.")
    files: dict[Path, list[Block]] = {}
    for run, block in blocks:
        called = run if form.several_runs else block.run or ""
        files.setdefault(Path(template.fill(run=called, species=block.species or "")), []).append(block)
    for field, able in (("run", form.several_runs), ("species", form.several_species)):
        if not able and any(len({getattr(block, field) for block in parts}) > 1 for parts in files.values()):
            raise InputError(
                f"--output {output}: a file of this format holds one {field}, and there are several: put {{{field}}} "
                "into the name."
            )
    return files


def contents_of(path: Path, blocks: Sequence[Block], details: Details, form: Format) -> dict[Path, bytes]:
    """What is to be in a file and in those beside it; to files that hold more than picks, picks are added."""
    contents = {}
    for ending, content in form.encode(blocks, details).items():
        file = path if ending == form.endings[0] else path.with_suffix(ending)
        contents[file] = form.merge(file.read_bytes(), content, file) if form.merge and file.exists() else content
    return contents
