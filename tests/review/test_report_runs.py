"""The table of a project's runs on the page of its report, and the pages that it leads to."""

import io
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import torch
from browsing import Opened
from conftest import copied, refused
from PIL import Image
from reports import CALIBRATIONS, THRESHOLDS, picked_project

from tomosoup.cli.main import main
from tomosoup.core.types import Picks, Volume
from tomosoup.data.formats.tables.picks_csv import write_csv
from tomosoup.data.options import AnnotatedData
from tomosoup.data.pick_store.reading import read_candidates, read_picks
from tomosoup.data.pick_store.records import Session, fingerprint_of
from tomosoup.data.project import CopickProject, open_project
from tomosoup.inference.jobs.probabilities import false_discovery_rates
from tomosoup.review.report import collect as collecting
from tomosoup.review.report.collect import ReportOptions, collect, gather, open_inputs, runs_in_detail
from tomosoup.review.report.slice_atlas import THUMBNAIL, thumbnail

RUNS = ("run 1", "run 2", "run 3", "run 10", "run_#5")
FAILED, LEFT = RUNS[1], RUNS[2]
WHY = "The voxels cannot be read: copy the file again."


def session_of(project: Path) -> tuple[Session, str]:
    """The session of a picked project, and the folder of its records."""
    opened = open_project(project)
    assert isinstance(opened, CopickProject)
    session = Session.of(opened.root, "0")
    settings = session.settings()
    assert settings is not None
    return session, fingerprint_of(settings)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five runs, of which one failed and one is not picked yet."""
    folder = picked_project(tmp_path_factory.mktemp("runs") / "project", calibrations=CALIBRATIONS, runs=RUNS)
    session, fingerprint = session_of(folder)
    session.forget([FAILED, LEFT], fingerprint)
    session.record_failure(FAILED, fingerprint, {"run": FAILED, "error": WHY})
    return folder


@pytest.fixture(scope="module")
def report(project: Path) -> Path:
    page = project.parent / "look here.html"
    main(["report", str(project), "-o", str(page), "--pages", "--volumes", "2"])
    return page


@pytest.fixture
def page(opened: Opened, report: Path) -> Any:
    loaded = opened.once(report)
    loaded.locator("#filter").fill("")
    loaded.locator("#state").select_option("")
    return loaded


def names(page: Any) -> list[str]:
    """The runs in the table, from its first line."""
    found: list[str] = page.locator("#lines tbody tr td:first-child").all_inner_texts()
    return [name.strip() for name in found]


def test_a_line_says_what_was_written_of_its_run(page: Any, project: Path) -> None:
    session, fingerprint = session_of(project)
    records, written = session.records(fingerprint), read_picks(project)
    lines = {row.locator("td").first.inner_text().strip(): row for row in page.locator("#lines tbody tr").all()}
    assert set(lines) == set(RUNS)
    for run, row in lines.items():
        texts = row.locator("td").all_inner_texts()[1:]
        if run not in records:
            assert texts == ["–"] * 4 + [f"failed: {WHY}" if run == FAILED else "not picked"]
            continue
        counts = [len(written[run][name]) for name in THRESHOLDS]
        rates = false_discovery_rates([records[run]])
        wrong = sum(rates.get(name, 0) * n for name, n in zip(THRESHOLDS, counts, strict=True))
        assert texts[:3] == [str(n) for n in (*counts, sum(counts))]
        assert float(texts[3].removesuffix(" %")) / 100 == pytest.approx(wrong / sum(counts), abs=0.0051)
        assert texts[4] == "picked"
        assert row.locator("img").evaluate("(img) => img.decode().then(() => img.naturalWidth)") == 60


def test_lines_are_sorted_and_filtered(page: Any) -> None:
    page.locator("#lines th button").first.click()
    down = names(page)
    page.locator("#lines th button").first.click()
    assert names(page) == down[::-1] == ["run 1", "run 2", "run 3", "run 10", "run_#5"]
    assert page.locator("#lines th").first.get_attribute("aria-sort") == "ascending"
    page.locator("#lines th button", has_text="All").click()
    numbers = [text for text in page.locator("#lines tbody td:nth-child(4)").all_inner_texts() if text != "–"]
    assert numbers == sorted(numbers, key=int, reverse=True)
    assert {*names(page)[-2:]} == {FAILED, LEFT}
    page.locator("#state").select_option("failed")
    assert names(page) == [FAILED]
    page.locator("#state").select_option("")
    page.locator("#filter").fill("RUN 1")
    assert sorted(names(page)) == ["run 1", "run 10"]
    assert page.locator("#listed").inner_text() == "2 of 5 runs"
    page.locator("#lines th button").first.click()


def test_lines_lead_to_pages_and_back(opened: Opened, page: Any, report: Path) -> None:
    links = page.locator("#lines tbody a")
    pages = {a.inner_text(): report.parent / unquote(a.get_attribute("href")) for a in links.all()}
    assert set(pages) == set(RUNS) - {FAILED, LEFT}
    assert sorted(path.name for path in (report.parent / "look here-runs").iterdir()) == sorted(
        f"{run}.html" for run in pages
    )
    own = opened(pages["run_#5"])
    assert own.locator("#run option").all_inner_texts() == ["run_#5"]
    assert not own.locator("#runs").is_visible()
    assert own.locator("h1").inner_text() == "project, run_#5"
    own.locator("#home").click()
    own.locator("#lines tbody tr").first.wait_for()
    assert Path(unquote(own.url.removeprefix("file://"))) == report
    own.close()


def test_without_pages_a_line_shows_its_run_on_this_page(opened: Opened, project: Path, tmp_path: Path) -> None:
    main(["report", str(project), "-o", str(tmp_path / "page.html"), "--volumes", "2"])
    page = opened(tmp_path / "page.html")
    assert page.locator("#lines tbody button").all_inner_texts() == ["run 1", "run 10"]
    page.locator("#lines tbody button", has_text="run 10").click()
    assert page.evaluate("DATA.runs[state.run].name") == "run 10"
    page.close()


def test_runs_whose_candidates_do_not_fit_are_in_the_table_alone(
    opened: Opened, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {run: sum(map(len, found.values())) for run, found in read_candidates(open_project(project), "0").items()}
    session, fingerprint = session_of(project)
    for run, record in session.records(fingerprint).items():
        session.record(run, fingerprint, {**record, "candidates": {"ribosome": sizes[run]}})
    monkeypatch.setattr(collecting, "CANDIDATES", sizes["run 1"] + sizes["run 10"])
    made = collect(project)
    assert [run.name for run in made.runs] == ["run 1", "run 10"]
    assert len(made.lines) == 5
    main(["report", str(project), "-o", str(tmp_path / "page.html")])
    page = opened(tmp_path / "page.html")
    assert "The other 1 picked run would make the page too large" in page.locator("#counted").inner_text()
    page.close()


def test_a_page_of_a_run_whose_tomogram_is_gone_says_so(project: Path, tmp_path: Path) -> None:
    folder = copied(project, tmp_path / "project")
    (store,) = (folder / "static" / "ExperimentRuns" / "run 10").rglob("*.zarr")
    shutil.rmtree(store)
    options = ReportOptions()
    made = gather(open_inputs(folder, None, "0", AnnotatedData(), options), options, run="run 10")
    assert made.runs[0].volume is None
    assert made.runs[0].remark.startswith("The tomogram is not shown. ")


def test_runs_with_true_particles_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "CANDIDATES", 20)
    true = {"c": {"ribosome": Picks.of([[1, 2, 3]])}}
    sizes = dict.fromkeys("abcd", 10)
    assert runs_in_detail("abcd", sizes, true) == ["a", "c"]
    assert runs_in_detail("abcd", sizes, {}) == ["a", "b"]
    assert runs_in_detail("abcd", {"a": 50}, {}) == ["a"]


def test_a_table_of_picks_has_lines_too(project: Path, tmp_path: Path) -> None:
    picks = {run: found for run, found in read_picks(project).items() if run != "run 1"}
    write_csv(tmp_path / "picks.csv", picks)
    lines = {line.name: line for line in collect(project, picks=tmp_path / "picks.csv").lines}
    assert lines["run 1"].picks is None
    assert lines["run 10"].picks == {name: len(found) for name, found in picks["run 10"].items()}


def test_pages_replace_none_unasked(report: Path, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report.rename(report.with_suffix(".moved"))
    said = refused(["report", str(project), "-o", str(report), "--pages"], capsys)
    report.with_suffix(".moved").rename(report)
    assert "look here-runs exists already" in said


def test_a_thumbnail_is_small_and_of_the_centre() -> None:
    data = torch.zeros(30, 200, 300)
    data[13:18, :100] = torch.arange(300.0)
    data[:10] = 1e3
    picture = Image.open(io.BytesIO(thumbnail(Volume(data, 10.0))))
    assert max(picture.size) <= THUMBNAIL
    assert picture.getpixel((2, 2)) < 60 < 180 < picture.getpixel((picture.width - 3, 2))
    assert picture.getpixel((picture.width - 3, picture.height - 3)) < 60
