"""What a report is made of: counts at every threshold, small tomograms, learning curves, the records of a session."""

import io
import json
import shlex
import shutil
from base64 import b64decode
from dataclasses import replace
from pathlib import Path

import matplotlib.image
import mrcfile
import numpy as np
import pytest
import torch
from conftest import refused
from hypothesis import given, settings
from hypothesis import strategies as st
from reports import RUNS, SHAPE, SPECIES, THRESHOLDS, picked_project

import tomosoup
from tomosoup.cli.main import main
from tomosoup.core.errors import InputError
from tomosoup.core.types import Picks, Volume
from tomosoup.data.formats.tables.picks_csv import write_csv
from tomosoup.data.options import AnnotatedData
from tomosoup.data.pick_store.reading import read_candidates
from tomosoup.data.project import open_project
from tomosoup.data.truth import read_truths
from tomosoup.review.report.collect import ReportOptions, collect
from tomosoup.review.report.learning_curves import POINTS, learning_curves
from tomosoup.review.report.page import contents, write_page
from tomosoup.review.report.slice_atlas import atlas, binned, binning
from tomosoup.scoring.matched_picks import FALSE, HIT, MatchedPicks
from tomosoup.scoring.matching import match
from tomosoup.scoring.score import score


@pytest.fixture(scope="module")
def picked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return picked_project(tmp_path_factory.mktemp("report") / "project")


places = st.lists(st.tuples(*[st.integers(0, 12)] * 3), max_size=12)


@settings(max_examples=60, deadline=None)
@given(places, places, st.lists(st.integers(0, 6), min_size=12, max_size=12))
def test_counts_are_those_of_the_score_at_every_threshold(found: list, true: list, scores: list) -> None:
    picks = Picks(np.array(found, float).reshape(-1, 3), np.array(scores[: len(found)], float))
    truth = Picks.of(true)
    known = MatchedPicks.of(picks, truth, distance=3.0)
    for threshold in (-np.inf, *range(8), np.inf):
        assert known.at(threshold) == match(picks.above(threshold), truth, distance=3.0)
    assert (known.outcome == HIT).sum() <= len(truth)
    near = [any(np.linalg.norm(p - t) <= 3.0 for t in truth.zyx) for p in known.zyx]
    assert ((known.outcome != FALSE) == near).all()


def test_pooled_counts_are_those_of_the_score(picked: Path) -> None:
    project = open_project(picked)
    report = collect(picked)
    limits = {"apo-ferritin": 0.3, "ribosome": 0.62}
    kept = {
        run: {n: p.above(limits[n]) for n, p in found.items()} for run, found in read_candidates(project, "0").items()
    }
    expected = score(kept, read_truths(project, AnnotatedData()), SPECIES)
    for kind in SPECIES:
        counted = [run.matched[kind.name].at(limits[kind.name]) for run in report.runs]
        assert sum(counted[1:], counted[0]) == expected.species[kind.name]
    assert expected.species["ribosome"].tp > 0
    assert report.thresholds == THRESHOLDS
    assert [run.scored for run in report.runs] == [True, True]
    assert [heading for heading, _ in report.records] == ["Session 0", "Run run_a", "Run run_b"]


@settings(max_examples=100, deadline=None)
@given(st.tuples(*[st.integers(1, 300)] * 3), st.integers(1, 10**6))
def test_binning_fits_and_is_no_coarser_than_it_must_be(shape: tuple[int, int, int], voxels: int) -> None:
    def left(factor: int) -> int:
        return int(np.prod([max(1, n // factor) for n in shape]))

    factor = binning(shape, voxels=voxels)
    assert left(factor) <= voxels
    assert factor == 1 or left(factor - 1) > voxels


def test_binned_voxels_stay_where_they_were() -> None:
    data = torch.zeros(7, 12, 9)
    data[2:4, 4:6, 6:8] = 1.0
    source = Volume(data, 10.0, (5.0, 5.0, 5.0))
    small = binned(source, 2)
    assert small.shape == (3, 6, 4)
    assert small.data[1, 2, 3] == 1.0
    assert small.data.sum() == 1.0
    assert small.to_angstrom([1, 2, 3]) == pytest.approx(source.to_angstrom([2.5, 4.5, 6.5]))


def test_each_slice_is_a_tile_of_the_picture() -> None:
    data = torch.arange(11.0)[:, None, None].expand(11, 16, 24)
    made = atlas(Volume(data, 10.0), voxels=10**6)
    image = matplotlib.image.imread(io.BytesIO(made.jpeg), format="jpg")
    for z in range(11):
        row, column = divmod(z, made.columns)
        tile = image[row * 16 : row * 16 + 16, column * 24 : column * 24 + 24]
        assert np.abs(tile.astype(float) - z * 25.5).max() < 12
    assert made.shape == (11, 16, 24)


def test_a_volume_without_contrast_is_drawn() -> None:
    assert atlas(Volume(torch.ones(2, 3, 4), 10.0), voxels=5).shape == (1, 1, 2)


def write_log(path: Path, first: int, losses: list[float], f4: float) -> None:
    """The log of an epoch, in Lightning's columns."""
    rows = "".join(f"{first},,{loss},{first * 1000 + i}\n" for i, loss in enumerate(losses))
    path.write_text(f"epoch,f4,loss,step\n{rows}{first},{f4},,{first * 1000 + len(losses)}\n")


def test_learning_curves_go_on_over_a_stop(tmp_path: Path) -> None:
    model = tmp_path / "m.safetensors"
    assert learning_curves(model) is None
    (tmp_path / "m.training").mkdir()
    write_log(tmp_path / "m.training/metrics.1.csv", 0, [1.0] * 900, 0.25)
    write_log(tmp_path / "m.training/metrics.csv", 1, [3.0] * 900, 0.5)
    curves = learning_curves(model)
    assert curves is not None
    x, y = curves.loss
    assert len(x) == POINTS
    assert (np.diff(x) > 0).all()
    assert (y[0], y[-1]) == (1.0, 3.0)
    assert [curve.tolist() for curve in curves.by_epoch["f4"]] == [[0.0, 1.0], [0.25, 0.5]]
    (tmp_path / "m.training/metrics.csv").write_text("epoch,loss\n1,green\n")
    with pytest.raises(InputError, match="is not the log of a training"):
        learning_curves(model)


def test_equal_projects_make_equal_pages(picked: Path, tmp_path: Path) -> None:
    for name in ("a.html", "b.html"):
        write_page(tmp_path / name, collect(picked))
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_the_distance_to_a_mask_stays_with_its_pick(picked: Path, tmp_path: Path) -> None:
    found = {
        run: {name: replace(p, mask_distance=100 * p.score) for name, p in those.items()}
        for run, those in read_candidates(open_project(picked), "0").items()
    }
    write_csv(tmp_path / "p.csv", found)
    for run in contents(collect(picked, picks=tmp_path / "p.csv"))["runs"]:
        for packed in run["found"]:
            score, distance = (
                np.frombuffer(b64decode(packed[key]["base64"]), f"<{packed[key]['kind']}")
                for key in ("score", "maskDistance")
            )
            np.testing.assert_allclose(distance, 100 * score, atol=0.06)


def test_truth_may_be_missing_or_elsewhere(tmp_path: Path, picked: Path) -> None:
    bare = picked_project(tmp_path / "bare", truth=False)
    assert not any(run.scored for run in collect(bare).runs)
    table = tmp_path / "truth.csv"
    write_csv(table, {"run_b": read_truths(open_project(picked), AnnotatedData())["run_b"]})
    for source in (table, picked):
        report = collect(bare, data=AnnotatedData(truth=str(source)))
        assert [run.scored for run in report.runs] == [source == picked, True]
        assert len(report.runs[1].matched["ribosome"].truth) == 9


def test_python_writes_a_page_and_replaces_none_unasked(picked: Path, tmp_path: Path) -> None:
    shown = tomosoup.ReportOptions(volumes=0)
    assert tomosoup.report(picked, tmp_path / "page.html", options=shown).stat().st_size > 10**5
    with pytest.raises(InputError, match=r"page\.html exists already"):
        tomosoup.report(picked, tmp_path / "page.html", options=shown)
    tomosoup.report(picked, tmp_path / "page.html", options=shown, overwrite=True)


def test_runs_beyond_those_shown_keep_their_numbers(picked: Path) -> None:
    report = collect(picked, options=ReportOptions(volumes=1, voxels=2000))
    assert [run.volume is not None for run in report.runs] == [True, False]
    assert report.runs[0].volume is not None
    assert np.prod(report.runs[0].volume.shape) <= 2000
    assert all(len(run.matched["ribosome"].score) > 9 for run in report.runs)


def test_a_folder_of_mrc_files_is_shown_with_a_table_of_picks(tmp_path: Path, picked: Path) -> None:
    folder = tomograms(tmp_path / "volumes")
    write_csv(tmp_path / "picks.csv", read_candidates(open_project(picked), "0"))
    main(["report", str(folder), "--picks", str(tmp_path / "picks.csv"), "-o", str(tmp_path / "page.html")])
    assert (tmp_path / "page.html").stat().st_size > 10**6


def test_picks_are_found_in_the_copick_folder_beside_a_folder_of_mrc_files(tmp_path: Path, picked: Path) -> None:
    folder = tomograms(tmp_path / "tomograms")
    with pytest.raises(InputError, match=r"No picks of .*tomograms were found beside it"):
        collect(folder)
    picks = beside(picked, tmp_path / "picks.copick", folder)
    numbers_alone = ReportOptions(volumes=0)  # the session is of tomograms of another type
    report = collect(folder, options=numbers_alone)
    assert report.title == "tomograms"
    assert report.source.path == picks
    assert report.thresholds == THRESHOLDS
    assert all(len(run.matched["ribosome"].score) > 9 for run in report.runs)
    beside(picked, tmp_path / "again.copick", folder)
    beside(picked, tmp_path / "others.copick", tmp_path)
    with pytest.raises(
        InputError, match=r"in several folders \(.*again\.copick, .*picks\.copick\): name one as `picks`"
    ):
        collect(folder)
    assert collect(folder, picks=picks, options=numbers_alone).source.path == picks


def tomograms(folder: Path) -> Path:
    """A folder of MRC files with a table of species."""
    folder.mkdir()
    for run in RUNS:
        with mrcfile.new(folder / f"{run}.mrc") as file:
            file.set_data(np.random.default_rng(0).normal(size=SHAPE).astype(np.float32))
            file.voxel_size = 10.0
    (folder / "species.csv").write_text("name,radius\napo-ferritin,60\nribosome,120\n")
    return folder


def beside(picked: Path, copy: Path, tomograms: Path) -> Path:
    """A copy of a project as `tomosoup pick` makes it beside the table of picks, for tomograms in another folder."""
    shutil.copytree(picked, copy)
    config = json.loads((copy / "copick_config.json").read_text())
    config |= {"static_root": f"local://{tomograms / 'static'}", "overlay_root": f"local://{copy / 'overlay'}"}
    (copy / "copick_config.json").write_text(json.dumps(config))
    return copy


def test_picking_writes_the_page_and_again_after_a_stop(
    project: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["pick", str(project), "--model", str(model), "--runs", "run_000"]
    main(words)
    assert "To look at it: tomosoup report " in capsys.readouterr().out
    for _ in range(2):
        main([*words, "--report", str(tmp_path / "page.html")])
        assert f"{tmp_path / 'page.html'}: open it in a browser" in capsys.readouterr().out
    (tmp_path / "other.html").write_text("mine")
    assert "other.html exists already" in refused([*words, "--report", str(tmp_path / "other.html")], capsys)
    records = dict(collect(project, options=ReportOptions(models=(model,))).records)
    assert list(records) == ["Checkpoint model.safetensors", "Session 0", "Run run_000"]
    assert records["Checkpoint model.safetensors"]["made these picks"] is True


def test_a_training_is_shown_without_picks(project_folder: Path, model: Path) -> None:
    model.with_suffix(".training").mkdir()
    write_log(model.with_suffix(".training") / "metrics.csv", 0, [2.0, 1.0], 0.5)
    report = collect(project_folder, options=ReportOptions(models=(model,), volumes=1))
    assert [curves.name for curves in report.learning] == ["model.safetensors"]
    assert len(report.runs) == 3
    assert all(run.scored for run in report.runs)
    with pytest.raises(InputError, match="holds no candidates"):
        collect(project_folder, session="mistyped", options=ReportOptions(models=(model,)))


def test_what_cannot_be_shown_is_told(
    tmp_path: Path, project_folder: Path, picked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = str(tmp_path / "page.html")
    assert "run `tomosoup pick` on it first" in refused(["report", str(project_folder), "-o", page], capsys)
    table = tmp_path / "picks.csv"
    table.write_text("experiment,particle_type,x,y,z\nrun_a,unicorn,1,2,3\n")
    words = ["report", str(picked), "--picks", str(table), "-o", page]
    said = refused(words, capsys)
    assert "name unicorn, which the project does not list" in said
    assert f"add them to the pickable objects of {open_project(picked).path}, or leave them out" in said
    table.write_text("experiment,particle_type,x,y,z\nrun_c,ribosome,1,2,3\n")
    assert "None of the chosen runs" in refused(words, capsys)
    assert not Path(page).exists()
    Path(page).write_text("mine")
    assert "exists already" in refused(["report", str(picked), "-o", page], capsys)


def test_the_command_that_score_tells_of_makes_the_page(
    picked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_csv(Path("picks.csv"), read_candidates(open_project(picked), "0"))
    Path("with spaces").symlink_to(picked)
    for words in (["picks.csv", "with spaces"], ["with spaces", "with spaces", "--picks-set", "tomosoup/0-candidates"]):
        capsys.readouterr()
        main(["score", *words, "--threshold", "0.5", "ribosome=0.4"])
        told = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("To look at it"))
        command = shlex.split(told.partition("tomosoup ")[2])
        assert command[-3:] == ["--threshold", "0.5", "ribosome=0.4"]
        main([*command, "--overwrite"])
        assert (tmp_path / "report.html").is_file()
    capsys.readouterr()
    main(["score", "picks.csv", "picks.csv", "--species", str(_species(tmp_path))])
    assert "report" not in capsys.readouterr().out


def _species(folder: Path) -> Path:
    (folder / "species.csv").write_text("name,radius\napo-ferritin,60\nribosome,120\n")
    return folder / "species.csv"
