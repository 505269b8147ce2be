"""What the page says of picks whose truth is not known: how likely they are, and where they were searched."""

import io
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
import torch
from browsing import Opened, until
from conftest import refused
from PIL import Image
from reports import CALIBRATIONS, RUNS, SHAPE, THRESHOLDS, picked_project

from tomosoup.core.types import NO_PICKS, Grid, PicksByRun, Volume
from tomosoup.data.copick import files as copick_files
from tomosoup.data.copick.masks.region import region_of
from tomosoup.data.copick.roots import run_of
from tomosoup.data.options import RegionOptions
from tomosoup.data.pick_store.pick_set import PickSet
from tomosoup.data.pick_store.reading import read_candidates, read_picks
from tomosoup.data.project import CopickProject, open_project
from tomosoup.review.report.collect import ReportOptions, collect
from tomosoup.review.report.page import write_page
from tomosoup.review.report.slice_atlas import atlas
from tomosoup.scoring.calibration import expected_false


def mask_file(path: Path) -> Path:
    """A slab of 6 slices and half the width."""
    inside = np.zeros(SHAPE, np.int8)
    inside[4:10, :, :30] = 1
    with mrcfile.new(path) as file:
        file.set_data(inside)
        file.voxel_size = 10.0
    return path


@pytest.fixture(scope="module")
def likely(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project without truth whose picks have probabilities and were searched in a mask."""
    folder = tmp_path_factory.mktemp("likely")
    region = RegionOptions(mask=str(mask_file(folder / "mask.mrc"))).model_dump(mode="json")
    return picked_project(folder / "project", truth=False, calibrations=CALIBRATIONS, settings={"region": region})


@pytest.fixture
def page(opened: Opened, likely: Path) -> Any:
    path = likely.parent / "page.html"
    if not path.exists():
        write_page(path, collect(likely))
    return opened.once(path)


def rates(picks: PicksByRun, thresholds: Mapping[str, float]) -> list[float]:
    """The fraction of the picks above the thresholds that Python expects to be false, by species and over all."""
    kept = [{name: p.above(thresholds[name]) for name, p in those.items()} for those in picks.values()]
    false = [expected_false(those, CALIBRATIONS) for those in kept]
    wrong = [sum(f[name] for f in false) for name in THRESHOLDS]
    numbers = [sum(len(those[name]) for those in kept) for name in THRESHOLDS]
    return [*(w / n for w, n in zip(wrong, numbers, strict=True)), sum(wrong) / sum(numbers)]


def test_the_expected_fraction_of_false_picks_follows_the_thresholds(page: Any, likely: Path) -> None:
    candidates = read_candidates(open_project(likely), "0")
    for thresholds in (THRESHOLDS, {"apo-ferritin": 0.62, "ribosome": 0.2}):
        page.evaluate("(values) => { state.thresholds = values; tell('threshold'); }", list(thresholds.values()))
        shown = page.locator("#species tbody tr td:nth-child(4)").all_inner_texts()
        shown.append(page.locator("#figures div").last.inner_text().split("\n")[0])
        numbers = [float(text.removesuffix(" %")) / 100 for text in shown]
        assert numbers == pytest.approx(rates(candidates, thresholds), abs=0.0051)


def test_one_slider_keeps_as_many_picks_as_a_rate_allows(page: Any, likely: Path) -> None:
    candidates = read_candidates(open_project(likely), "0")
    page.locator("#rate input").evaluate("(s) => { s.value = 30; s.dispatchEvent(new Event('input')); }")
    words = shlex.split(page.locator("#command").input_value())[1:]
    for name, threshold in ((word.partition("=")[0], float(word.partition("=")[2])) for word in words):
        scores = np.concatenate([those[name].score for those in candidates.values()])
        kept = (scores >= CALIBRATIONS[name].threshold(scores, max_fdr=0.3)).sum()
        assert 0 < kept == (scores >= threshold).sum() < len(scores)


def test_each_pick_says_how_likely_it_is(page: Any) -> None:
    page.evaluate("tell('run')")
    until(page, "document.querySelector('#gallery .tile small')")
    tile = page.locator("#gallery .tile").first
    score = float(tile.locator("span").inner_text())
    chance = CALIBRATIONS["apo-ferritin"].probabilities(np.array([score]))[0]
    assert tile.locator("small").inner_text() == f"{100 * chance:.0f} % likely"
    tile.click()
    mark = page.evaluate("marks('xy').find(({s, i}) => s === 0 && i === 0)")
    scale = page.evaluate("scale")
    page.locator("#xy").hover(position={axis: (mark[axis] + 0.5) * scale for axis in "xy"})
    until(page, "document.getElementById('pointed').textContent.includes('% likely')")
    assert (
        page.locator("#pointed")
        .inner_text()
        .startswith(f"apo-ferritin: score {score:.3f}, {100 * chance:.0f} % likely")
    )


def test_the_part_that_was_searched_is_outlined(page: Any) -> None:
    drawn = "document.getElementById('xz').toDataURL()"
    until(page, "!planned")
    with_outline = page.evaluate(drawn)
    page.locator("#mark-region").uncheck()
    until(page, "!planned")
    assert page.evaluate(drawn) != with_outline
    page.locator("#mark-region").check()
    inside = page.evaluate("Array.from(volume.inside, (v) => v > 0)")
    expected = np.zeros(SHAPE, bool)
    expected[4:10, :, :30] = True
    assert (np.array(inside).reshape(SHAPE) == expected).all()


def test_a_region_is_binned_with_its_volume(tmp_path: Path) -> None:
    mask = str(mask_file(tmp_path / "mask.mrc"))
    source = Volume(torch.zeros(SHAPE), 10.0, (5.0, 5.0, 5.0))
    region = region_of(RegionOptions(mask=mask), "run", Grid(source.voxel_size, source.origin, source.shape), None)
    made = atlas(source, voxels=SHAPE[0] * SHAPE[1] * SHAPE[2] // 8, region=region)
    assert made.region is not None
    tiles = np.array(Image.open(io.BytesIO(made.region)))
    depth, height, width = made.shape
    assert (depth, height, width) == tuple(n // 2 for n in SHAPE)
    rows = tiles.reshape(-1, height, made.columns, width).transpose(0, 2, 1, 3).reshape(-1, height, width)
    assert rows[:depth].any((1, 2)).tolist() == [False, False, True, True, True, False, False]
    assert rows[2].sum() == height * 15


def test_a_mask_that_is_gone_is_a_remark_and_one_that_is_asked_for_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = str(tmp_path / "gone.mrc")
    project = picked_project(
        tmp_path / "project", settings={"region": RegionOptions(mask=gone).model_dump(mode="json")}
    )
    report = collect(project, options=ReportOptions(volumes=1))
    assert "gone.mrc" in report.runs[0].remark
    assert [run.remark for run in report.runs[1:]] == [""]
    page = tmp_path / "page.html"
    words = ["report", str(project), "-o", str(page), "--mask"]
    assert "has no mask" in refused([*words, gone], capsys)
    assert not page.exists()
    own = collect(project, options=ReportOptions(mask=str(mask_file(tmp_path / "mask.mrc"))))
    assert [run.volume is not None and run.volume.region is not None for run in own.runs] == [True] * len(RUNS)


def test_a_species_of_which_no_pick_was_certain_enough_opens_without_picks(tmp_path: Path) -> None:
    project = picked_project(tmp_path / "project", settings={"max_fdr": {"rate": 0.1}})
    opened = open_project(project)
    assert isinstance(opened, CopickProject)
    for run in RUNS:
        kept = read_picks(opened, "tomosoup/0")[run]
        picks = {"apo-ferritin": NO_PICKS, "ribosome": kept["ribosome"]}
        copick_files.write_picks(run_of(opened.root, run), picks, PickSet("tomosoup", "0"))
    shown = collect(project)
    lowest = min(found["ribosome"].score.min() for found in read_picks(open_project(project), "tomosoup/0").values())
    assert shown.thresholds == {"apo-ferritin": np.inf, "ribosome": lowest}
