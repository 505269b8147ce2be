"""Tables of text: names stay names, every row and block is read, and what a file says of units and scores counts."""

from collections.abc import Sequence
from math import isnan
from pathlib import Path

import numpy as np
import pytest

from tomosoup.core.errors import InputError
from tomosoup.core.types import Grid
from tomosoup.data.copick.pick_files import read_file
from tomosoup.data.formats.base import Block, Details
from tomosoup.data.formats.known_formats import FORMATS
from tomosoup.data.formats.programs.star import plain
from tomosoup.data.formats.tables.picks_csv import read_csv
from tomosoup.data.formats.tables.species_csv import read_species
from tomosoup.data.formats.tables.star import read_star
from tomosoup.data.formats.tables.text import number

CENTRED = ["rlnTomoName", *(f"rlnCenteredCoordinate{a}Angst" for a in "XYZ")]
PIXELS = ["rlnTomoName", *(f"rlnCoordinate{a}" for a in "XYZ")]
NAMES = ["00255", "1.10", "12E3", "TRUE", "nan", "NA", "None", "<NA>", "1e5", "0x10", "007", "a#b", "1_000"]
GRID = Grid(10.0, (5.0, 5.0, 5.0), (20, 30, 40))


def loop(columns: Sequence[str], *rows: str, block: str = "particles") -> str:
    """A block of a STAR file."""
    return "\n".join([f"data_{block}", "", "loop_", *(f"_{name}" for name in columns), *rows, "", ""])


def written(folder: Path, text: str, name: str = "t.star") -> Path:
    (folder / name).write_text(text, newline="")
    return folder / name


def decoded(folder: Path, text: str, form: str = "relion5", pixel_size: float | None = None) -> list[Block]:
    return FORMATS[form].decode(written(folder, text), Details(pixel_size=pixel_size))


# Names


@pytest.mark.parametrize("name", NAMES)
def test_a_name_stays_as_it_stands(name: str, tmp_path: Path) -> None:
    (block,) = decoded(tmp_path, loop(CENTRED, f"{name} 1 2 3", f"{name} 4 5 6"))
    assert (block.run, len(block.picks)) == (name, 2)
    header = "experiment,particle_type,x,y,z\n"
    assert list(read_csv(written(tmp_path, f"{header}{name},{name},1,2,3\n", "t.csv"))) == [name]
    (species,) = read_species(written(tmp_path, f"name,radius\n{name},60\n", "species.csv"))
    assert species.name == name


def test_names_that_a_number_would_make_one_stay_apart(tmp_path: Path) -> None:
    assert [block.run for block in decoded(tmp_path, loop(CENTRED, "1.1 1 2 3", "1.10 4 5 6"))] == ["1.1", "1.10"]


@pytest.mark.parametrize("name", ["data_1", "loop_", ";a", "nan", "<NA>", "_a", "a b", "a#b", "'a", ""])
def test_a_name_that_would_be_a_word_of_the_format_is_not_written(name: str) -> None:
    with pytest.raises(InputError, match="cannot hold the name"):
        plain(name)


@pytest.mark.parametrize(
    ("word", "value"),
    [("1", 1), ("-.5e+2", -50), ("1.5D3", 1500), (" 2 ", 2), (3, 3), (2.5, 2.5), (np.float32(0.5), 0.5)],
)
def test_a_number_is_read(word: object, value: float) -> None:
    assert number(word) == value


@pytest.mark.parametrize(
    "word", ["1_000", "True", True, None, "nan", "inf", "1e999", 10**400, "0x10", "1,5", "", "١", [1]]
)
def test_what_is_no_number_is_none(word: object) -> None:
    assert isnan(number(word))


# Rows and blocks


def test_every_block_is_read_with_the_optics_before_it(tmp_path: Path) -> None:
    optics = [loop(["rlnTomoTiltSeriesPixelSize"], size, block="optics") for size in ("2", "4")]
    rows = [loop(PIXELS, f"TS_{i} 1 2 3", block=f"particles{'_2' * (i > 1)}") for i in (1, 2)]
    blocks = decoded(tmp_path, optics[0] + rows[0] + optics[1] + rows[1], "relion4")
    assert [(block.run, block.pixel_size) for block in blocks] == [("TS_1", 2.0), ("TS_2", 4.0)]
    same = decoded(tmp_path, loop(CENTRED, "TS_1 1 2 3") * 2)
    assert [(block.run, len(block.picks)) for block in same] == [("TS_1", 1), ("TS_1", 1)]


@pytest.mark.parametrize(
    "change", [("\n", "\r\n"), ("data_p", "\ufeffdata_p"), ("loop_", "Loop_ "), ("TS_1", '"TS_1"')]
)
def test_the_same_file_written_otherwise_reads_the_same(change: tuple[str, str], tmp_path: Path) -> None:
    text = loop(CENTRED, "TS_1 1 2 3 # a comment", "data_2 4 5 6").replace(*change)
    assert [(b.run, b.picks.zyx.tolist()) for b in decoded(tmp_path, text)] == [
        ("TS_1", [[3, 2, 1]]),
        ("data_2", [[6, 5, 4]]),
    ]


def test_single_values_stand_before_and_behind_a_loop(tmp_path: Path) -> None:
    text = "data_a\n_one 1\n\nloop_\n_x\n5\n6\n_two 'b c'\ndata_b\n_three\n"
    tables = [(t.name, t.columns, [*t.rows]) for t in read_star(written(tmp_path, text))]
    assert tables == [
        ("a", ("one",), [["1"]]),
        ("a", ("x",), [["5"], ["6"]]),
        ("a", ("two",), [["b c"]]),
        ("b", ("three",), [[""]]),
    ]


BROKEN = {
    loop(CENTRED, "TS_1 1 2"): "line 8: expected 4 values, one a column, got 3",
    loop(CENTRED, "TS_1 1 2 3", "TS_1 1 2 3 4"): "line 9: expected 4 values, one a column, got 5",
    loop(CENTRED, "TS_1 1 2 x"): "line 8: expected a number in the column rlnCenteredCoordinateZAngst, got 'x'",
    loop([*CENTRED, "rlnTomoName"], "TS_1 1 2 3 a"): "has the column rlnTomoName twice",
    loop(CENTRED, "TS_1 1 2 3") + loop(CENTRED[:3], "TS_2 1 2"): "with positions in other columns",
    loop(CENTRED, "TS_1 1 2 3") + loop(CENTRED[1:], "1 2 3"): "does not name its tomograms",
    "x\n" * 40000 + loop(CENTRED, "TS_1 1 2 3"): "is not a STAR file",
    "x 1 2 3\n" + loop(CENTRED, "TS_1 1 2 3"): "line 1: expected a block",
    "data_\nloop_\nTS_1 1 2 3\n": "line 3: expected a column",
    loop(CENTRED, ";a", "1 2 3"): "texts of several lines",
}


@pytest.mark.parametrize("text", BROKEN, ids=BROKEN.values())
def test_a_file_that_would_be_read_in_part_is_refused_with_its_line(text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        decoded(tmp_path, text)
    assert BROKEN[text] in str(error.value)


def test_rows_of_a_dynamo_table_have_one_length(tmp_path: Path) -> None:
    row = ["0"] * 35
    with pytest.raises(InputError, match="row 2: expected a Dynamo table"):
        decoded(tmp_path, f"{' '.join(row)}\n{' '.join(row[:30])}\n", "dynamo")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,60\na,70\n", "line 3: 'a' stands in line 2, too"),
        ("a,1e300\n", "radius of 'a' must be above 0 and at most 10000 Å"),
        ("a,60,1\n", "line 2: expected 2 values"),
        (f"a,{'[' * 5000}\n", "expected a number in the column radius"),
    ],
)
def test_a_table_of_species_is_read_whole_or_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        read_species(written(tmp_path, f"name,radius\n{text}", "species.csv"))
    assert message in str(error.value)
    assert len(str(error.value)) < 400


# Units


def sizes(folder: Path, text: str, form: str, pixel_size: float | None = None) -> list[float | None]:
    return [block.pixel_size for block in decoded(folder, text, form, pixel_size)]


def test_the_detectors_pixel_counts_with_its_magnification(tmp_path: Path) -> None:
    columns = ["rlnMicrographName", *PIXELS[1:], "rlnDetectorPixelSize"]
    assert sizes(tmp_path, loop([*columns, "rlnMagnification"], "a 1 2 3 5.0 5000"), "warp") == [10.0]
    assert sizes(tmp_path, loop(columns, "a 1 2 3 8.0"), "warp") == [8.0]
    optics = loop(["rlnOpticsGroup", "rlnMagnification", "rlnDetectorPixelSize"], "1 5000 5", block="optics")
    assert sizes(tmp_path, optics + loop([*PIXELS, "rlnOpticsGroup"], "a 1 2 3 1"), "relion4") == [10.0]


def test_each_particle_has_the_pixel_size_of_its_optics_group(tmp_path: Path) -> None:
    optics = loop(["rlnOpticsGroup", "rlnTomoTiltSeriesPixelSize"], "1 2.0", "2 2.5", block="optics")
    shifts = ["rlnOriginXAngst", "rlnOriginYAngst", "rlnOriginZAngst"]
    rows = loop([*PIXELS, "rlnOpticsGroup", *shifts], "a 50 100 25 1 0 0 4", "a 40 80 20 2 0 0 5")
    blocks = decoded(tmp_path, optics + rows, "relion4")
    places = [FORMATS["relion4"].frame.here(b.picks.zyx, GRID, pixel_size=b.pixel_size).tolist() for b in blocks]
    np.testing.assert_allclose(places, [[[51, 205, 105]], [[50, 205, 105]]])
    with pytest.raises(InputError, match=r"2 pixel sizes .*leave `pixel_size` out"):
        decoded(tmp_path, optics + rows, "relion4", 2.0)


OPTICS = loop(["rlnOpticsGroup", "rlnTomoTiltSeriesPixelSize"], "1 2.0", "2 2.5", block="optics")
GROUPED = [*PIXELS, "rlnOpticsGroup"]
UNCLEAR = {
    OPTICS + loop(PIXELS, "a 1 2 3"): "its particles have no column rlnOpticsGroup",
    OPTICS + loop(GROUPED, "a 1 2 3 7"): "optics group 7 is not in the table optics",
    OPTICS.replace("2 2.5", "1 2.5") + loop(GROUPED, "a 1 2 3 1"): "defines an optics group twice",
    OPTICS.replace("2.5", "0") + loop(GROUPED, "a 1 2 3 1"): "above 0",
    loop([*PIXELS, "rlnTomoTiltSeriesPixelSize", "rlnDetectorPixelSize"], "a 1 2 3 2 5"): "2 Å by rlnTomoTiltSeries",
    loop([*PIXELS, "rlnOriginXAngst", "rlnOriginYAngst", "rlnOriginZAngst"], "a 1 2 3 1 0 0"): "shifts in Å",
}


@pytest.mark.parametrize("text", UNCLEAR, ids=UNCLEAR.values())
def test_a_pixel_size_that_is_not_clear_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        decoded(tmp_path, text, "relion4")
    assert UNCLEAR[text] in str(error.value)


def test_shifts_in_pixels_are_subtracted_of_positions_in_angstrom(tmp_path: Path) -> None:
    columns = [*CENTRED, "rlnOriginX", "rlnOriginY", "rlnOriginZ", "rlnTomoTiltSeriesPixelSize"]
    (block,) = decoded(tmp_path, loop(columns, "a 10 20 30 1 0 0 2.5"))
    assert block.picks.zyx.tolist() == [[30, 20, 7.5]]
    with pytest.raises(InputError, match="shifts in pixel"):
        decoded(tmp_path, loop(columns[:-1], "a 10 20 30 1 0 0"))


@pytest.mark.parametrize(("unit", "size"), [("nm", 20.0), ("um", 20000.0), ("A", 2.0), ("pixels", None)])
def test_an_imod_model_says_its_pixel_size(unit: str, size: float | None, tmp_path: Path) -> None:
    text = f"imod 1\npixsize 2\nunits {unit}\nobject 0 1 0\nname a\ncontour 0 0 1\n1 2 3\n"
    assert sizes(tmp_path, text, "imod-text") == [size]


def test_an_imod_contour_that_was_cut_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="ends before the 5 points"):
        decoded(tmp_path, "imod 1\nobject 0 1 0\ncontour 0 0 5\n1 2 3\n", "imod-text")


def test_a_dynamo_table_says_its_voxel_size_in_column_36(tmp_path: Path) -> None:
    rows = [" ".join(["0"] * 19 + ["1"] + ["0"] * 15 + [size]) for size in ("5", "0", "5")]
    assert sizes(tmp_path, "\n".join(rows), "dynamo") == [None, 5.0]


@pytest.mark.parametrize(
    ("unit", "x"), [('"nanometer"', 10.0), ('"pixel", "voxel_spacing": 4', 4.0), ('"angstrom"', 1.0)]
)
def test_a_copick_file_is_in_its_unit(unit: str, x: float, tmp_path: Path) -> None:
    text = '{"pickable_object_name": "a", "user_id": "u", "session_id": "0", "unit": UNIT, "points": POINTS}'
    points = '[{"location": {"x": 1, "y": 0, "z": 0}}]'
    path = written(tmp_path, text.replace("UNIT", unit).replace("POINTS", points), "t.json")
    assert read_file(path)[2].zyx.tolist() == [[0, 0, x]]
    with pytest.raises(InputError, match="its unit is 'furlong'"):
        read_file(written(tmp_path, text.replace("UNIT", '"furlong"').replace("POINTS", points), "t.json"))


# Scores


@pytest.mark.parametrize("column", ["rlnLCCmax", "ptmLCCmax", "Confidence", "SCORE", "cc", "figure_of_merit"])
def test_a_score_is_read_under_each_name(column: str, tmp_path: Path) -> None:
    (block,) = decoded(tmp_path, loop([*CENTRED, column], "a 1 2 3 0.25"))
    assert (block.scored_by, block.picks.score.tolist()) == (column, [0.25])
    csv = written(tmp_path, f"experiment,particle_type,X,Y,Z,{column}\nr,a,1,2,3,0.25\n", "t.csv")
    assert read_csv(csv)["r"]["a"].score.tolist() == [0.25]


def test_scores_that_no_row_has_are_one_and_some_that_are_missing_are_named(tmp_path: Path) -> None:
    columns = [*CENTRED, "rlnLCCmax", "rlnMaxValueProbDistribution"]
    (block,) = decoded(tmp_path, loop(columns, "a 1 2 3 <NA> 0.1"))
    assert (block.scored_by, block.picks.score.tolist()) == (None, [1])
    with pytest.raises(InputError, match="line 11: the column rlnLCCmax has no score"):
        decoded(tmp_path, loop(columns, "a 1 2 3 0.5 0.1", "a 1 2 3 nan 0.1"))


def test_the_columns_that_pytom_once_wrote_are_relions(tmp_path: Path) -> None:
    columns = [name.replace("rln", "ptm") for name in (*PIXELS[1:], "rlnMicrographName", "rlnDetectorPixelSize")]
    (block,) = decoded(tmp_path, loop([*columns, "ptmLCCmax"], "1 2 3 a 8 0.4"), "warp")
    assert (block.run, block.pixel_size, block.scored_by) == ("a", 8.0, "ptmLCCmax")
