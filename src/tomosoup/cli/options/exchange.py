"""What the commands that exchange picks with other programs take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field
from tyro.conf import Positional, arg

from tomosoup.data.options import ExportOptions, FormatName, FrameOptions


class ExportCommand(ExportOptions):
    """Write picks for another program: RELION, Warp, M, Dynamo, ChimeraX, IMOD, EMAN2, crYOLO, copick."""

    picks: Positional[Path]
    """A CSV file of picks, or a project."""
    format: FormatName
    """The other program's format."""
    output: Annotated[str, arg(aliases=["-o"])]
    """Files to write: '{run}' and '{species}' in it stand for their names, for a file each."""
    picks_set: str | None = None
    """USER/SESSION, where PICKS is a copick project; by default the only set that tomosoup made."""
    species: tuple[str, ...] = ()
    """Only these."""
    threshold: tuple[str, ...] = ()
    """Leave out picks with a lower score, for all (0.3) or by species (ribosome=0.4)."""
    overwrite: bool = False
    """Replace existing files."""


class ImportCommand(FrameOptions):
    """Read picks of another program into a copick project or a CSV file."""

    files: Positional[tuple[Path, ...]] = Field(min_length=1)
    """Files of that program."""
    format: FormatName
    """Their format."""
    output: Annotated[Path, arg(aliases=["-o"])]
    """A CSV file to write, or a copick project to write into."""
    user: str | None = None
    """copick user of the picks; a project needs one."""
    session: str = "0"
    """copick session of the picks."""
    pattern: str | None = None
    """How files are named, where they do not say the run or the species: '{run}_{species}.coords'. By default the run
    and the format's ending."""
    species: str | None = None
    """The particles' species, where neither files nor their names say it."""
    overwrite: bool = False
    """Replace picks of the same user and session, or the CSV file."""
