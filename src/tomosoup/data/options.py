"""Which tomograms of a project are meant, and how other programs count in them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from annotated_types import Gt
from tyro.conf import arg

from tomosoup.core.config import ZYX, Options

Angstrom = Annotated[float, Gt(0)]
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
"""Formats of picks that are read and written."""


class DataOptions(Options):
    """Which tomograms of a project are meant. What is not said must be unambiguous in the project."""

    RENAMED: ClassVar = {"kind": "tomo_type"}

    runs: tuple[str, ...] = ()
    """Names of runs; none means all."""
    tomo_type: str | None = None
    """Type of tomogram (denoised, wbp, ...)."""
    voxel_spacing: Annotated[float, Gt(0)] | None = None
    """Choose among a run's voxel spacings, by the name of the folder (Å)."""
    voxel_size: Annotated[float, Gt(0)] | None = None
    """The true voxel size (Å), in place of what the files say: 10.012 where the folder is called 10.000."""
    first_voxel: float | None = None
    """Where the centre of voxel 0 stands, in voxels: 0.5 for copick (default), -0.5 for the contest's data."""
    invert: bool = False
    """Turn grey values round: for tomograms whose particles are bright. Nets train on dark ones and expect them."""
    missing_chunks: Literal["error", "zero"] = "error"
    """What chunks are that an OME-Zarr tomogram lacks: lost, or left out as they are zero."""


class AnnotatedData(DataOptions):
    """Which tomograms, and which of their picks are true."""

    truth: str | None = None
    """True picks: a CSV file, or USER/SESSION of a copick pick set; by default the only set not made by tomosoup."""


class Normalisation(Options):
    """Grey values -> what a net is shown: (value - mean) / deviation."""

    mean: float | None = None
    """None is each volume's own."""
    deviation: Annotated[float, Gt(0)] | None = None
    """None is each volume's own."""


class FrameOptions(Options):
    """Where the tomograms' voxels are, and where the other program counts from."""

    project: Path | None = None
    """The project with the tomograms, for their voxel sizes and shapes; by default the one with the picks."""
    shape: ZYX | None = None
    """Voxels of a tomogram (z y x), where no project is given."""
    pixel_size: Angstrom | None = None
    """Pixel size (Å) of the unbinned tilt series, in which relion4 and eman2 count."""
    their_first_voxel: float | None = None
    """Where the other program has the centre of voxel 0, in voxels along every axis, in place of the format's own:
    1 / binning for coordinates of RELION 5's own Python pickers, 1 for Dynamo coordinates that are pixel indices."""
    name: str | None = None
    """The other program's name of a run: '{run}_10.00Apx'. By default {run}, for warp and m {run}.tomostar, for
    dynamo {run}.mrc."""
    data: Annotated[DataOptions, arg(name="")] = DataOptions()
    """Which runs, and which of their tomograms."""


class ExportOptions(FrameOptions):
    """`FrameOptions`, and what some formats show besides picks."""

    radii: Path | None = None
    """CSV with name,radius of the species, where the picks are in no project and are not the contest's species."""
    volume: str | None = None
    """chimerax: the tomogram's file that the script opens, as seen from the script: '../{run}.mrc'."""
