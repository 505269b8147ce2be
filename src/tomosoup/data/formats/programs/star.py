"""STAR files: particles for RELION 4, for RELION 5, and for Warp.

Sources. RELION 5's `ParticleSet` (src/jaz/tomography/particle_set.cpp): rlnCenteredCoordinate*Angst / pixel size + the
tomogram's centre, which is its size / 2, gives pixels of the unbinned tilt series; RELION 4's rlnCoordinate* are those
pixels; the centre of a voxel is a whole number, voxel 0 is at 0; rlnOrigin*Angst, turned by rlnTomoSubtomogram*, is
subtracted; orientations are A_subtomogram A_particle; it makes optics groups of its own where a file has none. (The
Python tools for picking that come with it take index x binning - (size / 2 - 1), in pixels of the unbinned tilt
series: the frame with voxel 0 at 1 / binning.) Warp's `ts_export_particles`
(WarpTools/Commands/Tiltseries/ExportParticlesTiltseries.cs): rlnMicrographName is the tilt series' file (.tomostar),
rlnCoordinate* times its option coords_angpix is Å, less rlnOrigin* (pixels) or rlnOrigin*Angst / rlnPixelSize; voxel
0 of its tomograms is at 0, as its template matching (WarpLib/TiltSeries.Match) writes whole voxels of them, there as
fractions of the tomogram's size and with the score in rlnAutopickFigureOfMerit. rlnLCCmax is pytom-match-pick's score.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import starfile

from tomosoup.core.errors import InputError, shortened
from tomosoup.core.types import Array, Picks, check_name
from tomosoup.data.formats.base import Block, Details
from tomosoup.data.formats.geometry.euler_angles import from_relion, relion_angles
from tomosoup.data.formats.geometry.tomogram_sizes import named_file
from tomosoup.data.formats.remarks import remark
from tomosoup.data.formats.tables.picks_csv import distances_of
from tomosoup.data.formats.tables.pixel_size import pixel_sizes
from tomosoup.data.formats.tables.score_names import SCORES, score_column, scores_of
from tomosoup.data.formats.tables.star import read_star
from tomosoup.data.formats.tables.table import MISSING, Table

ANGLES = ["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]
SUBTOMOGRAM_ANGLES = ["rlnTomoSubtomogramRot", "rlnTomoSubtomogramTilt", "rlnTomoSubtomogramPsi"]
SCORE = "rlnAutopickFigureOfMerit"
"""The column of scores that is written."""
MASK_DISTANCE = "tomosoupMaskDistance"
"""The column of distances (Å) to a mask. RELION warns of a label that it does not know, and keeps its values
(src/metadata_table.cpp, `readStarLoop`)."""
RUNS = ["rlnTomoName", "rlnMicrographName"]
COORDINATE_FILE, PARTICLES = "rlnTomoImportParticleFile", "rlnTomoParticlesFile"
"""Columns of files: in the list for RELION 5's import, and in its optimisation sets."""
PIXELS = ["rlnCoordinateX", "rlnCoordinateY", "rlnCoordinateZ"]
CENTRED = ["rlnCenteredCoordinateXAngst", "rlnCenteredCoordinateYAngst", "rlnCenteredCoordinateZAngst"]
SHIFTS, SHIFTS_ANGSTROM = (
    ["rlnOriginX", "rlnOriginY", "rlnOriginZ"],
    ["rlnOriginXAngst", "rlnOriginYAngst", "rlnOriginZAngst"],
)


@dataclass(frozen=True)
class Star:
    """How one program names the columns of its particles."""

    runs: list[str]
    """Where the run's name is looked for; the first is written."""
    positions: list[str]
    pixel_sizes: list[str]
    """Columns, of the particles or of the optics, that tell the unit of the positions; the first is written."""
    write_pixel_size: bool = False

    def encode(self, blocks: Sequence[Block], details: Details) -> dict[str, bytes]:
        """One table `particles`."""
        measured = any(block.picks.mask_distance is not None for block in blocks)
        return one_table([self._rows(block, details, measured=measured) for block in blocks], ANGLES)

    def _rows(self, block: Block, details: Details, *, measured: bool) -> pd.DataFrame:
        picks, name = block.picks, block.run or ""
        table = pd.DataFrame({self.runs[0]: [plain(name)] * len(picks)})
        table[self.positions] = picks.zyx[:, ::-1]
        if picks.rotations is not None:
            table[ANGLES] = relion_angles(picks.rotations)
        table[SCORE] = picks.score
        if measured:
            table[MASK_DISTANCE] = np.nan if picks.mask_distance is None else picks.mask_distance
        if self.write_pixel_size:
            table[self.pixel_sizes[0]] = details.grids[name].voxel_size
        return table

    def decode(self, path: Path, details: Details) -> list[Block]:
        """One block per run and pixel size; the run is None if no column names it."""
        tables = [found for file in listed(path) for found in particle_tables(file, self.positions, self.runs)]
        parts = [part for table, optics in tables for part in self._by_size(table, optics, details)]
        sizes = sorted({size for size, _ in parts if size})
        if details.pixel_size and len(sizes) > 1:
            raise InputError(
                f"{path} gives {len(sizes)} pixel sizes ({shortened([f'{size:g}' for size in sizes])} Å): leave "
                "`pixel_size` out, so that each particle has its own."
            )
        return [self._block(run, rows, size, details) for size, part in parts for run, rows in by_run(part, self.runs)]

    def _by_size(self, rows: Table, optics: Table | None, details: Details) -> Iterator[tuple[float | None, Table]]:
        """The rows of each pixel size; None where the file does not say it, or counts nothing in pixels."""
        in_pixels = self.positions == PIXELS or (SHIFTS[0] in rows and SHIFTS_ANGSTROM[0] not in rows)
        sizes = pixel_sizes(rows, optics, self.pixel_sizes, agree=not details.pixel_size) if in_pixels else None
        if sizes is None or not len(sizes):
            yield None, rows
            return
        for size in np.unique(sizes):
            yield float(size), rows.where(np.flatnonzero(sizes == size).tolist())

    def _block(self, run: str | None, rows: Table, stated: float | None, details: Details) -> Block:
        pixel_size = details.pixel_size or stated
        xyz = rows.numbers(self.positions)
        subtomogram, particle = (
            from_relion(rows.numbers(names)) if names[0] in rows else None for names in (SUBTOMOGRAM_ANGLES, ANGLES)
        )
        rotations = particle if subtomogram is None else subtomogram
        if subtomogram is not None and particle is not None:
            rotations = subtomogram @ particle
        zyx = xyz[:, ::-1] - self._shifts(rows, pixel_size, subtomogram)
        fractions = (
            self.write_pixel_size and pixel_size is None and len(xyz) > 0 and bool((np.abs(xyz - 0.5) <= 0.5).all())
        )
        picks = Picks(zyx, scores_of(rows), rotations, distances_of(rows, MASK_DISTANCE))
        return Block(run, None, picks, stated, fractions, scored_by=score_column(rows))

    def _shifts(self, rows: Table, pixel_size: float | None, subtomogram: Array | None) -> Array:
        """What is subtracted of the positions (zyx), in their unit."""
        names, there = (SHIFTS_ANGSTROM, "Å") if SHIFTS_ANGSTROM[0] in rows else (SHIFTS, "pixel")
        shifts = rows.numbers(names)[:, ::-1] if names[0] in rows else np.zeros((len(rows), 3))
        if shifts.any() and there != ("pixel" if self.positions == PIXELS else "Å"):
            if not pixel_size:
                raise InputError(
                    f"{rows.path} has shifts in {there} ({names[0]}) and does not say how large its pixels are: give "
                    "`pixel_size` (Å)."
                )
            shifts = shifts / pixel_size if there == "Å" else shifts * pixel_size
        return shifts if subtomogram is None else np.einsum("nij,nj->ni", subtomogram, shifts)


def import_list(path: Path, blocks: Sequence[Block], details: Details) -> dict[Path, bytes]:
    """What RELION 5's import of coordinates takes: a list of tomograms, and a file of particles for each.

    NAME.star gets NAME_import.star and NAME_import/TOMOGRAM.star. The list names files from the current folder, which
    is to be RELION's project folder, as RELION does (src/apps/import_tomo_particles.cpp, `readCoordinateFile`).
    """
    folder = path.with_name(f"{path.stem}_import")
    runs = list(dict.fromkeys(block.run or "" for block in blocks))
    files = {run: folder / f"{check_name(run, what='a run')}.star" for run in runs}
    lists = pd.DataFrame({RUNS[0]: runs, COORDINATE_FILE: [plain(file.as_posix()) for file in files.values()]})
    contents = {folder.with_suffix(".star"): starfile.to_string({"particles": lists}).encode()}
    for run, file in files.items():
        contents[file] = RELION5.encode([block for block in blocks if block.run == run], details)[".star"]
    return contents


def one_table(tables: Sequence[pd.DataFrame], angles: Sequence[str]) -> dict[str, bytes]:
    """A STAR file of all rows in one table `particles`; with `angles` only where all tables have them."""
    if len({tuple(table.columns) for table in tables}) > 1:  # some know orientations, others do not
        tables = [table.drop(columns=list(angles), errors="ignore") for table in tables]
        remark("left-out", "Some picks have orientations and others have none: the orientations are left out.")
    text = starfile.to_string({"particles": pd.concat(tables, ignore_index=True)}, float_format="%.6f")
    return {".star": text.encode()}


def listed(path: Path) -> list[Path]:
    """The files of particles that a list for RELION's import names, or the file itself, which then is none."""
    for table in read_star(path):
        for column in (COORDINATE_FILE, PARTICLES):
            if column in table:
                return [named_file(name, path) for name in dict.fromkeys(table.text(column))]
    return [path]


def by_run(table: Table, names: Sequence[str]) -> list[tuple[str | None, Table]]:
    """The rows of each run, which stands in the first of the columns `names` that is there; None where none is."""
    known = next((column for column in names if column in table), None)
    return [(None, table)] if known is None else [(run, table.where(rows)) for (run,), rows in table.by(known).items()]


def particle_tables(path: Path, wanted: Sequence[str], runs: Sequence[str]) -> list[tuple[Table, Table | None]]:
    """The tables of a STAR file that have the `wanted` columns, each with the optics that stand before it.

    Raises `InputError` where none has them, where a table has other positions, and where there are several and one
    does not name its runs.
    """
    tables = list(map(_as_relion, read_star(path)))
    optics = next((table for table in tables if table.name.lower() == "optics"), None)
    found: list[tuple[Table, Table | None]] = []
    for table in tables:
        if table.name.lower() == "optics":
            optics = table
        elif set(wanted) <= set(table.columns):
            found.append((table, optics))
    if not found:
        has = ", ".join(sorted({column for table in tables for column in table.columns})[:20])
        raise InputError(
            f"{path} has no table with the columns {', '.join(wanted)} (it has {has or 'none'}): choose another "
            "`format`, or another file."
        )
    others = [t for t in tables if any("Coordinate" in c for c in t.columns) and not set(wanted) <= set(t.columns)]
    if others:
        raise InputError(
            f"{path} also has a table {others[0].name!r} with positions in other columns than {', '.join(wanted)}: "
            "split the file, and import each part with its format."
        )
    if len(found) > 1 and (nameless := [t for t, _ in found if not set(runs) & set(t.columns)]):
        raise InputError(
            f"{path} has {len(found)} tables of particles, and the table {nameless[0].name!r} does not name its "
            f"tomograms: add the column {runs[0]}, or split the file."
        )
    return found


def _as_relion(table: Table) -> Table:
    """The table with RELION's names of columns: pytom-match-pick once wrote all of them with ptm in place of rln."""
    names = {c: f"rln{c[3:]}" for c in table.columns if c.startswith("ptm") and c not in SCORES}
    return table.renamed({old: new for old, new in names.items() if new not in table.columns})


def plain(name: str) -> str:
    """`name`, if RELION and Warp can read it in a STAR file; else `InputError`."""
    keyword = name.lower().startswith(("data_", "loop_")) or name.lower() in MISSING
    if keyword or any(c.isspace() or c in "\"'#" for c in name) or name.startswith(("_", ";")):
        raise InputError(
            f"STAR files cannot hold the name {name!r}: choose one without spaces, quotes and # with `name`, which is "
            "no word of the format (data_..., loop_, nan)."
        )
    return name


RELION4 = Star(RUNS, PIXELS, ["rlnTomoTiltSeriesPixelSize", "rlnMicrographOriginalPixelSize"])
RELION5 = Star(RUNS, CENTRED, ["rlnTomoTiltSeriesPixelSize", "rlnMicrographOriginalPixelSize"])
WARP = Star(RUNS[::-1], PIXELS, ["rlnPixelSize", "rlnMicrographPixelSize"], write_pixel_size=True)
