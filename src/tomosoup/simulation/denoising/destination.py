"""Where denoised tomograms go: a new type in a copick project, or a folder of MRC files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tomosoup.core.errors import InputError
from tomosoup.core.types import Volume
from tomosoup.data.copick.names import valid_name
from tomosoup.data.copick.portal.portal import of_portal
from tomosoup.data.copick.tomograms import add_tomogram, maker_of
from tomosoup.data.project import CopickProject, Project
from tomosoup.data.volumes.mrc import write_mrc
from tomosoup.data.volumes.mrc_header import read_header

MADE_BY = "tomosoup denoise "
"""What every `maker` begins with."""


class Destination(Protocol):
    """Where the denoised tomogram of each run is written."""

    def maker(self, run: str, voxel_size: float) -> str | None:
        """The `maker` that `write` recorded: "" where another program wrote it, None where there is none.

        Raises `InputError` where it cannot be replaced.
        """

    def write(self, run: str, volume: Volume, maker: str) -> None:
        """Write one, whole or not at all, in place of one that is there."""

    def place(self, run: str) -> str:
        """What it is called in messages."""


@dataclass(frozen=True)
class NewType:
    """A tomogram type of a copick project."""

    root: Any
    tomo_type: str

    def maker(self, run: str, voxel_size: float) -> str | None:
        """What made the run's tomogram of this type."""
        return maker_of(self.root, run, tomo_type=self.tomo_type, voxel_size=voxel_size)

    def write(self, run: str, volume: Volume, maker: str) -> None:
        """Write it into the overlay."""
        add_tomogram(self.root, run, volume, tomo_type=self.tomo_type, maker=maker)

    def place(self, run: str) -> str:
        """Run and type."""
        return f"a tomogram of type {self.tomo_type} in run {run}"


@dataclass(frozen=True)
class Folder:
    """A folder of MRC files."""

    path: Path

    def file(self, run: str) -> Path:
        """That of a run."""
        return self.path / f"{run}.mrc"

    def maker(self, run: str, voxel_size: float) -> str | None:  # noqa: ARG002
        """The last label of the file, if it is one of ours."""
        if not self.file(run).exists():
            return None
        last = next(reversed(read_header(self.file(run)).labels), "")
        return last if last.startswith(MADE_BY) else ""

    def write(self, run: str, volume: Volume, maker: str) -> None:
        """Write the file."""
        write_mrc(self.file(run), volume, label=maker)

    def place(self, run: str) -> str:
        """The file."""
        return str(self.file(run))


def destination(project: Project, *, new_type: str, output: Path | None) -> Destination:
    """The folder `output`, or without one the type `new_type` of a copick project.

    Raises `InputError` where the project takes no tomograms, and for a name or a folder that cannot be used.
    """
    if output is not None:
        if output.is_file() or (output.exists() and project.path.exists() and output.samefile(project.path)):
            raise InputError(f"Expected a new folder for the denoised tomograms, got {output}: name another `output`.")
        return Folder(output)
    if isinstance(project, CopickProject) and not of_portal(project.root):
        return NewType(project.root, valid_name(new_type, what="Tomogram type"))
    raise InputError(f"{project.path} takes no further tomograms: give a folder for MRC files as `output`.")
