"""Where the voxels of the runs' tomograms are, and where other programs put a tomogram's centre."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np

from tomosoup.core.errors import InputError, shortened
from tomosoup.core.types import Grid
from tomosoup.data.copick.masks.mask import COPICKS_FIRST_VOXEL
from tomosoup.data.formats.base import Format, Frame
from tomosoup.data.formats.geometry.tomogram_sizes import TomogramSize
from tomosoup.data.formats.name_template import by_core_name
from tomosoup.data.formats.remarks import remark
from tomosoup.data.options import FrameOptions
from tomosoup.data.project import MrcFolder, Project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.data.volumes.mrc_header import read_header


def sizes_by_run(
    sizes: Sequence[TomogramSize], runs: Iterable[str], theirs: Mapping[str, str] | None = None
) -> dict[str, TomogramSize]:
    """The size of each run that the sizes are known of: by the program's name, the volume's file, or the core name.

    `theirs` has the program's names, where they are known.
    """
    named = {size.name: size for size in sizes} | {size.volume: size for size in sizes if size.volume}
    found = {}
    for run in runs:
        key = next((name for name in ((theirs or {}).get(run), run) if name in named), None) or by_core_name(
            run, {size.name for size in sizes}
        )
        if key is not None:
            found[run] = named[key]
    return found


def grids_of(
    project: Project | None, runs: Iterable[str], options: FrameOptions, sizes: Mapping[str, TomogramSize]
) -> dict[str, Grid]:
    """Where the voxels of each run's tomogram are: from the project, or else from the options, where either says."""
    there = set() if project is None else set(project.runs)
    grids = {}
    for run in runs:
        known = sizes.get(run)
        size = options.data.voxel_size or (known.voxel_size if known else None)
        if project is not None and run in there and project.listings(run):
            grids[run] = select_tomogram(project, run, options.data).grid
        elif size is not None:
            first = COPICKS_FIRST_VOXEL if options.data.first_voxel is None else options.data.first_voxel
            grids[run] = Grid(size, (first * size,) * 3, options.shape or (known.shape if known else None))
        if run in grids:
            grids[run] = replace(grids[run], centre_vox=_centre(known, options, grids[run].voxel_size))
    return grids


def _centre(known: TomogramSize | None, options: FrameOptions, voxel_size: float) -> tuple[float, float, float] | None:
    """Half of the unbinned size, in voxels; None where it is not known."""
    if options.unbinned_shape is not None:
        if options.pixel_size is None:
            raise InputError(
                "`unbinned_shape` counts in pixels of the tilt series: give their size as `pixel_size` (Å)."
            )
        size: tuple[float, ...] = tuple(n * options.pixel_size for n in options.unbinned_shape)
    elif known is not None and known.size is not None:
        size = known.size
    else:
        return None
    z, y, x = (length / 2 / voxel_size for length in size)
    return z, y, x


def origins_of(project: Project | None, runs: Iterable[str]) -> dict[str, tuple[float, float, float]]:
    """The origin (Å; z, y, x) in the header of each run's MRC file, where there is one that is not 0."""
    if not isinstance(project, MrcFolder):
        return {}
    origins = {}
    for run in runs:
        with suppress(InputError):  # of a volume in another format
            origins[run] = read_header(project.volumes.by_name[run]).origin
    return {run: origin for run, origin in origins.items() if any(origin)}


def remark_origins(origins: Mapping[str, tuple[float, float, float]]) -> None:
    """Say that ChimeraX, by itself, places volumes at the origins in their headers."""
    if origins:
        run, (z, y, x) = next(iter(origins.items()))
        remark(
            "origin",
            f"The tomogram of {run} has an origin of {x:g}, {y:g}, {z:g} Å (x, y, z) in its header: markers drawn on "
            "it in a session that did not set it to 0 count from there, and need `header_origin=True` on import.",
        )


def remark_centre(frame: Frame, grids: Iterable[Grid], format_name: str) -> None:
    """Say where the centre that positions count from is not known exactly, or is not that of the tomogram."""
    grids = list(grids)
    if not frame.centred:
        return
    sized = [(grid.centre_vox, grid.shape) for grid in grids if grid.centre_vox and grid.shape]
    if wrong := next((pair for pair in sized if np.abs(np.subtract(pair[0], np.divide(pair[1], 2))).max() > 1), None):
        theirs, ours = (" x ".join(f"{value:g}" for value in values) for values in (np.multiply(wrong[0], 2), wrong[1]))
        remark(
            "centre",
            f"A tomogram has {ours} voxels (z, y, x), and its size before binning makes {theirs}: positions count from "
            "the centre of the latter. Check the file of sizes or `unbinned_shape`, and whether the tomogram was cut.",
        )
    unknown = [grid for grid in grids if grid.centre_vox is None]
    if format_name == "eman2" and any(n % 2 for grid in unknown for n in grid.shape or ()):
        remark(
            "centre",
            "EMAN2's programs differ by half a voxel on the centre of a tomogram whose size is odd: look at one pick.",
        )
    elif format_name != "eman2" and unknown:
        remark(
            "centre",
            "Positions count from half of the unbinned size of a tomogram, which is not known: they can be off by up "
            "to half a voxel. Give RELION's tomograms.star as `tomograms`, or `unbinned_shape` and `pixel_size`.",
        )


def remark_voxels(frame: Frame, grids: Iterable[Grid], form: Format) -> None:
    """Say what positions count that a file only lists."""
    sizes = shortened(sorted({f"{grid.voxel_size:g}" for grid in grids}), most=3)
    first = ", ".join(f"{value:g}" for value in (frame.first_voxel or ())[::-1])
    remark(
        "pixel-size",
        f"The {form.endings[0]} files count voxels of {sizes} Å; the centre of the first voxel is {first} (x, y, z).",
    )
