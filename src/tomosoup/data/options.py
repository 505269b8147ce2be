"""Which tomograms of a project are meant."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from annotated_types import Gt

from tomosoup.core.config import Options


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
