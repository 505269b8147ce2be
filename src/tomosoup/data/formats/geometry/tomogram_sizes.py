"""The sizes of tilt series' tomograms before binning, as the program that made them wrote them down.

Sources. RELION 5's tomograms.star: rlnTomoSizeX/Y/Z in pixels of rlnTomoTiltSeriesPixelSize; volumes are
rlnTomoTomogramBinning times smaller, rounded or cut to whole voxels, so that half of their size is not the centre; its
optimisation_set.star names that file. Warp's XML of a tilt series: VolumeDimensionsAngstrom (x, y, z) of its root.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tomosoup.core.errors import InputError, first_line
from tomosoup.data.formats.tables.star import read_star
from tomosoup.data.formats.tables.table import Table
from tomosoup.data.formats.tables.text import finite, read_text

ZYX = tuple[float, float, float]
SIZES = ["rlnTomoSizeX", "rlnTomoSizeY", "rlnTomoSizeZ"]
PIXEL_SIZE, BINNING, VOLUME = "rlnTomoTiltSeriesPixelSize", "rlnTomoTomogramBinning", "rlnTomoReconstructedTomogram"
SET = "rlnTomoTomogramsFile"
EXPECTED = "RELION's tomograms.star or optimisation_set.star, or Warp's XML file of a tilt series"


@dataclass(frozen=True)
class TomogramSize:
    """How large the tomogram of a tilt series is."""

    name: str
    """The program's name of the tilt series."""
    size: ZYX
    """Å along (z, y, x)."""
    volume: str = ""
    """The file of the tomogram, where it is known."""
    pixel_size: float | None = None
    """Å a pixel before binning, where it is known."""
    voxel_size: float | None = None
    """Å a voxel of the tomogram, where it is known."""


def read_sizes(paths: Sequence[Path]) -> list[TomogramSize]:
    """What such files say. Raises `InputError` for files that say no sizes, and for a name that stands there twice."""
    sizes = [size for path in paths for size in _read(path)]
    names = [size.name for size in sizes]
    if doubled := [name for name in names if names.count(name) > 1]:
        raise InputError(f"{paths[0]} has the tomogram {doubled[0][:100]!r} twice: remove one.")
    return sizes


def _read(path: Path, *, follow: bool = True) -> list[TomogramSize]:
    if path.suffix.lower() == ".xml":
        return [_of_warp(path)]
    if path.suffix.lower() == ".tomostar":
        beside = path.with_suffix(".xml")
        if beside.exists():
            return [_of_warp(beside)]
        raise InputError(f"{path} does not say how large its tomogram is: give Warp's {beside.name}, which does.")
    tables = read_star(path)
    for table in tables:
        if set(SIZES) <= set(table.columns):
            return _of_relion(table)
        if follow and SET in table and len(table):
            return _read(named_file(table.text(SET)[0], path), follow=False)
    raise InputError(f"{path} does not say how large tomograms are: expected {EXPECTED}.")


def _of_relion(table: Table) -> list[TomogramSize]:
    xyz, pixel = table.numbers(SIZES), table.numbers([PIXEL_SIZE])[:, 0]
    binning = table.numbers([BINNING])[:, 0].tolist() if BINNING in table else [0.0] * len(table)
    volumes = table.text(VOLUME) if VOLUME in table else [""] * len(table)
    if "rlnTomoName" not in table or not ((xyz > 0).all() and (pixel > 0).all()):
        raise InputError(f"{table.path}: expected rlnTomoName, and sizes and pixel sizes above 0: correct the file.")
    return [
        TomogramSize(name, (z * unit, y * unit, x * unit), volume, unit, unit * by if by > 0 else None)
        for name, (x, y, z), unit, by, volume in zip(
            table.text("rlnTomoName"), xyz.tolist(), pixel.tolist(), binning, volumes, strict=True
        )
    ]


def _of_warp(path: Path) -> TomogramSize:
    text = read_text(path, kind="an XML file of Warp")
    if "<!" in text.replace("<!--", ""):
        raise InputError(f"{path} declares a document type, which Warp's files do not: it is not opened.")
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is not an XML file ({first_line(error)}): check the file.") from error
    words = root.get("VolumeDimensionsAngstrom", "0, 0, 0").split(",")
    x, y, z = finite([words], where=f"{path}, VolumeDimensionsAngstrom", columns=3)[0].tolist()
    if not min(x, y, z) > 0:
        raise InputError(
            f"{path} has no VolumeDimensionsAngstrom: reconstruct in Warp first, which writes it, or give "
            "`unbinned_shape` and `pixel_size`."
        )
    return TomogramSize(path.stem, (z, y, x))


def named_file(name: str, beside: Path) -> Path:
    """The file that a file of RELION names: from the current folder, which is to be RELION's, or from one above it.

    Raises `InputError` where it is in none of them.
    """
    for folder in (Path(), *beside.absolute().parents):
        if (folder / name).is_file():
            return folder / name
    raise InputError(
        f"{beside} names {name[:200]}, which is not there: run in RELION's project folder, or move the file."
    )
