"""What the commands take that exchange picks with other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from tomosoup.cli.options.shared import Overwrite, PickSetName, ScoreFilter, SessionName
from tomosoup.core.config import Typed
from tomosoup.data.options import ExportOptions, FormatName, FrameOptions

Format = Annotated[FormatName, Typed("Input", value="FORMAT")]


class ExportCommand(ExportOptions):
    """Export picks to another program: RELION, Warp, M, Dynamo, STOPGAP, TOM, ChimeraX, IMOD, EMAN2, crYOLO, copick."""

    EXAMPLE: ClassVar = "tomosoup export picks.csv --project data --format relion5 -o '{species}.star'"

    picks: Annotated[Path, Typed("Input", positional=True, value="PICKS", file="project")]
    """Picks: a CSV file of tomosoup, or a project."""
    format: Format
    """Format of the other program."""
    output: Annotated[str, Typed("Output", aliases=("-o",), value="FILE")]
    """File to write. '{run}' and '{species}' in it make one file for each run and species."""
    picks_set: PickSetName = None
    """Pick set of PICKS, if PICKS is a copick project; by default the only one that tomosoup made."""
    species: Annotated[tuple[str, ...], Typed("Input", value="SPECIES")] = ()
    """Species to export; by default all."""
    threshold: ScoreFilter = ()
    """Leave out picks with a lower score: one for all species (0.3) or by species (ribosome=0.4)."""
    overwrite: Overwrite = False
    """Replace existing files."""


class ImportCommand(FrameOptions):
    """Import picks of another program into a copick project or a CSV file."""

    EXAMPLE: ClassVar = "tomosoup import my.star --format relion5 --project my-data -o picks.csv"

    files: Annotated[tuple[Path, ...], Typed("Input", positional=True, value="FILE", file="input")] = Field(
        min_length=1
    )
    """Files of the other program."""
    format: Format
    """Format of the files."""
    output: Annotated[Path, Typed("Output", aliases=("-o",))]
    """CSV file to write, or copick project to write into."""
    user: Annotated[str | None, Typed("Output", value="NAME")] = None
    """copick user of the picks. Required if the output is a copick project."""
    session: SessionName = "0"
    """copick session of the picks."""
    pattern: Annotated[str | None, Typed("Input", value="PATTERN")] = None
    """Pattern of the file names, which gives the run and the species, for example '{run}_{species}.coords'. By default
    {run} with the file ending of the format."""
    species: Annotated[str | None, Typed("Input", value="SPECIES")] = None
    """Species of all picks, if neither the files nor their names give it."""
    overwrite: Overwrite = False
    """Replace picks of the same user and session, or the CSV file."""
