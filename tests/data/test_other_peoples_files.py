"""Files as other people and programs leave them: nothing in them is silently lost, renamed or taken for something."""

import bz2
import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
import torch

from tomosoup.cli.main import main
from tomosoup.core.errors import InputError
from tomosoup.core.types import Picks, Species, Volume
from tomosoup.data.formats.import_picks import import_picks
from tomosoup.data.formats.remarks import heard
from tomosoup.data.formats.tables.picks_csv import read_csv
from tomosoup.data.formats.tables.species_csv import read_species
from tomosoup.data.new_project import SimulatedRun, new_project
from tomosoup.data.options import AnnotatedData, DataOptions, FormatName, FrameOptions
from tomosoup.data.pick_store.reading import read_picks
from tomosoup.data.pick_store.writing import write_picks
from tomosoup.data.project import open_project
from tomosoup.data.truth import read_truth, remarks_on_truth
from tomosoup.data.volumes.files import volume_files

FRAME = FrameOptions(data=DataOptions(voxel_size=10.0), shape=(8, 16, 16), pixel_size=10.0)
HEADER = "experiment,particle_type,x,y,z"


def test_spaces_around_a_name_are_not_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(f"{HEADER}, score\nTS_1 , ribosome, 1, 2, 3, 0.5\n")
    assert read_csv(tmp_path / "p.csv")["TS_1"]["ribosome"].score.tolist() == [0.5]


@pytest.mark.parametrize("ending", ["csv.gz", "CSV.BZ2"])
def test_a_packed_table_is_a_table(tmp_path: Path, ending: str) -> None:
    pack = gzip.compress if ending.endswith("gz") else bz2.compress
    (tmp_path / f"p.{ending}").write_bytes(pack(f"{HEADER}\n007,ribosome,1,2,3\n".encode()))
    assert list(read_picks(tmp_path / f"p.{ending}")) == ["007"]
    with pytest.raises(InputError, match="files are written unpacked"):
        write_picks({}, tmp_path / f"q.{ending}")


def test_scores_are_in_the_first_column_that_has_any(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(f"{HEADER},score,cc\nTS_1,ribosome,1,2,3,,0.7\n")
    assert read_csv(tmp_path / "p.csv")["TS_1"]["ribosome"].score.tolist() == [0.7]


def test_a_table_of_species_without_any_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("name,radius\n")
    with pytest.raises(InputError, match="lists no species"):
        read_species(tmp_path / "s.csv")


@pytest.mark.parametrize("name", ["TS_1.coords", "TS_1.COORDS", "TS_1.coords.gz"])
def test_the_run_is_found_in_the_name_of_a_file_with_any_ending(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(gzip.compress(b"1 2 3\n") if name.endswith("gz") else b"1 2 3\n")
    assert list(import_picks(tmp_path / name, "cryolo", species="ribosome", options=FRAME)) == ["TS_1"]


def marked(name: str) -> str:
    """A set of one ChimeraX marker."""
    return f'<marker_set name="{name}"><marker id="1" x="1" y="2" z="3"/></marker_set>'


def test_a_name_that_chimerax_gave_is_no_species(tmp_path: Path) -> None:
    (tmp_path / "TS_1.cmm").write_text(marked("marker set 1"))
    assert [*import_picks(tmp_path / "TS_1.cmm", "chimerax", species="ribosome", options=FRAME)["TS_1"]] == ["ribosome"]
    with pytest.raises(InputError, match="does not say its species"):
        import_picks(tmp_path / "TS_1.cmm", "chimerax", options=FRAME)


def test_a_species_that_the_file_contradicts_is_said(tmp_path: Path) -> None:
    (tmp_path / "TS_1.cmm").write_text(marked("other"))
    with heard() as remarks:
        import_picks(tmp_path / "TS_1.cmm", "chimerax", species="ribosome", options=FRAME)
    assert "species" in [one.code for one in remarks]


PICK = {"location": {"x": 1, "y": 2, "z": 3}}
COPICK = {"pickable_object_name": "ribosome", "user_id": "u", "session_id": "1", "unit": "angstrom", "points": [PICK]}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"run_name": 7}, "run_name: expected text, got 7"),
        ({"pickable_object_name": True}, "pickable_object_name: expected text, got True"),
        ({"points": [{"location": {"x": "1_0", "y": 1, "z": 1}}]}, "a location has '1_0'; expected a number"),
        ({"points": [{"location": {"x": True, "y": 1, "z": 1}}]}, "a location has True; expected a number"),
        ({"points": [{"location": {"x": 1, "y": 1}}]}, "points.0.location.z: is missing"),
    ],
)
def test_a_copick_file_that_is_none_says_which_value_and_why(
    tmp_path: Path, changed: dict[str, Any], says: str
) -> None:
    (tmp_path / "p.json").write_text(json.dumps(COPICK | changed))
    with pytest.raises(InputError) as error:
        import_picks(tmp_path / "p.json", "copick", options=FRAME)
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("name", "format_name"),
    [("p.star", "relion5"), ("p.coords", "cryolo"), ("p.json", "copick"), ("p.mod", "imod"), ("p.em", "tom")],
)
def test_a_pipe_is_not_waited_for(tmp_path: Path, name: str, format_name: FormatName) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match=f"{name} is not a regular file"):
        import_picks(tmp_path / name, format_name, species="ribosome", options=FRAME)


def test_a_pipe_among_copicks_picks_is_not_waited_for(tmp_path: Path) -> None:
    volume = Volume(torch.zeros(2, 2, 2), 10.0)
    with new_project(tmp_path, [Species("ribosome", 150)]) as project:
        project.add_run("a", SimulatedRun({"denoised": volume}, {"ribosome": Picks.of([[5, 5, 5]])}))
    (found,) = tmp_path.rglob("*_ribosome.json")
    os.mkfifo(found.with_name("me_1_ribosome.json"))
    with pytest.raises(InputError, match=r"me_1_ribosome.json is not a regular file"):
        read_truth(tmp_path, "a", "me/1")


def tomograms(folder: Path) -> Path:
    """A folder of one MRC file."""
    folder.mkdir()
    mrcfile.write(folder / "TS_1.mrc", np.random.default_rng(0).normal(size=(8, 16, 16)).astype("f4"), voxel_size=10)
    return folder


@pytest.mark.parametrize("table", ["species.csv", "picks.csv"])
def test_a_pipe_beside_tomograms_is_not_waited_for(tmp_path: Path, table: str) -> None:
    os.mkfifo(tomograms(tmp_path / "t") / table)
    read: Callable[[Any], Any] = (lambda p: p.species) if table == "species.csv" else (lambda p: p.picks)
    with pytest.raises(InputError, match=f"{table} is not a regular file"):
        read(open_project(tmp_path / "t"))


@pytest.mark.parametrize(("size", "said"), [(10.0, False), (4.0, True), (20.0, False)])
def test_picks_that_are_all_in_one_half_are_said(tmp_path: Path, size: float, said: bool) -> None:
    """As those are whose pixels are larger than it is said."""
    places = np.random.default_rng(0).uniform(0.5, [14.5, 14.5, 6.5], (30, 3))
    np.savetxt(tmp_path / "TS_1.coords", places)
    with heard() as remarks:
        import_picks(
            tmp_path / "TS_1.coords", "cryolo", species="a", options=FRAME.model_copy(update={"pixel_size": size})
        )
    assert ("crowded" in [one.code for one in remarks]) is said


def test_a_pick_file_of_the_contest_may_end_in_capitals(tmp_path: Path) -> None:
    (tmp_path / "static/ExperimentRuns/a").mkdir(parents=True)
    folder = tmp_path / "overlay/ExperimentRuns/a/Picks"
    folder.mkdir(parents=True)
    (folder / "ribosome.JSON").write_text(json.dumps(COPICK))
    assert len(read_truth(tmp_path, "a")["ribosome"]) == 1


def test_volumes_that_are_not_read_are_named(tmp_path: Path) -> None:
    names = ["a.hdf5", "b.h5", "c.mrc.zst", "d.nrrd", "e.dm4"]
    for name in names:
        (tmp_path / name).touch()
    assert volume_files(tmp_path).left_out == tuple(names)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("-o p.csv --submission ./p.csv", "The name p.csv is given twice"),
        ("-o m.safetensors --overwrite", "The name m.safetensors is given twice"),
        ("-o t/picks.csv", "t/picks.csv is where t says its true picks: choose another --output"),
        ("-o p.csv.gz", "p.csv.gz: files are written unpacked; name one without .gz"),
        ("-o t/species.csv", "t/species.csv is where t says its species: choose another --output"),
    ],
)
def test_picks_never_take_the_place_of_what_they_were_made_from(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: str,
    says: str,
) -> None:
    tomograms(tmp_path / "t")
    (tmp_path / "m.safetensors").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(f"pick t --model m.safetensors {words}".split())
    assert says in capsys.readouterr().err


def test_training_hears_of_true_picks_that_count_for_nothing(tmp_path: Path) -> None:
    (tomograms(tmp_path / "t") / "picks.csv").write_text(f"{HEADER}\nTS_1,a,9999,80,40\nTS_9,a,80,80,40\n")
    unknown, outside = remarks_on_truth(open_project(tmp_path / "t"), AnnotatedData())
    assert "does not have: TS_9" in unknown
    assert "1 true pick outside of their tomograms, in run TS_1" in outside


def test_a_set_of_picks_is_not_merged_with_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.csv").write_text(f"{HEADER}\nTS_1,ribosome,80,80,40\n")
    with pytest.raises(SystemExit):
        main(["merge", str(tmp_path / "p.csv"), f"{tmp_path}/../{tmp_path.name}/p.csv", "-o", str(tmp_path / "m.csv")])
    assert "is named twice" in capsys.readouterr().err


def test_maps_name_the_picks_that_they_leave_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tomograms(tmp_path / "t")
    (tmp_path / "p.csv").write_text(f"{HEADER}\nTS_1,ribosome,9999,80,40\nTS_9,ribosome,80,80,40\n")
    main(["maps", str(tmp_path / "t"), "--picks", str(tmp_path / "p.csv"), "-o", str(tmp_path / "m")])
    said = capsys.readouterr().out
    assert "t does not have: TS_9." in said
    assert "1 pick of run TS_1 outside of its tomogram" in said
