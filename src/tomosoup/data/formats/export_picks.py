"""Picks to other programs' files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tomosoup.core.errors import InputError, shortened
from tomosoup.core.files import refuse_existing, written_aside
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.core.thresholds import Thresholds, apply_thresholds
from tomosoup.core.types import Grid, PicksByRun
from tomosoup.data.formats.base import Block, Details, Format
from tomosoup.data.formats.known_formats import FORMATS
from tomosoup.data.formats.name_template import Template
from tomosoup.data.formats.tables.species_csv import read_species
from tomosoup.data.options import ExportOptions, FormatName, FrameOptions
from tomosoup.data.pick_store.reading import open_source, read_picks
from tomosoup.data.project import Project, open_project
from tomosoup.data.tomogram import select_tomogram

COPICKS_FIRST_VOXEL = 0.5
"""Of tomograms whose project is not given."""


def export_picks(
    picks: str | Path | Project | PicksByRun,
    output: str | Path,
    format: FormatName,  # noqa: A002 - what the command line calls it
    *,
    picks_set: str | None = None,
    species: Sequence[str] = (),
    thresholds: Thresholds = Thresholds(),  # noqa: B008 - immutable
    options: ExportOptions = ExportOptions(),  # noqa: B008 - immutable
    overwrite: bool = False,
) -> list[Path]:
    """Write picks for another program; returns the files.

    Args:
        picks: By run and species, or where they are: a CSV file, or a project, open or its path.
        output: The file to write; `{run}` and `{species}` in it stand for their names, for a file each.
        format: The other program's format (`FORMATS`).
        picks_set: USER/SESSION of a project's picks; by default the only set that tomosoup made.
        species: Only these; by default all.
        thresholds: Leave out picks with a lower score.
        options: The tomograms' voxels, the other program's frame and its names of runs.
        overwrite: Replace existing files.

    Raises `InputError`, before anything is written, where picks, tomograms or options do not suffice, or files exist.
    """
    form = FORMATS[format]
    source = None if isinstance(picks, Mapping) else open_source(picks)
    found = picks if isinstance(picks, Mapping) else read_picks(picks if source is None else source, picks_set)
    where = "what was given" if source is None else str(source if isinstance(source, Path) else source.path)
    kept = chosen(found, where, runs=options.data.runs, species=species, thresholds=thresholds)
    listing = None if source is None or isinstance(source, Path) else source
    project = open_project(options.project) if options.project else listing
    blocks, grids = blocks_of(kept, form, project, options)
    table = read_species(options.radii) if options.radii else listing.species if listing else None
    details = Details(grids, table or CONTEST_SPECIES, options.pixel_size, options.volume)
    files = sorted_into_files(blocks, str(output), form)
    for path in (beside for file in files for beside in (file, *map(file.with_suffix, form.endings[1:]))):
        refuse_existing(path, overwrite=overwrite)
    contents: dict[Path, bytes] = {}
    for path, parts in files.items():
        contents |= contents_of(path, parts, replace(details, file=path.name), form)
    for path, content in contents.items():
        with written_aside(path) as aside:
            aside.write_bytes(content)
    return list(contents)


def chosen(
    found: PicksByRun, where: str, *, runs: Sequence[str], species: Sequence[str], thresholds: Thresholds
) -> PicksByRun:
    """The picks of these runs and species (all where none is named) above their thresholds.

    Raises `InputError`, which calls the source of the picks `where`, for unknown names and where no pick is left.
    """
    names = sorted({name for those in found.values() for name in those})
    for what, asked, there in (("run", runs, list(found)), ("species", species, names)):
        if unknown := [name for name in asked if name not in there]:
            raise InputError(f"{where} has no picks of {what} {', '.join(unknown)}: it has {shortened(there)}.")
    passing = thresholds.over({}, names)
    kept = {
        run: {
            name: picks
            for name, picks in apply_thresholds(those, passing).items()
            if len(picks) and name in (species or names)
        }
        for run, those in found.items()
        if run in (runs or found)
    }
    if not any(kept.values()):
        raise InputError(f"No picks of {where} are left to write: choose other runs, species or thresholds.")
    return {run: those for run, those in kept.items() if those}


def blocks_of(
    picks: PicksByRun, form: Format, project: Project | None, options: ExportOptions
) -> tuple[list[tuple[str, Block]], dict[str, Grid]]:
    """The blocks of a format with the run of each, and, by the other program's names of runs, where voxels are."""
    called, frame = run_template(options, form), form.frame.with_first_voxel(options.other_first_voxel)
    grids = grids_of(project, picks, options) if frame.first_voxel is not None else {}
    blocks = [
        (run, Block(called.fill(run=run), name, replace(those, zyx=positions)))
        for run, species in picks.items()
        for name, those in species.items()
        for positions in [frame.there(those.zyx, grids.get(run), pixel_size=options.pixel_size)]
    ]
    return blocks, {called.fill(run=run): grid for run, grid in grids.items()}


def run_template(options: FrameOptions, form: Format) -> Template:
    """How the other program calls runs. Raises `InputError` for a name without the run in it."""
    template = Template(options.name or form.run, "name")
    if not template.names("run") or template.names("species"):
        raise InputError(f"`name` {template.text}: expected {{run}} in it, and no {{species}}.")
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
    """Which file each block goes to, by the template `output`; each block comes with the project's name of its run.

    A file of a format that names no runs is called after the run as the other program calls it.

    Raises `InputError` where a file would have to hold more runs or species than its format can.
    """
    template = Template(output, "output")
    if not output.endswith(form.endings[0]):
        raise InputError(f"`output` {output}: expected a name that ends in {form.endings[0]}.")
    files: dict[Path, list[Block]] = {}
    for run, block in blocks:
        called = run if form.several_runs else block.run or ""
        files.setdefault(Path(template.fill(run=called, species=block.species or "")), []).append(block)
    for field, able in (("run", form.several_runs), ("species", form.several_species)):
        if not able and any(len({getattr(block, field) for block in parts}) > 1 for parts in files.values()):
            raise InputError(
                f"`output` {output}: a file of this format holds one {field}, and there are several: put {{{field}}} "
                "into the name."
            )
    return files


def contents_of(path: Path, blocks: Sequence[Block], details: Details, form: Format) -> dict[Path, bytes]:
    """What a file and those beside it will hold; to files that hold more than picks, picks are added."""
    contents = {}
    for ending, content in form.encode(blocks, details).items():
        file = path if ending == form.endings[0] else path.with_suffix(ending)
        contents[file] = form.merge(file.read_bytes(), content, file) if form.merge and file.exists() else content
    return contents
