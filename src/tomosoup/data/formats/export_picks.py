"""Picks to other programs' files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tomosoup.core.errors import InputError, counted, shortened
from tomosoup.core.files import refuse_existing, written_aside
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.core.thresholds import Thresholds, apply_thresholds
from tomosoup.core.types import Grid, PicksByRun, Species
from tomosoup.data.copick.masks.region import regions_of
from tomosoup.data.formats.base import Block, Details, Format, apart
from tomosoup.data.formats.geometry.tomogram_sizes import TomogramSize, read_sizes
from tomosoup.data.formats.geometry.voxels import (
    grids_of,
    origins_of,
    remark_centre,
    remark_origins,
    remark_voxels,
    sizes_by_run,
)
from tomosoup.data.formats.known_formats import FORMATS
from tomosoup.data.formats.name_template import RunNames, Template, core_name
from tomosoup.data.formats.remarks import remark, remark_crowded, remark_outside, remark_twice, turned
from tomosoup.data.formats.tables.picks_csv import measured, read_table
from tomosoup.data.formats.tables.score_names import score_column
from tomosoup.data.formats.tables.species_csv import read_species
from tomosoup.data.options import ExportOptions, FormatName
from tomosoup.data.pick_store.reading import open_source, read_picks
from tomosoup.data.project import Project, open_project


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
        options: The tomograms' voxels, masks, the other program's frame and its names of runs.
        overwrite: Replace existing files.

    What is doubtful is said (`formats.remarks`). Raises `InputError`, before anything is written, where picks,
    tomograms or options do not suffice, or files exist.
    """
    form = FORMATS[format]
    source = None if isinstance(picks, Mapping) else open_source(picks)
    found = picks if isinstance(picks, Mapping) else read_picks(picks if source is None else source, picks_set)
    where = "what was given" if source is None else str(source if isinstance(source, Path) else source.path)
    kept = chosen(found, where, runs=options.data.runs, species=species, thresholds=thresholds)
    listing = None if source is None or isinstance(source, Path) else source
    table = read_species(options.radii) if options.radii else listing.species if listing else None
    contents = contents_for(kept, str(output), format, options, listing=listing, species=table or CONTEST_SPECIES)
    for path in contents:
        refuse_existing(path, overwrite=overwrite)
    for path, content in contents.items():
        with written_aside(path) as aside:
            aside.write_bytes(content)
    if isinstance(source, Path) and form.scored and score_column(read_table(source)) is None:
        remark("no-scores", f"{source} has no scores: those that were written are 1.")
    return list(contents)


def contents_for(
    picks: PicksByRun,
    output: str,
    format_name: FormatName,
    options: ExportOptions,
    *,
    listing: Project | None,
    species: Sequence[Species],
) -> dict[Path, bytes]:
    """What each file will hold; `listing` is the project that the picks are from."""
    form = FORMATS[format_name]
    project = open_project(options.project) if options.project else listing
    if project is not None and (unknown := set(picks) - set(project.runs)):
        raise InputError(
            f"{project.path} has no tomogram of run {shortened(sorted(unknown))} (it has {shortened(project.runs)}): "
            "choose others with `runs`, or name the project that has it as `project`."
        )
    sizes = sizes_by_run(read_sizes(options.tomograms), picks)
    called = names_of(picks, RunNames.of(options.name, usual=form.run), sizes, format_name=format_name)
    frame = form.frame.with_first_voxel(options.other_first_voxel)
    grids = grids_of(project, picks, options, sizes)
    picks = in_regions(picks, grids, project, options)
    picks = {run: {name: apart(p, options.apart) for name, p in those.items()} for run, those in picks.items()}
    blocks = blocks_of(picks, form, called, grids, options)
    details = Details({called[run]: grid for run, grid in grids.items()}, species, options.pixel_size, options.volume)
    contents: dict[Path, bytes] = {}
    lists: list[str] = []
    for path, parts in sorted_into_files(blocks, output, form).items():
        contents |= contents_of(path, parts, replace(details, file=path.name), form)
        if form.companions and not Template(output, "output").names("run"):
            beside = form.companions(path, parts, details)
            lists.append(str(next(iter(beside))))
            contents |= beside
    if lists:
        remark("import-list", f"To import coordinates in RELION's project folder, give it {shortened(lists, most=3)}.")
    if frame.first_voxel is not None:
        remark_centre(frame, grids.values(), format_name)
        if form.bare:
            remark_voxels(frame, grids.values(), form)
    if format_name == "chimerax":
        remark_origins(origins_of(project, picks))
    remark_outside(picks, grids)
    remark_crowded(picks, grids)
    remark_twice(picks, species)
    if not form.scored:
        remark("left-out", f"The format {format_name} holds no scores: they are left out.")
    if not form.measured and measured(picks):
        remark("left-out", f"The format {format_name} holds no distances to masks: they are left out.")
    if not form.turned and any(turned(found) for those in picks.values() for found in those.values()):
        remark("left-out", f"The format {format_name} holds no orientations: they are left out.")
    return contents


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


def in_regions(
    picks: PicksByRun, grids: Mapping[str, Grid], project: Project | None, options: ExportOptions
) -> PicksByRun:
    """The picks in the region of each run's mask, with their distances to its surface; all without a mask.

    Raises `InputError` like `regions_of`, and where no pick is left.
    """
    if not options.region.mask:
        return picks
    regions = regions_of(options.region, list(picks), grids, project, first_voxel=options.data.first_voxel)
    found = {run: region.with_distances(region.kept(picks[run])) for run, region in regions}
    before, after = (sum(len(p) for those in of.values() for p in those.values()) for of in (picks, found))
    if not after:
        raise InputError(f"None of {counted(before, 'pick')} is where `mask` allows picks: choose another `mask`.")
    remark("masked", f"{after} of {counted(before, 'pick')} are where the mask allows picks; the others are left out.")
    kept = {run: {name: p for name, p in those.items() if len(p)} for run, those in found.items()}
    return {run: those for run, those in kept.items() if those}


def blocks_of(
    picks: PicksByRun, form: Format, called: Mapping[str, str], grids: Mapping[str, Grid], options: ExportOptions
) -> list[tuple[str, Block]]:
    """The blocks of a format with the run of each; `called` has the other program's names of runs."""
    frame = form.frame.with_first_voxel(options.other_first_voxel)
    return [
        (run, Block(called[run], name, replace(those, zyx=positions)))
        for run, species in picks.items()
        for name, those in species.items()
        for positions in [frame.there(those.zyx, grids.get(run), pixel_size=options.pixel_size)]
    ]


def names_of(
    runs: Iterable[str], names: RunNames, sizes: Mapping[str, TomogramSize], *, format_name: str
) -> dict[str, str]:
    """The other program's names of runs: by the user's template, or else as the file of tomograms says, or usual."""
    known = {run for run, size in sizes.items() if size.named}
    called = {
        run: names.program.fill(run=sizes[run].name) if run in known and not names.given else names.theirs(run)
        for run in runs
    }
    longer = next((run for run in called if run not in known and core_name(run) != run), None)
    if longer is not None and format_name in OF_TILT_SERIES and not names.given:
        core = core_name(longer)
        left, right = longer.replace(core, "{run}", 1), names.program.text
        remark(
            "renamed",
            f"{format_name} may call the tilt series of {longer} {core}: then give `name='{left}={right}'`, or "
            "its file of tomograms as `tomograms`.",
        )
    return called


OF_TILT_SERIES = {"relion4", "relion5", "warp", "m"}
"""Formats that name the tilt series, not the tomogram's file."""


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
