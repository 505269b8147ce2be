"""What export and import say about picks, names, sizes and scores, and how names and centres are found."""

import json
from io import StringIO
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from tomosoup.cli.main import main
from tomosoup.core.errors import InputError
from tomosoup.data.formats.export_picks import export_picks
from tomosoup.data.formats.geometry.tomogram_sizes import read_sizes
from tomosoup.data.formats.import_picks import import_picks
from tomosoup.data.formats.known_formats import FORMATS
from tomosoup.data.formats.name_template import RunNames, core_name, paired
from tomosoup.data.formats.remarks import heard
from tomosoup.data.formats.tables.picks_csv import read_csv
from tomosoup.data.options import ExportOptions, FrameOptions

SHAPE = (8, 16, 16)
HEADER = "experiment,particle_type,x,y,z,score\n"
PARTICLES = "data_particles\nloop_\n_rlnTomoName\n_rlnCoordinateX\n_rlnCoordinateY\n_rlnCoordinateZ\n"
TOMOGRAMS = """data_global
loop_
_rlnTomoName
_rlnTomoSizeX
_rlnTomoSizeY
_rlnTomoSizeZ
_rlnTomoTiltSeriesPixelSize
_rlnTomoTomogramBinning
_rlnTomoReconstructedTomogram
TS_01 4092 5760 1652 2.17 6.912442 job/rec_TS_01.mrc
"""
TILT = """# Command file to run Tilt
$tilt -StandardInput
InputProjections TS_01_ali.mrc
OutputFile TS_01_full_rec.mrc
IMAGEBINNED 4
THICKNESS 320
FULLIMAGE 642 640
SHIFT 0.0 0.0
$if (-e ./savework) ./savework
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the tomogram `vol/rec_TS_01.mrc` of 10 Å, in which the test stands."""
    (tmp_path / "vol").mkdir()
    with mrcfile.new(tmp_path / "vol/rec_TS_01.mrc", np.zeros(SHAPE, np.float32)) as file:
        file.voxel_size = 10.0
    monkeypatch.chdir(tmp_path)
    return tmp_path


def imported(text: str, file: str = "t.star", form: str = "relion4", **options: object) -> tuple[dict, dict[str, str]]:
    Path(file).write_text(text)
    with heard() as remarks:
        picks = import_picks(
            file, form, species="ribosome", options=FrameOptions.of({"pixel_size": 10.0, **options}, source="t")
        )
    return picks, {one.code: one.text for one in remarks}


def test_picks_outside_are_counted_after_an_import(folder: Path) -> None:
    _, remarks = imported(f"{PARTICLES}TS_01 40 30 10\nTS_01 1 1 1\n", project=folder / "vol")
    assert "1 of 2 picks lies outside its tomogram (rec_TS_01)" in remarks["outside"]
    assert "t.star has no scores" in remarks["no-scores"]
    assert "TS_01 is rec_TS_01" in remarks["renamed"]
    assert "`name='rec_{run}={run}'`" in remarks["renamed"]


def test_a_sound_import_says_nothing(folder: Path) -> None:
    text = PARTICLES.replace("_rlnCoordinateX", "_rlnAutopickFigureOfMerit\n_rlnCoordinateX")
    picks, remarks = imported(f"{text}rec_TS_01 0.5 1 1 1\n", project=folder / "vol")
    assert picks["rec_TS_01"]["ribosome"].score.tolist() == [0.5]
    assert remarks == {}


def test_some_unknown_runs_are_named_and_none_known_is_an_error(folder: Path) -> None:
    picks, remarks = imported(f"{PARTICLES}TS_01 1 1 1\nTS_99 1 1 1\n", project=folder / "vol")
    assert list(picks) == ["rec_TS_01"]
    assert "1 unknown run" in remarks["unknown-runs"]
    assert "TS_99" in remarks["unknown-runs"]
    with pytest.raises(InputError, match=r"\(TS_98, TS_99\) are not in vol, which has rec_TS_01: .*`name="):
        imported(f"{PARTICLES}TS_98 1 1 1\nTS_99 1 1 1\n", project=Path("vol"))


@pytest.mark.parametrize(
    ("said", "given", "words"),
    [
        (None, None, "voxels of 10 Å are assumed"),
        (5.0, None, "in voxels of 5 Å; those of the tomograms are 10 Å"),
        (5.0, 10.0, "The file says 5 Å a pixel; `pixel_size=10` counts"),
        (10.0, None, None),
    ],
)
def test_the_pixel_size_that_counts_is_said(
    said: float | None, given: float | None, words: str | None, folder: Path
) -> None:
    text = PARTICLES.replace("rlnTomoName", "rlnMicrographName")
    row = "rec_TS_01 2 2 2\n"
    if said:
        text, row = f"{text}_rlnPixelSize\n", f"rec_TS_01 2 2 2 {said}\n"
    picks, remarks = imported(text + row, form="warp", project=folder / "vol", pixel_size=given)
    size = given or said or 10.0
    assert picks["rec_TS_01"]["ribosome"].zyx.tolist() == [[2 * size + 5] * 3]
    assert words is None if "pixel-size" not in remarks else words in remarks["pixel-size"]


def test_a_particle_that_is_there_twice_is_said_and_left_out_when_asked(folder: Path) -> None:
    Path("p.csv").write_text(f"{HEADER}rec_TS_01,ribosome,50,60,40,0.5\nrec_TS_01,ribosome,52,60,40,0.9\n")
    with heard() as remarks:
        export_picks("p.csv", "out.csv", "csv", options=ExportOptions(project=folder / "vol"))
    assert "2 of 2 picks of ribosome have another within their radius (150 Å)" in remarks[0].text
    with heard() as remarks:
        export_picks("p.csv", "out.csv", "csv", options=ExportOptions(apart=10.0), overwrite=True)
    assert remarks == []
    assert read_csv(Path("out.csv"))["rec_TS_01"]["ribosome"].score.tolist() == [0.9]
    picks = import_picks("p.csv", "csv", options=FrameOptions(apart=10.0))
    assert picks["rec_TS_01"]["ribosome"].score.tolist() == [0.9]


@pytest.mark.usefixtures("folder")
def test_remarks_have_codes_for_programs_and_options_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    Path("p.csv").write_text(f"{HEADER}rec_TS_01,ribosome,50,60,400,0.5\n")
    main(["export", "p.csv", "--project", "vol", "--format", "relion5", "-o", "a.star", "--json"])
    remarks = {one["code"]: one["text"] for one in json.loads(capsys.readouterr().out)["remarks"]}
    assert set(remarks) == {"renamed", "import-list", "centre", "outside"}
    assert "--name 'rec_{run}={run}'" in remarks["renamed"]
    main(["export", "p.csv", "--project", "vol", "--format", "relion5", "-o", "a.star", "--overwrite"])
    assert "1 of 1 pick lies outside its tomogram" in capsys.readouterr().out


def test_markers_on_a_tomogram_with_an_origin_are_said_to_count_from_there(folder: Path) -> None:
    with mrcfile.open(folder / "vol/rec_TS_01.mrc", "r+") as file:
        file.header.origin = (-80.0, -70.0, -40.0)
    text = '<marker_set name="ribosome"><marker id="1" x="-60" y="-70" z="-40" score="1"/></marker_set>'
    _, remarks = imported(text, file="rec_TS_01.cmm", form="chimerax", project=folder / "vol")
    assert "an origin of -80, -70, -40 Å" in remarks["origin"]
    assert "outside" in remarks
    picks, remarks = imported(text, "rec_TS_01.cmm", "chimerax", project=folder / "vol", header_origin=True)
    assert picks["rec_TS_01"]["ribosome"].zyx.tolist() == [[5, 5, 25]]
    assert remarks == {}


def test_orientations_that_a_format_cannot_hold_are_said_to_be_left_out(folder: Path) -> None:
    angles = "_rlnAngleRot\n_rlnAngleTilt\n_rlnAnglePsi\n"
    Path("t.star").write_text(f"{PARTICLES}{angles}TS_01 1 1 1 10 20 30\n")
    command = "import t.star --format relion4 --pixel-size 10 --species ribosome -o o.csv --json --project"
    with pytest.MonkeyPatch.context() as patch, StringIO() as out:
        patch.setattr("sys.stdout", out)
        main([*command.split(), str(folder / "vol")])
        assert "CSV files hold no orientations" in out.getvalue()


# Names


@pytest.mark.parametrize(
    "name",
    [
        *("TS_01", "rec_TS_01", "TS_01.tomostar", "TS_01_10.00Apx.mrc", "TS_01_Vol", "TS_01.mrc.tomostar"),
        *("a/b/rec_TS_01.mrc", "TS_01_full_rec.mrc", "TS_01_bin4.rec", "TS_01.MRC.GZ", "c:\\x\\TS_01_EVN_Vol.mrc"),
    ],
)
def test_the_core_of_a_name_is_what_no_program_added(name: str) -> None:
    assert core_name(name) == "TS_01"
    runs = ["rec_TS_01", "rec_TS_02"]
    assert paired([name], runs, RunNames.of(None, usual="{run}.tomostar"), source="t") == {name: "rec_TS_01"}


def test_a_template_of_both_sides_takes_away_and_adds() -> None:
    names = RunNames.of("rec_{run}={run}_x", usual="{run}")
    assert (names.theirs("rec_TS_1"), names.ours("TS_1_x"), names.ours("TS_1")) == ("TS_1_x", "rec_TS_1", None)
    with pytest.raises(InputError, match="does not fit rec_"):
        names.theirs("TS_1")


def test_names_that_could_be_two_are_refused() -> None:
    usual = RunNames.of(None, usual="{run}")
    with pytest.raises(InputError, match="TS_01 could be TS_01_Vol or rec_TS_01"):
        paired(["TS_01"], ["rec_TS_01", "TS_01_Vol"], usual, source="t")
    with pytest.raises(InputError, match="both could be run rec_TS_01"):
        paired(["TS_01", "TS_01_Vol"], ["rec_TS_01"], usual, source="t")
    assert paired(["TS_01"], ["TS_01", "rec_TS_01"], usual, source="t") == {"TS_01": "TS_01"}


# Sizes of tomograms


def exact(x: float, y: float, z: float) -> list[list[float]]:
    """RELION's centre: half of the unbinned size."""
    return [[x * 15 - 4092 / 2 * 2.17, y * 15 - 5760 / 2 * 2.17, z * 15 - 1652 / 2 * 2.17]]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "words",
    [
        "--tomograms tomograms.star",
        "--tomograms set.star --voxel-size 15",
        "--tomograms TS_01.xml --voxel-size 15",
        "--unbinned-shape 1652 5760 4092 --pixel-size 2.17 --voxel-size 15 --name {run}",
    ],
)
def test_relion_5_counts_from_half_of_the_unbinned_size(words: str) -> None:
    Path("tomograms.star").write_text(TOMOGRAMS)
    Path("set.star").write_text("data_\n_rlnTomoTomogramsFile tomograms.star\n")
    z, y, x = (n * 2.17 for n in (1652, 5760, 4092))
    Path("TS_01.xml").write_text(f'<TiltSeries VolumeDimensionsAngstrom="{x}, {y}, {z}" />')
    run = "TS_01" if "--name" in words else "rec_TS_01"
    Path("p.csv").write_text(f"{HEADER}{run},ribosome,457.5,307.5,157.5,1\n")
    main(["export", "p.csv", "--format", "relion5", "-o", "out.star", *words.split()])
    row = Path("out.star").read_text().split("#5\n")[1].split()
    assert row[0] == "TS_01"
    np.testing.assert_allclose([[float(word) for word in row[1:4]]], exact(30, 20, 10), atol=1e-4)
    main(["import", "out_import.star", "--format", "relion5", "--species", "ribosome", "-o", "b.csv", *words.split()])
    np.testing.assert_allclose(read_csv(Path("b.csv"))["TS_01"]["ribosome"].zyx, [[157.5, 307.5, 457.5]], atol=1e-3)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("t.star", PARTICLES, "does not say how large tomograms are"),
        ("t.star", TOMOGRAMS.replace("4092", "0"), "above 0"),
        ("t.star", TOMOGRAMS + TOMOGRAMS.splitlines()[-1], "'TS_01' twice"),
        ("t.star", "data_\n_rlnTomoTomogramsFile gone.star\n", "names gone.star, which is not there"),
        ("t.star", "data_\n_rlnTomoTomogramsFile t.star\n", "does not say how large tomograms are"),
        ("t.xml", "<TiltSeries />", "has no VolumeDimensionsAngstrom"),
        ("t.xml", "<TiltSeries", "is not an XML file"),
        ("t.tomostar", "data_", "give Warp's t.xml"),
        ("t.aln", "# RawSize = 4092 5760 41\n", "neither their pixel size nor how deep"),
        ("TiltSeries_Metrics.csv", "Tilt_Series,Pix_Size(A)\n", "has no sizes of tomograms"),
        ("newst.com", "$newstack -StandardInput\nInputFile TS_01.st\n", "is not IMOD's tilt.com"),
        ("tilt.com", TILT, "TS_01_ali.mrc, whose header does, is not beside it"),
        ("tilt.com", TILT + "SLICE 0 99\n", r"cuts or moves the volume \(SLICE\)"),
        ("tilt.com", TILT.replace("SHIFT 0.0", "SHIFT 9.0"), r"cuts or moves the volume \(SHIFT\)"),
        ("t.mrc", "", "cannot be read as an MRC volume"),
    ],
)
def test_a_file_without_sizes_says_so(file: str, text: str, message: str) -> None:
    Path(file).write_text(text)
    with pytest.raises(InputError, match=message):
        imported(f"{PARTICLES}TS_01 1 1 1\n", file="p.star", tomograms=[file], data={"voxel_size": 10.0})


def test_imods_command_file_says_the_size_before_binning_and_the_series_beside_it_the_pixel_size(folder: Path) -> None:
    with mrcfile.new(folder / "TS_01_ali.mrc", np.zeros((3, 160, 160), np.float32)) as file:
        file.voxel_size = 10.0
    Path("tilt.com").write_text(TILT)
    (size,) = read_sizes([Path("tilt.com")])
    assert (size.name, size.size, size.pixel_size, size.voxel_size) == ("TS_01_full_rec", (800, 1600, 1605), 2.5, 10)
    Path("p.csv").write_text(f"{HEADER}rec_TS_01,ribosome,50,60,40,0.5\n")
    options = ExportOptions(tomograms=(Path("tilt.com"),), project=folder / "vol")
    with heard() as remarks:
        export_picks("p.csv", "out.star", "relion5", options=options)
    assert "rec_TS_01" in Path("out.star").read_text()  # the volume's name is none of RELION's
    said = [one.text for one in remarks if one.code == "centre"]
    assert said == [said[0]]
    assert "has 8 x 16 x 16 voxels (z, y, x), and its size before binning makes 80 x 160 x 160.5" in said[0]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", ["imod", "eman2", "warp"])
def test_a_tomograms_own_header_is_enough_without_a_project(name: str) -> None:
    Path("p.csv").write_text(f"{HEADER}TS_01,ribosome,45,65,35,0.5\nTS_01,ribosome,45,65,350,0.5\n")
    file = f"TS_01{FORMATS[name].endings[0]}"
    options = {"tomograms": ["vol/rec_TS_01.mrc"], "pixel_size": 10.0}
    with heard() as remarks:
        export_picks("p.csv", file, name, options=ExportOptions.of(options, source="t"))
        back = import_picks(file, name, species="ribosome", options=FrameOptions.of(options, source="t"))
    np.testing.assert_allclose(back["TS_01"]["ribosome"].zyx[0], [35, 65, 45], atol=1e-3)
    assert {one.code for one in remarks} - {"scores-from"} == {"outside"}


@pytest.mark.usefixtures("folder")
def test_relions_import_gets_a_list_with_a_file_for_each_tomogram() -> None:
    Path("p.csv").write_text(f"{HEADER}TS_01,ribosome,50,60,40,0.9\nTS_02,ribosome,50,60,40,0.9\n")
    files = export_picks(
        "p.csv", "rel/{species}.star", "relion5", options=ExportOptions(shape=SHAPE, data={"voxel_size": 10.0})
    )
    names = ["ribosome.star", "ribosome_import.star", "ribosome_import/TS_01.star", "ribosome_import/TS_02.star"]
    assert files == [Path("rel") / name for name in names]
    assert "TS_02\trel/ribosome_import/TS_02.star" in files[1].read_text()
    assert "TS_01" not in files[3].read_text()
