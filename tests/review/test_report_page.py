"""The page of a report, in a real browser without a network."""

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from browsing import Opened, until
from reports import THRESHOLDS, picked_project

from tomosoup.cli.main import main
from tomosoup.core.types import Species
from tomosoup.review.report.collect import collect
from tomosoup.review.report.page import write_page


@pytest.fixture(scope="module")
def picked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return picked_project(tmp_path_factory.mktemp("report") / "project")


@pytest.fixture(scope="module")
def report(picked: Path) -> Path:
    """The page of the project made by hand."""
    path = picked.parent / "page.html"
    main(["report", str(picked), "--output", str(path), "--voxels", "90000"])
    return path


@pytest.fixture
def page(opened: Opened, report: Path) -> Any:
    """The page of the project made by hand, as it opens."""
    loaded = opened.once(report)
    loaded.locator("#reset").click()
    loaded.locator("#scope").select_option("all")
    loaded.locator("#run").select_option("0")
    loaded.evaluate("showRun()")
    return loaded


def told(page: Any) -> dict[str, float]:
    """The figures at the top, by name."""
    texts = page.locator("#figures div").all_inner_texts()
    return {name: float(value) for value, name in (text.split("\n") for text in texts)}


def scored(picked: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What `tomosoup score --json` says of the candidates."""
    capsys.readouterr()
    main(["score", str(picked), str(picked), "--picks-set", "tomosoup/0-candidates", *words, "--json"])
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def check_counts(page: Any, result: dict[str, Any]) -> None:
    """The page shows the very numbers of a score."""
    species = result["species"].values()
    figures = told(page)
    assert figures["weighted F4"] == pytest.approx(result["score"], abs=5.1e-4)
    for ours, theirs in (("hit", "tp"), ("false", "fp"), ("missed", "fn")):
        assert figures[ours] == sum(s[theirs] for s in species)
    rows = page.locator("#species tbody tr").all_inner_texts()
    for row, s in zip(rows, species, strict=True):
        numbers = [float(word) for word in re.findall(r"[\d.]+", row)]
        hit, picks = s["tp"], s["tp"] + s["fp"]
        assert numbers == pytest.approx([picks, hit / picks, hit / (hit + s["fn"]), s["f4"]], abs=5.1e-4)


def test_counts_follow_the_sliders_as_the_score_has_them(
    page: Any, picked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check_counts(page, scored(picked, ["--threshold", *(f"{n}={t}" for n, t in THRESHOLDS.items())], capsys))
    before = told(page)
    first, second = page.locator("#species input[type=range]").all()
    first.evaluate("(slider) => { slider.value = 0.312; slider.dispatchEvent(new Event('input')); }")
    second.focus()
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    words = shlex.split(page.locator("#command").input_value())
    assert words == ["--threshold", "apo-ferritin=0.312", "ribosome=0.371"]
    check_counts(page, scored(picked, words, capsys))
    assert told(page)["picks"] > before["picks"]
    page.locator("#best").click()
    assert all(len(word.partition("=")[2]) <= 5 for word in shlex.split(page.locator("#command").input_value())[1:])
    check_counts(page, scored(picked, shlex.split(page.locator("#command").input_value()), capsys))
    assert told(page)["weighted F4"] >= before["weighted F4"]
    page.locator("#reset").click()
    assert told(page) == before


def test_counts_can_be_those_of_the_run_shown(page: Any, picked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page.locator("#scope").select_option("run")
    page.locator("#run").select_option("1")
    limits = ["--threshold", *(f"{n}={t}" for n, t in THRESHOLDS.items())]
    check_counts(page, scored(picked, ["--runs", "run_b", *limits], capsys))


def test_the_text_is_copied(page: Any) -> None:
    page.locator("#copy").click()
    page.locator("#copy", has_text="Copied").wait_for()
    page.evaluate("document.body.append(Object.assign(document.createElement('textarea'), {id: 'paste'}))")
    page.locator("#paste").focus()
    page.keyboard.press("Control+V")
    assert page.locator("#paste").input_value() == "--threshold apo-ferritin=0.45 ribosome=0.375"


def test_three_planes_stay_in_step(page: Any) -> None:
    drawn = "['xy', 'yz', 'xz'].map((name) => document.getElementById(name).toDataURL())"
    depth, height, width = page.evaluate("volume.shape")
    assert page.evaluate("state.at") == [depth // 2, height // 2, width // 2]
    before = page.evaluate(drawn)
    box = page.locator("#xy").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.26, box["y"] + box["height"] * 0.77)
    z, y, x = page.evaluate("state.at")
    assert (z, y, x) == (depth // 2, int(height * 0.77), int(width * 0.26))
    page.mouse.wheel(0, 100)
    until(page, f"state.at[0] === {z + 1}")
    page.locator("#yz").focus()
    page.keyboard.press("ArrowLeft")
    page.locator("#xz").focus()
    page.keyboard.press("PageDown")
    assert page.evaluate("state.at") == [z + 1, max(0, y - 10), x - 1]
    until(page, "!planned")
    assert all(a != b for a, b in zip(before, page.evaluate(drawn), strict=True))
    positions = [float(text.split()[0]) for text in page.locator("#axes output").all_inner_texts()]
    size, origin = page.evaluate("[volume.voxelSize, volume.origin]")
    assert positions == pytest.approx(
        [(o + v * size) / 10 for o, v in zip(origin, page.evaluate("state.at"), strict=True)], abs=0.06
    )


def test_marks_can_be_switched_off_one_by_one(page: Any) -> None:
    seen = "Object.groupBy(marks('xy'), ({kind}) => kind)"
    kinds = set(page.evaluate(f"Object.keys({seen})"))
    assert kinds == {"hit", "missed", "false"}
    for kind in kinds:
        page.locator(f"#mark-{kind}").uncheck()
        assert set(page.evaluate(f"Object.keys({seen})")) == kinds - {kind}
        page.locator(f"#mark-{kind}").check()
    colours = "new Set(marks('xy').map(({colour}) => colour)).size"
    assert page.evaluate(colours) == 2
    page.locator("#species input[type=checkbox]").first.uncheck()
    assert page.evaluate(colours) == 1
    page.locator("#species input[type=checkbox]").first.check()


def test_a_tile_of_the_gallery_leads_to_its_particle(page: Any) -> None:
    page.locator("#tabs button").nth(1).click()
    page.locator("#tabs button[aria-pressed=true]", has_text="ribosome").wait_for()
    page.wait_for_timeout(150)
    score = page.locator("#gallery .tile span").first.inner_text()
    page.locator("#gallery .tile").first.click()
    found, scores = page.evaluate("[Array.from(DATA.runs[0].found[1].zyx), Array.from(DATA.runs[0].found[1].score)]")
    number = [f"{s:.3f}" for s in scores].index(score)
    assert page.evaluate("state.at") == [round(v) for v in found[3 * number : 3 * number + 3]]
    assert page.locator("#average figure").count() > 0


HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    "'\"><svg onload=alert(3)>$title &amp;",
]


def test_hostile_names_stay_text(opened: Opened, picked: Path, tmp_path: Path) -> None:
    made = collect(picked)
    kinds = tuple(
        Species(name.replace("/", ""), s.radius, s.weight) for name, s in zip(HOSTILE, made.species, strict=False)
    )
    renamed = {s.name: kind.name for s, kind in zip(made.species, kinds, strict=True)}
    runs = [
        replace(run, name=name, matched={renamed[n]: m for n, m in run.matched.items()})
        for run, name in zip(made.runs, HOSTILE[1:], strict=True)
    ]
    hostile = replace(
        made,
        title=HOSTILE[1],
        species=kinds,
        runs=tuple(runs),
        lines=tuple(
            replace(line, name=name, page=f"x/{name}", error=name)
            for line, name in zip(made.lines, HOSTILE, strict=False)
        ),
        thresholds=dict.fromkeys(renamed.values(), 0.4),
        records=((HOSTILE[0], {HOSTILE[1]: [HOSTILE[2]]}),),
    )
    write_page(tmp_path / "page.html", hostile)
    page = opened(tmp_path / "page.html")
    assert page.locator("h1").inner_text() == page.title() == HOSTILE[1]
    assert page.locator("#run option").all_inner_texts() == HOSTILE[1:]
    assert page.locator("#species tbody label").all_inner_texts() == [kind.name for kind in kinds]
    assert (
        page.evaluate("document.querySelectorAll('img:not([alt]), main svg[onload], body > script:not([id])').length")
        == 3
    )
    assert shlex.split(page.locator("#command").input_value()) == ["--threshold", *(f"{k.name}=0.4" for k in kinds)]
    assert sorted(page.locator("#lines tbody tr td:first-child").all_inner_texts()) == sorted(HOSTILE[:2])
    page.locator("summary").click()
    assert HOSTILE[2] in page.locator("details").inner_text()


def test_without_truth_picks_alone_are_counted_on_a_telephone_too(opened: Opened, tmp_path: Path) -> None:
    bare = picked_project(tmp_path / "bare", truth=False)
    write_page(tmp_path / "page.html", collect(bare))
    page = opened(tmp_path / "page.html", 390, 844)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.locator("#planes").bounding_box()["width"] > 300
    assert set(told(page)) == {"picks"}
    assert not page.locator("#chart-recall").is_visible()
    assert page.evaluate("marks('xy').every(({kind}) => kind === 'pick')")
