"""The sizes of tomograms, as the program that made them wrote them down, before binning where it says that.

Sources. RELION 5's tomograms.star: rlnTomoSizeX/Y/Z in pixels of rlnTomoTiltSeriesPixelSize; volumes are
rlnTomoTomogramBinning times smaller, rounded or cut to whole voxels, so that half of their size is not the centre; its
optimisation_set.star names that file. Warp's XML of a tilt series: VolumeDimensionsAngstrom (x, y, z) of its root.
IMOD's tilt.com (its manual page of tilt): FULLIMAGE (x, y) and THICKNESS (z) in pixels before the binning IMAGEBINNED;
InputProjections is the aligned series, whose header has the pixel size, and OutputFile the volume. AreTomo's .aln
(AreTomo3, MrcUtil/CSaveAlignFile.cpp) and TiltSeries_Metrics.csv (CTsMetrics.cpp) say less than a size. A volume's own
header says how large it is, and nothing of binning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tomosoup.core.errors import InputError, first_line
from tomosoup.data.formats.remarks import remark
from tomosoup.data.formats.tables.star import read_star
from tomosoup.data.formats.tables.table import Table
from tomosoup.data.formats.tables.text import finite, number, read_text
from tomosoup.data.volumes.files import open_volume, volume_name
from tomosoup.data.volumes.mrc_header import read_header
from tomosoup.data.volumes.voxel_size import cube, doubtful_size

ZYX = tuple[float, float, float]
SIZES = ["rlnTomoSizeX", "rlnTomoSizeY", "rlnTomoSizeZ"]
PIXEL_SIZE, BINNING, VOLUME = "rlnTomoTiltSeriesPixelSize", "rlnTomoTomogramBinning", "rlnTomoReconstructedTomogram"
SET = "rlnTomoTomogramsFile"
EXPECTED = (
    "RELION's tomograms.star or optimisation_set.star, Warp's XML file of a tilt series, IMOD's tilt.com, or the MRC "
    "file of the tomogram"
)
LACKING = {
    ".aln": "has the size of AreTomo's images, but neither their pixel size nor how deep the volume is",
    ".com": "is not IMOD's tilt.com: it has no FULLIMAGE and THICKNESS, which say how large the volume is",
    ".csv": "has no sizes of tomograms (AreTomo's metrics have their names and pixel sizes)",
}
"""What files that users may take for files of sizes lack, by their endings."""


@dataclass(frozen=True)
class TomogramSize:
    """How large the tomogram of a tilt series is."""

    name: str
    """The program's name of the tilt series; that of the volume's file where `named` is False."""
    size: ZYX | None
    """Å along (z, y, x) before binning, where it is known."""
    volume: str = ""
    """The file of the tomogram, where it is known."""
    pixel_size: float | None = None
    """Å a pixel before binning, where it is known."""
    voxel_size: float | None = None
    """Å a voxel of the tomogram, where it is known."""
    shape: tuple[int, int, int] | None = None
    """Voxels of the tomogram along (z, y, x), where they are known."""
    named: bool = True


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
    if volume_name(path):
        return [_of_volume(path)]
    if path.suffix.lower() in LACKING:
        return [_of_imod(path)]
    for table in read_star(path):
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


def _of_volume(path: Path) -> TomogramSize:
    volume, voxel_size = open_volume(path)
    if unsure := doubtful_size(voxel_size):
        remark("pixel-size", unsure)
    z, y, x = volume.shape
    return TomogramSize(volume_name(path), None, path.name, voxel_size=voxel_size or None, shape=(z, y, x), named=False)


def _of_imod(path: Path) -> TomogramSize:
    """Of a tilt.com. Raises `InputError` for other files of these endings, which lack something."""
    text = read_text(path, kind="a file of tomogram sizes") if path.suffix.lower() == ".com" else ""
    words = [line.split() for line in text.splitlines() if line.strip() and line.strip()[0] not in "#$"]
    said = {key.upper(): values for key, *values in words}
    if not {"FULLIMAGE", "THICKNESS", "INPUTPROJECTIONS", "OUTPUTFILE"} <= said.keys():
        raise InputError(f"{path} {LACKING[path.suffix.lower()]}: give {EXPECTED} (of AreTomo and IMOD best the last).")
    moved = {key for key in ("SHIFT", "OFFSET") if any(number(word) != 0 for word in said.get(key, []))}
    if part := sorted({"WIDTH", "SLICE"} & said.keys() | moved):
        raise InputError(
            f"{path} cuts or moves the volume ({', '.join(part)}), so that its centre is not that of the tilt series: "
            "give the MRC file of the volume."
        )
    numbers = [*said["FULLIMAGE"][:2], *said["THICKNESS"][:1], *said.get("IMAGEBINNED", ["1"])[:1]]
    x, y, z, binning = finite([numbers], where=f"{path}, FULLIMAGE, THICKNESS, IMAGEBINNED", columns=4)[0].tolist()
    series = path.parent / " ".join(said["INPUTPROJECTIONS"])
    if not series.is_file():
        raise InputError(
            f"{path} does not say its pixel size, and {series.name[:200]}, whose header does, is not beside it: copy "
            "it there, or give the MRC file of the volume."
        )
    voxel_size = cube([read_header(series).voxel_size[-1]] * 3, name=str(series))
    if not min(x, y, z, binning, voxel_size) > 0:
        raise InputError(f"{path}: expected sizes above 0, and a pixel size in the header of {series.name[:200]}.")
    pixel_size, volume = voxel_size / binning, Path(" ".join(said["OUTPUTFILE"])).name
    size = (z * pixel_size, y * pixel_size, x * pixel_size)
    name = volume_name(Path(volume)) or volume
    return TomogramSize(name, size, volume, pixel_size, voxel_size, named=False)


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
