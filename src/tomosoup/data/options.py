"""Which tomograms of a project are meant, and how other programs count in them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from annotated_types import Gt
from pydantic import AfterValidator, model_validator

from tomosoup.core.config import ZYX, Options, Typed
from tomosoup.data.copick.masks.names import checked_mask

PROJECT_FORMS = (
    "a copick configuration (.json), a folder in the contest's layout (static/ExperimentRuns), or a folder of .mrc, "
    ".rec or .map volumes (or .mrc.gz, .mrc.bz2)"
)
"""What can be opened as a project, for messages."""
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
    "stopgap",
    "tom",
    "chimerax",
    "imod",
    "imod-text",
    "model2point",
    "eman2",
    "cryolo",
    "cryolo-cbox",
    "napari",
    "xyz",
]
"""Formats of picks that are read and written."""


class DataOptions(Options):
    """Which tomograms of a project are meant. What is not said must be unambiguous in the project."""

    RENAMED: ClassVar = {"kind": "tomo_type"}

    runs: Annotated[tuple[str, ...], Typed("Input", value="RUN")] = ()
    """Names of the runs to use; by default all. A run is one tilt series with its tomograms."""
    tomo_type: Annotated[str | None, Typed("Input", value="TYPE")] = None
    """Tomogram type in copick: denoised, wbp, ... Required if a run has tomograms of several types."""
    voxel_spacing: Annotated[Annotated[float, Gt(0)] | None, Typed(value="Å")] = None
    """Voxel spacing to use, by the name of its folder. Required if a run has several."""
    voxel_size: Annotated[Annotated[float, Gt(0)] | None, Typed(value="Å")] = None
    """True voxel size, in place of what the files say: 10.012 where the folder is called 10.000."""
    first_voxel: float | None = None
    """Centre of voxel 0, in voxels: 0.5 for copick (default), -0.5 for the contest's data."""
    invert: bool = False
    """Invert grey values, for tomograms whose particles are bright. Networks are trained on dark particles."""
    missing_chunks: Literal["error", "zero"] = "error"
    """How to treat chunks missing from an OME-Zarr tomogram: error, or zero."""


class AnnotatedData(DataOptions):
    """Which tomograms, and which of their picks are true."""

    truth: Annotated[str | None, Typed("Input", value="CSV|USER/SESSION")] = None
    """True picks (annotations): a CSV file or a copick pick set. By default the only pick set that tomosoup
    did not make."""


class TuningData(AnnotatedData):
    """Which tomograms thresholds are set on."""

    all_runs: Annotated[bool, Typed("Input")] = False
    """All models pick all annotated runs, or the chosen ones; none of the models may have been trained on them. By
    default each model picks the run that its training held out."""


class RegionOptions(Options):
    """Which part of each tomogram counts."""

    mask: Annotated[
        Annotated[str, AfterValidator(checked_mask)] | None, Typed("Input", value="FILE|NAME:USER/SESSION")
    ] = None
    """Keep only picks in this mask: an MRC or OME-Zarr file, or a copick segmentation. {run} in the name of the file
    stands for the run. Without it, one file is the mask of all runs. The voxels may have another size than the
    tomogram's. `pick` and `tune` also normalise grey values and scores by what is in the mask alone."""
    mask_side: Annotated[Literal["inside", "outside", "both"], Typed()] = "inside"
    """Side of the mask's surface on which picks may be. both needs a distance."""
    mask_distance: Annotated[Annotated[float, Gt(0)] | None, Typed(value="Å")] = None
    """Keep only picks that are at most so far from the mask's surface."""

    @model_validator(mode="after")
    def _a_region(self) -> Self:
        if self.mask is None and (self.mask_side != "inside" or self.mask_distance):
            raise ValueError("`mask_side` and `mask_distance` need a `mask`")
        if self.mask_side == "both" and not self.mask_distance:
            raise ValueError("`mask_side=both` needs `mask_distance`, or the whole tomogram would be searched")
        return self


class Normalisation(Options):
    """Grey values -> what a net is shown: (value - mean) / deviation."""

    mean: float | None = None
    """None is each volume's own."""
    deviation: Annotated[float, Gt(0)] | None = None
    """None is each volume's own."""


class FrameOptions(Options):
    """Where the tomograms' voxels are, and where the other program counts from."""

    RENAMED: ClassVar = {"their_first_voxel": "other_first_voxel"}

    project: Annotated[Path | None, Typed("Input", value="PROJECT", file="project")] = None
    """Project with the tomograms, for voxel sizes and shapes; by default the one with the picks."""
    shape: ZYX | None = None
    """Size of a tomogram in voxels, if no project is given."""
    tomograms: Annotated[tuple[Path, ...], Typed("Input", value="FILE", file="input")] = ()
    """Files with the names, sizes and pixel sizes of tomograms: RELION 5's tomograms.star or optimisation_set.star,
    Warp's XML files, IMOD's tilt.com, or the tomograms themselves (MRC, as AreTomo and IMOD write them)."""
    unbinned_shape: ZYX | None = None
    """Size of a tomogram before binning, in pixels of the tilt series. With the pixel size it gives the exact centre
    that relion5 and eman2 count from."""
    pixel_size: Annotated[Angstrom | None, Typed("Input", value="Å")] = None
    """Pixel size that the other program's positions are in. For relion4 and eman2 that of the unbinned tilt series,
    which they need. On import it replaces what the file says."""
    other_first_voxel: float | None = None
    """Centre of voxel 0 in the other program, in voxels along every axis; by default the format's. Use 1 / binning for
    coordinates of RELION 5's own Python pickers, 1 for Dynamo coordinates that are pixel indices."""
    header_origin: bool = False
    """chimerax: imported markers count from the origin in the header of the MRC file, as in a session that opened the
    tomogram as it is."""
    name: Annotated[str | None, Typed("Input", value="PATTERN")] = None
    """Name of a run in the other program, for example '{run}_10.00Apx'. By default {run}; for warp and m
    {run}.tomostar; for dynamo, stopgap and tom {run}.mrc. If the project's name is longer, give both:
    'rec_{run}={run}', the project's left. Import also finds runs by the common part of their names."""
    apart: Annotated[Angstrom | None, Typed(value="Å")] = None
    """Leave out picks that are nearer than this to one of their species with a higher score."""
    data: Annotated[DataOptions, Typed(name="")] = DataOptions()
    """Tomograms."""


class ExportOptions(FrameOptions):
    """`FrameOptions`, where picks must be, and what some formats show besides picks."""

    region: Annotated[RegionOptions, Typed(name="")] = RegionOptions()
    """Where picks must be."""
    radii: Annotated[Path | None, Typed(file="input")] = None
    """CSV file with name,radius of the species. Needed where the picks are in no project and the species are not the
    contest's."""
    volume: Annotated[str | None, Typed(value="PATTERN")] = None
    """chimerax: tomogram file that the script opens, relative to the script: '../{run}.mrc'."""
