"""The commands `export` and `import`: which picks go where, under which names, and what is refused."""

import json
import shutil
from pathlib import Path

import mrcfile
import numpy as np
import pandas as pd
import pytest
import starfile
import torch
from conftest import copied, refused
from scipy.spatial.transform import Rotation

from tomosoup.cli.main import main
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.core.types import Picks, Volume
from tomosoup.data.copick.maps import SLAB, map_store
from tomosoup.data.formats.known_formats import FORMATS
from tomosoup.data.formats.tables.picks_csv import read_csv, write_csv
from tomosoup.data.new_project import SimulatedRun, new_project
from tomosoup.data.project import open_project
from tomosoup.data.tomogram import Tomogram

RUNS, SPECIES = ("TS_1", "TS_2"), ("ribosome", "apo-ferritin")
VOLUME = Volume(torch.zeros(8, 10, 12), 10.0, (5.0, 5.0, 5.0))


def some_picks(seed: int) -> Picks:
    numbers = np.random.default_rng(seed)
    turned = Rotation.random(3, random_state=numbers).as_matrix()
    return Picks(numbers.uniform(0, 80, (3, 3)), np.round(numbers.uniform(0, 1, 3), 3), turned)


PICKS = {run: {name: some_picks(10 * i + j) for j, name in enumerate(SPECIES)} for i, run in enumerate(RUNS)}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a project `p` of two runs with true picks, and `picks.csv` with the same."""
    folder = tmp_path_factory.mktemp("exchange")
    with new_project(folder / "p", CONTEST_SPECIES) as project:
        for run, truth in PICKS.items():
            project.add_run(run, SimulatedRun({"denoised": VOLUME}, truth))
    write_csv(folder / "picks.csv", PICKS)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, in which the test stands."""
    copied(made / "p", tmp_path / "p")
    shutil.copy(made / "picks.csv", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(words: str) -> None:
    main(words.split())


def imported(user: str = "me", session: str = "0") -> dict[str, dict[str, Picks]]:
    project = open_project("p")
    return {run: project.pick_sets(run)[user, session]() for run in project.runs}


@pytest.mark.parametrize("name", FORMATS)
def test_a_project_goes_to_files_and_comes_back(name: str, folder: Path) -> None:
    ending = FORMATS[name].endings[0]
    command(f"export p --picks-set simulation/0 --format {name} -o out/{{run}}+{{species}}{ending} --pixel-size 2.5")
    assert len(list((folder / "out").glob(f"*{ending}"))) == 4
    files = [str(file) for file in (folder / "out").glob(f"*{ending}")]
    pixel = ["--pixel-size", "2.5"] if FORMATS[name].frame.unit == "pixel" else []
    options = ["--format", name, "-o", "p", "--user", "me", "--pattern", f"{{run}}+{{species}}{ending}", *pixel]
    main(["import", *files, *options])
    for run, species in imported().items():
        for what, found in species.items():
            np.testing.assert_allclose(found.zyx, PICKS[run][what].zyx, atol=0.02)
            if FORMATS[name].turned:
                np.testing.assert_allclose(found.rotations, PICKS[run][what].rotations, atol=1e-5)


def test_one_file_holds_all_where_its_format_can(folder: Path) -> None:
    command("export p --picks-set simulation/0 --format relion5 -o {species}.star --name {run}_10.00Apx")
    table = starfile.read(folder / "ribosome.star")
    assert sorted(set(table["rlnTomoName"])) == ["TS_1_10.00Apx", "TS_2_10.00Apx"]
    command("import ribosome.star --format relion5 -o back.csv --project p --name {run}_10.00Apx --species ribosome")
    back = read_csv(folder / "back.csv")
    assert sorted(back) == list(RUNS)
    np.testing.assert_allclose(back["TS_2"]["ribosome"].zyx, PICKS["TS_2"]["ribosome"].zyx, atol=1e-2)
    np.testing.assert_allclose(back["TS_2"]["ribosome"].score, PICKS["TS_2"]["ribosome"].score)


def test_files_that_name_no_run_are_called_as_the_other_program_calls_it(folder: Path) -> None:
    command("export p --picks-set simulation/0 --format imod -o m/{run}.mod --name {run}_rec")
    assert sorted(f.name for f in (folder / "m").iterdir()) == ["TS_1_rec.mod", "TS_2_rec.mod"]
    command("import m/TS_1_rec.mod --format imod -o back.csv --project p --name {run}_rec")
    assert {run: sorted(species) for run, species in read_csv(folder / "back.csv").items()} == {"TS_1": sorted(SPECIES)}


def test_a_table_without_its_map_is_of_the_run_it_is_called_after(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command("export picks.csv --format dynamo --project p --species ribosome -o {run}.tbl")
    (folder / "TS_2.doc").unlink()
    command("import TS_2.tbl --format dynamo -o back.csv --project p --species ribosome")
    assert list(read_csv(folder / "back.csv")) == ["TS_2"]
    command("export picks.csv --format dynamo --project p --species ribosome -o both.tbl")
    (folder / "both.doc").unlink()
    words = "import both.tbl --format dynamo -o other.csv --project p --species ribosome"
    assert "put the map of their names" in refused(words.split(), capsys)


def test_a_motive_list_without_its_map_is_matched_by_number_where_all_runs_have_one(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command("export picks.csv --format stopgap --project p --species ribosome -o both.star")
    (folder / "both.txt").unlink()
    command("import both.star --format stopgap -o back.csv --project p --species ribosome")
    assert "found by the number that their names end in (1 is TS_1, 2 is TS_2)" in capsys.readouterr().out
    back = read_csv(folder / "back.csv")
    np.testing.assert_allclose(back["TS_2"]["ribosome"].zyx, PICKS["TS_2"]["ribosome"].zyx, atol=1e-3)
    words = "import both.star --format stopgap -o other.csv --species ribosome --voxel-size 10"
    assert "put the map of their numbers beside it" in refused(words.split(), capsys)


def test_the_unit_of_bare_points_is_said_and_never_assumed_silently(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command("export picks.csv --format xyz --project p --species ribosome --runs TS_2 -o TS_2.txt")
    assert "count voxels of 10 Å; the centre of the first voxel is 0, 0, 0" in capsys.readouterr().out
    command("import TS_2.txt --format xyz -o a.csv --project p --species ribosome")
    assert "voxels of 10 Å are assumed" in capsys.readouterr().out
    np.savetxt(folder / "TS_2.txt", np.loadtxt(folder / "TS_2.txt", ndmin=2) * 10)
    command("import TS_2.txt --format xyz -o b.csv --project p --species ribosome --pixel-size 1")
    for file in ("a.csv", "b.csv"):
        back = read_csv(folder / file)["TS_2"]["ribosome"]
        np.testing.assert_allclose(back.zyx, PICKS["TS_2"]["ribosome"].zyx, atol=1e-3)


def test_only_the_runs_that_are_asked_for_come_in(folder: Path) -> None:
    command("import picks.csv --format csv -o p --user me --runs TS_2")
    assert [run for run in RUNS if ("me", "0") in open_project(folder / "p").pick_sets(run)] == ["TS_2"]


def test_no_file_is_written_where_one_cannot_be(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "TS_2_info.json").write_text("[]")
    words = "export picks.csv --format eman2 --pixel-size 2.5 --project p -o {run}_info.json --overwrite"
    assert "TS_2_info.json is not an EMAN2 info file" in refused(words.split(), capsys)
    assert not (folder / "TS_1_info.json").exists()


def test_runs_species_and_thresholds_choose(folder: Path) -> None:
    command("export picks.csv --format czii -o a.csv --runs TS_1 --species ribosome --threshold ribosome=0.5")
    table = pd.read_csv(folder / "a.csv")
    assert set(table["experiment"]) == {"TS_1"}
    assert set(table["particle_type"]) == {"ribosome"}
    assert len(table) == (PICKS["TS_1"]["ribosome"].score >= 0.5).sum()


MASKS = {
    "--mask {run}.mrc": (32.0, 0.0),
    "--mask {run}.mrc --mask-side outside": (32.0, 0.0),
    "--mask {run}.mrc --mask-distance 15": (32.0, 0.0),
    "--mask {run}.mrc --first-voxel -0.5 --voxel-size 8": (24.0, -8.0),
    "--mask {run}.mrc --project p": (40.0, 0.0),
    "--mask slab:tomosoup/0 --project p": (40.0, 0.0),
}


@pytest.mark.parametrize("options", MASKS)
def test_picks_in_a_mask_are_exported_with_their_distances_to_it(
    options: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    surface, first = MASKS[options]
    half = torch.zeros(1, 8, 10, 12, dtype=torch.int8)
    half[:, :4] = 1
    for run in RUNS:
        mrcfile.write(folder / f"{run}.mrc", half[0].numpy(), voxel_size=0 if "--project" in options else 8)
        store = map_store(open_project("p"), None, "0")
        store.write(Tomogram(run, "denoised", 10.0, (5.0, 5.0, 5.0), half[0]), Volume(half, 10.0), [SLAB])
    z = np.array([first + 1, surface - 10, surface - 20, surface + 5, surface + 25])
    write_csv(folder / "all.csv", {run: {"ribosome": Picks.of(np.stack([z, z, z], axis=1))} for run in RUNS})
    wanted = {"outside": [3, 4], "15": [1]}.get(options.split()[-1], [0, 1, 2])
    command(f"export all.csv --format csv -o in.csv {options}")
    assert f"{2 * len(wanted)} of 10 picks are where the mask allows picks" in capsys.readouterr().out
    for found in read_csv(folder / "in.csv").values():
        assert list(found["ribosome"].zyx[:, 0]) == list(z[wanted])
        np.testing.assert_allclose(found["ribosome"].mask_distance, surface - z[wanted], atol=4.5)
    command("export in.csv --format relion5 --project p -o in.star")
    assert len(starfile.read(folder / "in.star")["tomosoupMaskDistance"].dropna()) == 2 * len(wanted)
    command("export in.csv --format imod --project p -o {run}.mod")
    assert "The format imod holds no distances to masks" in capsys.readouterr().out


def test_without_a_project_voxels_are_as_the_options_say(folder: Path) -> None:
    write_csv(folder / "one.csv", {"TS_1": {"ribosome": Picks.of([[35.0, 45.0, 55.0]])}})
    for options, index in (
        ("--voxel-size 10", (5, 4, 3)),
        ("--voxel-size 10 --first-voxel -0.5", (6, 5, 4)),
        ("--voxel-size 10 --other-first-voxel 1", (6, 5, 4)),
    ):
        command(f"export one.csv --format warp -o a.star --overwrite {options}")
        table = starfile.read(folder / "a.star")
        np.testing.assert_allclose(table[[f"rlnCoordinate{a}" for a in "XYZ"]], [index])


def test_relions_own_picker_has_another_centre(folder: Path) -> None:
    """RELION's Python: (index x binning - (size / 2 - 1)) x pixel size, in the unbinned tilt series' pixels."""
    index, binning, pixel = np.array([5, 4, 3]), 4, 2.5
    theirs = (index * binning - (np.array([12, 10, 8]) * binning / 2 - 1)) * pixel
    write_csv(folder / "one.csv", {"TS_1": {"ribosome": Picks.of([[35.0, 45.0, 55.0]])}})
    options = "--voxel-size 10 --shape 8 10 12 --other-first-voxel 0.25"
    command(f"export one.csv --format relion5 -o a.star {options}")
    table = starfile.read(folder / "a.star")
    np.testing.assert_allclose(table[[f"rlnCenteredCoordinate{a}Angst" for a in "XYZ"]], [theirs])
    command(f"import a.star --format relion5 -o b.csv {options} --species ribosome")
    np.testing.assert_allclose(read_csv(folder / "b.csv")["TS_1"]["ribosome"].zyx, [[35, 45, 55]])


def test_nothing_is_replaced_unless_asked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export = "export picks.csv --format dynamo --project p --species ribosome -o a.tbl"
    command(export)
    before = {file: file.read_bytes() for file in folder.glob("a.*")}
    (folder / "a.tbl").unlink()
    assert "a.doc exists already" in refused(export.split(), capsys)
    command(f"{export} --overwrite")
    assert {file: file.read_bytes() for file in folder.glob("a.*")} == before

    load = "import a.tbl --format dynamo -o p --user me --species ribosome"
    command(load)
    assert "TS_1, TS_2 has picks me/0 already" in refused(load.split(), capsys)
    command(f"{load} --overwrite")
    command(f"{load} --session 2")
    assert len(imported(session="2")["TS_1"]["ribosome"]) == 3
    table = "import a.tbl --format dynamo -o picks.csv --project p --species ribosome"
    assert "picks.csv exists already" in refused(table.split(), capsys)


def test_eman2s_other_knowledge_stays_in_its_file(folder: Path) -> None:
    (folder / "TS_1_info.json").write_text(json.dumps({"tlt_params": [[1, 2]], "apix_unbin": 2.5}))
    options = "--format eman2 --pixel-size 2.5 --project p --runs TS_1"
    command(f"export picks.csv -o {{run}}_info.json --overwrite {options}")
    info = json.loads((folder / "TS_1_info.json").read_text())
    assert info["tlt_params"] == [[1, 2]]
    assert len(info["boxes_3d"]) == 6


def test_chimerax_is_given_a_script_beside_the_markers(folder: Path) -> None:
    command("export picks.csv --format chimerax --project p -o {run}.cmm --volume ../{run}.mrc")
    assert 'open "TS_2.cmm"' in (folder / "TS_2.cxc").read_text()
    assert 'open "../TS_2.mrc"' in (folder / "TS_2.cxc").read_text()


PIXELS = "--format relion4 --project p --species ribosome -o a.star"
REFUSED = {
    "export picks.csv --format relion5 -o {species}.star": "name the project that holds the tomograms",
    "export picks.csv --format relion5 -o {species}.star --voxel-size 10": "z, y, x as --shape",
    f"export picks.csv {PIXELS}": "--pixel-size",
    "export picks.csv --format relion5 --project p -o a.star": "put {species} into the name",
    "export picks.csv --format imod --project p -o a.mod": "put {run} into the name",
    "export picks.csv --format imod --project p -o {run}.rec": "ends in .mod",
    "export picks.csv --format csv -o {tomogram}.csv": "no other braces",
    "export picks.csv --format csv -o a.csv --runs TS_9": "no picks of run TS_9",
    "export picks.csv --format csv -o a.csv --species virus": "no picks of species virus",
    "export picks.csv --format csv -o a.csv --threshold 2": "No picks of picks.csv are left",
    "export picks.csv --format csv -o a.csv --name x": "expected {run} in it",
    "export p --format csv -o a.csv": "holds no picks by tomosoup",
    "import picks.csv --format csv -o p": "add --user NAME",
    "import picks.csv --format csv -o p --user a_b": "copick does not accept the",
    "import picks.csv --format csv -o p --user me --name x{run}": "names of runs as --name",
    "import picks.csv --format relion5 -o a.csv": "picks.csv",
    "import nothing.tbl --format dynamo -o a.csv": "There is no file nothing.tbl",
    "import TS_1.coords --format cryolo -o a.csv --project p": "how files are named with --pattern, or give --species",
    "import TS_9.coords --format cryolo -o a.csv --project p --species ribosome": "(TS_9) are not in p/",
    "export unknown.csv --format csv -o a.csv --project p": "has no tomogram of run TS_9 (it has TS_1, TS_2)",
    "import picks.csv --format csv -o a.csv --name {run}={species}": "on both sides of =",
    "import TS_1.coords --format cryolo -o p --user me --species ribosome --unbinned-shape 1 1 1": "give their size as",
    "import TS_1.coords --format cryolo -o p --user me --species virus": "has no particle virus",
    "import TS_1.coords --format cryolo -o folder --user me --species ribosome": "folder is not a copick project",
    "import picks.csv --format csv -o a.csv --runs TS_9": "no picks of run TS_9 in picks.csv",
    "export picks.csv --format csv -o a.csv --mask {run}.mrc": "Run TS_1, TS_2 has no mask (there is no file",
    "export picks.csv --format csv -o a.csv --mask slab:me/0": "and none is known: give a --project, or",
    "export picks.csv --format csv -o a.csv --project p --mask slab:me/0": "there is no segmentation slab:me/0",
    "export strange.csv --format chimerax --project p -o {run}.cmm": "give a CSV table name,radius as --radii",
    "import empty.coords --format cryolo -o a.csv --species ribosome": "no picks in empty.coords",
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_does_not_suffice_is_said_in_a_sentence(
    words: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for run in ("TS_1", "TS_9"):
        (folder / f"{run}.coords").write_text("1 2 3\n")
    (folder / "empty.coords").write_text("")
    write_csv(folder / "strange.csv", {"TS_1": {"strange": Picks.of([[35.0, 45.0, 55.0]])}})
    if "folder" in words:
        (folder / "folder").mkdir()
        with mrcfile.new(folder / "folder" / "TS_1.mrc", np.ones((4, 4, 4), np.float32)) as file:
            file.voxel_size = 10.0
    write_csv(folder / "unknown.csv", {run: {"ribosome": Picks.of([[35.0, 45.0, 55.0]])} for run in ("TS_1", "TS_9")})
    before = sorted(folder.rglob("*"))
    assert REFUSED[words] in refused(words.split(), capsys)
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("name", ["warp", "m"])
def test_names_that_stars_cannot_hold_are_refused(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_csv(folder / "spaces.csv", {"TS 1": {"ribosome": Picks.of([[35.0, 45.0, 55.0]])}})
    words = f"export spaces.csv --format {name} --voxel-size 10 -o a.star"
    assert "cannot hold the name 'TS 1.tomostar'" in refused(words.split(), capsys)


def test_the_page_on_formats_has_a_row_for_each() -> None:
    page = (Path(__file__).parents[2] / "docs" / "data" / "formats.md").read_text()
    assert [name for name in FORMATS if f"| `{name}` |" not in page] == []
