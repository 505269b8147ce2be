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

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import starfile

from tomosoup.core.errors import InputError, first_line
from tomosoup.core.types import Array, Picks
from tomosoup.data.formats.base import Block, Details, finite
from tomosoup.data.formats.euler_angles import from_relion, relion_angles

ANGLES = ["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]
SUBTOMOGRAM_ANGLES = ["rlnTomoSubtomogramRot", "rlnTomoSubtomogramTilt", "rlnTomoSubtomogramPsi"]
SCORES = ["rlnAutopickFigureOfMerit", "rlnLCCmax"]
"""The first is written."""
RUNS = ["rlnTomoName", "rlnMicrographName"]
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
    """Columns, of the particles or of the optics, that tell the unit of the positions."""
    write_pixel_size: bool = False

    def encode(self, blocks: Sequence[Block], details: Details) -> dict[str, bytes]:
        """One table `particles`."""
        return one_table([self._rows(block, details) for block in blocks], ANGLES)

    def _rows(self, block: Block, details: Details) -> pd.DataFrame:
        picks, name = block.picks, block.run or ""
        table = pd.DataFrame({self.runs[0]: [plain(name)] * len(picks)})
        table[self.positions] = picks.zyx[:, ::-1]
        if picks.rotations is not None:
            table[ANGLES] = relion_angles(picks.rotations)
        table[SCORES[0]] = picks.score
        if self.write_pixel_size:
            table[self.pixel_sizes[0]] = details.grids[name].voxel_size
        return table

    def decode(self, path: Path, details: Details) -> list[Block]:
        """One block per run; the run is None if no column names it."""
        table, optics = read_particles(path, self.positions)
        return [self._block(run, rows, optics, details, path) for run, rows in by_run(table, self.runs)]

    def _block(
        self, run: str | None, rows: pd.DataFrame, optics: pd.DataFrame | None, details: Details, path: Path
    ) -> Block:
        pixel_size = details.pixel_size or self._pixel_size(rows, optics, path)
        xyz = columns(rows, self.positions, path)
        subtomogram, particle = (
            from_relion(columns(rows, names, path)) if names[0] in rows else None
            for names in (SUBTOMOGRAM_ANGLES, ANGLES)
        )
        rotations = particle if subtomogram is None else subtomogram
        if subtomogram is not None and particle is not None:
            rotations = subtomogram @ particle
        zyx = xyz[:, ::-1] - self._shifts(rows, pixel_size, subtomogram, path)
        fractions = (
            self.write_pixel_size and pixel_size is None and len(xyz) > 0 and bool((np.abs(xyz - 0.5) <= 0.5).all())
        )
        return Block(run, None, Picks(zyx, scores(rows, path), rotations), pixel_size, fractions)

    def _shifts(self, rows: pd.DataFrame, pixel_size: float | None, subtomogram: Array | None, path: Path) -> Array:
        """What is subtracted of the positions (zyx), in their unit."""
        if SHIFTS_ANGSTROM[0] in rows:
            shifts = columns(rows, SHIFTS_ANGSTROM, path)[:, ::-1]
            unit = pixel_size if self.positions == PIXELS else 1.0
            if unit is None and shifts.any():
                raise InputError(
                    f"{path} has shifts in Å (rlnOriginXAngst) and does not say how large its pixels are: give "
                    "`pixel_size` (Å)."
                )
            shifts = shifts / (unit or 1.0)
        else:
            shifts = columns(rows, SHIFTS, path)[:, ::-1] if SHIFTS[0] in rows else np.zeros((len(rows), 3))
        return shifts if subtomogram is None else np.einsum("nij,nj->ni", subtomogram, shifts)

    def _pixel_size(self, rows: pd.DataFrame, optics: pd.DataFrame | None, path: Path) -> float | None:
        for table in (rows, optics):
            for name in self.pixel_sizes:
                if table is not None and name in table:
                    sizes = np.unique(columns(table, [name], path))
                    if len(sizes) > 1 or not (sizes > 0).all():
                        raise InputError(
                            f"{path} gives {len(sizes)} pixel sizes in {name}; expected one above 0: give "
                            "`pixel_size` (Å)."
                        )
                    return float(sizes[0]) if len(sizes) else None
        return None


def one_table(tables: Sequence[pd.DataFrame], angles: Sequence[str]) -> dict[str, bytes]:
    """A STAR file of all rows in one table `particles`; with `angles` only where all tables have them."""
    if len({tuple(table.columns) for table in tables}) > 1:  # some know orientations, others do not
        tables = [table.drop(columns=list(angles), errors="ignore") for table in tables]
    text = starfile.to_string({"particles": pd.concat(tables, ignore_index=True)}, float_format="%.6f")
    return {".star": text.encode()}


def by_run(table: pd.DataFrame, names: Sequence[str]) -> list[tuple[str | None, pd.DataFrame]]:
    """The rows of each run, which stands in the first of the columns `names` that is there; None where none is."""
    known = next((column for column in names if column in table), None)
    return [(None, table)] if known is None else list(table.groupby(table[known].astype(str), sort=False))


def scores(rows: pd.DataFrame, path: Path) -> Array:
    """The score of each row; 1 where there is no column for it."""
    named = next((name for name in SCORES if name in rows), None)
    return columns(rows, [named], path)[:, 0] if named else np.ones(len(rows))


def read_particles(path: Path, wanted: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """The table of a STAR file that has the `wanted` columns, and the optics. Raises `InputError` where none has."""
    try:
        blocks = starfile.read(path, always_dict=True)
    except Exception as error:  # starfile lets those of its parser through
        raise InputError(f"{path} cannot be read as a STAR file ({first_line(error)}): check the file.") from error
    tables = {name: table_of(block) for name, block in blocks.items()}
    found = next((table for table in tables.values() if set(wanted) <= set(table.columns)), None)
    if found is None:
        has = ", ".join(sorted({str(column) for table in tables.values() for column in table.columns})[:20])
        raise InputError(
            f"{path} has no table with the columns {', '.join(wanted)} (it has {has or 'none'}): choose another "
            "`format`, or another file."
        )
    return found, tables.get("optics")


def table_of(block: Any) -> pd.DataFrame:
    """A block as starfile gives it, a table or a dictionary of single values, as a table."""
    return block if isinstance(block, pd.DataFrame) else pd.DataFrame([block])


def columns(table: pd.DataFrame, names: Sequence[str], path: Path) -> Array:
    """Columns of numbers `(n, len(names))`. Raises `InputError` where one is missing or is not of numbers."""
    if missing := [name for name in names if name not in table]:
        raise InputError(f"{path} lacks the column {missing[0]}, which belongs to {', '.join(names)}: check the file.")
    return finite(table[list(names)].itertuples(index=False), where=str(path), columns=len(names))


def plain(name: str) -> str:
    """`name`, if RELION and Warp can read it in a STAR file; else `InputError`."""
    if any(c.isspace() or c in "\"'#" for c in name) or not name or name.startswith("_"):
        raise InputError(
            f"STAR files cannot hold the name {name!r}: choose one without spaces, quotes and # with `name`."
        )
    return name


RELION4 = Star(RUNS, PIXELS, ["rlnTomoTiltSeriesPixelSize"])
RELION5 = Star(RUNS, CENTRED, ["rlnTomoTiltSeriesPixelSize"])
WARP = Star(RUNS[::-1], PIXELS, ["rlnPixelSize", "rlnDetectorPixelSize"], write_pixel_size=True)
