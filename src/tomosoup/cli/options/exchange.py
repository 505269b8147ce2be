"""What the commands that exchange picks with other programs take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Gt
from pydantic import Field
from tyro.conf import Positional, arg

from tomosoup.core.config import Options
from tomosoup.data.options import DataOptions

FormatName = Literal[
    "csv",
    "czii",
    "copick",
    "relion4",
    "relion5",
    "warp",
    "m",
    "dynamo",
    "chimerax",
    "imod",
    "imod-text",
    "eman2",
    "cryolo",
    "cryolo-cbox",
]
Size = Annotated[int, Ge(1)]
Angstrom = Annotated[float, Gt(0)]


class FrameOptions(Options):
    """Where the tomograms' voxels are, and where the other program counts from."""

    project: Path | None = None
    """The project with the tomograms, where it is not the one given already: voxel sizes and shapes come from it."""
    shape: tuple[Size, Size, Size] | None = None
    """Voxels of a tomogram (z y x), where no project tells."""
    pixel_size: Angstrom | None = None
    """Å a pixel of the unbinned tilt series, in which relion4 and eman2 count."""
    their_first_voxel: float | None = None
    """Where the other program has the centre of voxel 0, in voxels along every axis, in place of what the format says:
    1 / binning for coordinates of RELION 5's own Python pickers, 1 for Dynamo coordinates that are pixel indices."""
    name: str | None = None
    """What the other program calls a run: '{run}_10.00Apx'. By default {run}, for warp and m {run}.tomostar, for
    dynamo {run}.mrc."""
    data: Annotated[DataOptions, arg(name="")] = DataOptions()
    """Which runs, and which of their tomograms."""


class ExportCommand(FrameOptions):
    """Write picks for another program: RELION, Warp, M, Dynamo, ChimeraX, IMOD, EMAN2, crYOLO, copick."""

    picks: Positional[Path]
    """A CSV file of ours or a project."""
    format: FormatName
    """The other program's format."""
    output: Annotated[str, arg(aliases=["-o"])]
    """Files to write: '{run}' and '{species}' in it stand for their names, for a file each."""
    picks_set: str | None = None
    """USER/SESSION, where PICKS is a copick project; by default tomosoup's only one."""
    species: tuple[str, ...] = ()
    """Only these."""
    threshold: tuple[str, ...] = ()
    """Drop picks with a lower score first, for all (0.3) or by species (ribosome=0.4)."""
    radii: Path | None = None
    """CSV with name,radius of the species, where PICKS is no project and they are not the contest's."""
    volume: str | None = None
    """chimerax: the tomogram's file that the script opens, as seen from the script: '../{run}.mrc'."""
    overwrite: bool = False
    """Replace files that are there already."""


class ImportCommand(FrameOptions):
    """Read picks of another program into a copick project or a CSV file."""

    files: Positional[tuple[Path, ...]] = Field(min_length=1)
    """Files of that program."""
    format: FormatName
    """Their format."""
    output: Annotated[Path, arg(aliases=["-o"])]
    """A CSV file to write, or a copick project to write into."""
    user: str | None = None
    """copick user of the picks; needed for a project."""
    session: str = "0"
    """copick session of the picks."""
    pattern: str | None = None
    """How files are named, where they do not say the run or the species themselves: '{run}_{species}.coords'. By
    default the run and the format's ending."""
    species: str | None = None
    """What the particles are, where neither files nor their names say."""
    overwrite: bool = False
    """Replace picks of the same user and session, or the CSV file."""
