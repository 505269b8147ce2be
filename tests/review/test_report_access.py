"""The page for everybody: by keyboard alone, in light and dark, and without telling colours apart."""

import json
import re
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from browsing import Opened, until
from reports import picked_project

from tomosoup.review.report.collect import collect
from tomosoup.review.report.page import write_page

CONTROLS = "a[href], button, input, select, summary, [tabindex='0']"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("access")
    write_page(folder / "page.html", collect(picked_project(folder / "project")))
    return folder / "page.html"


@pytest.fixture
def page(opened: Opened, report: Path) -> Any:
    loaded = opened.once(report)
    loaded.locator("#run").select_option("0")
    loaded.evaluate("showRun()")
    loaded.locator("h1").click()
    return loaded


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2.2)."""
    parts = [part / 255 for part in bytes.fromhex(colour.removeprefix("#"))]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_texts_have_contrast_in_both_themes() -> None:
    style = (files("tomosoup.review.report") / "web" / "page.css").read_text()
    colours = {name: pair for name, *pair in re.findall(r"--(\w+): light-dark\((#\w{6}), (#\w{6})\)", style)}
    assert len(re.findall(r"^  --\w+:", style, re.MULTILINE)) == len(colours)
    for theme, text, ground in product((0, 1), ("text", "soft", "accent", "wrong"), ("ground", "card", "pressed")):
        dark, bright = sorted(luminance(colours[name][theme]) for name in (text, ground))
        assert (bright + 0.05) / (dark + 0.05) >= 4.5, (theme, text, ground)


def test_the_theme_is_that_of_the_system_until_it_is_switched_and_is_remembered(page: Any) -> None:
    shown = (
        "[isLight(), getComputedStyle(document.body).backgroundColor, charts.f4.figure.below[0].axis_label_text_color]"
    )
    light, dark = [True, "rgb(245, 246, 248)", "rgb(80, 90, 102)"], [False, "rgb(14, 17, 22)", "rgb(154, 164, 176)"]
    for system, colours in (("dark", dark), ("light", light)):
        page.emulate_media(color_scheme=system)
        until(page, f"JSON.stringify({shown}) === {json.dumps(json.dumps(colours, separators=(',', ':')))}")
    page.locator("#theme").click()
    assert page.evaluate(shown) == dark
    page.reload()
    page.locator("#gallery .tile").first.wait_for()
    assert page.evaluate(shown) == dark
    page.keyboard.press("t")
    assert page.evaluate(shown) == light


def test_tab_reaches_every_control_and_shows_where_it_is(page: Any) -> None:
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    wanted = page.evaluate(
        f"Array.from(document.querySelectorAll({CONTROLS!r})).filter((c) => c.checkVisibility() && !c.disabled).length"
    )
    page.evaluate("window.reached = new Set()")
    for _ in range(2 * wanted):
        page.keyboard.press("Tab")
        at = "document.activeElement"
        if not page.evaluate(f"{at}.matches({CONTROLS!r})"):  # the toolbar of a chart, or the end of the page
            continue
        if page.evaluate(f"reached.has({at}) || !reached.add({at})"):
            break
        assert page.evaluate(f"getComputedStyle({at}).outlineStyle !== 'none'"), page.evaluate(f"{at}.outerHTML")
    assert page.evaluate("reached.size") == wanted > 40


def test_keys_move_through_slices_picks_and_runs(page: Any) -> None:
    depth = page.evaluate("volume.shape[0]")
    for key, z in (("Home", 0), ("Shift+ArrowUp", 5), ("ArrowDown", 4), ("PageUp", depth - 1), ("End", depth - 1)):
        page.keyboard.press(key)
        assert page.evaluate("state.at[0]") == z
    assert page.locator("#xy").get_attribute("aria-valuenow") == str(depth - 1)
    page.keyboard.press("2")
    assert page.locator("#tabs button[aria-pressed=true]").inner_text() == "ribosome"
    for key, number in (("n", 0), ("n", 1), ("p", 0)):
        page.keyboard.press(key)
        near = "position(DATA.runs[0].found[1].zyx, {}).map(Math.round).join()"
        assert page.evaluate(f"state.at.join() === {near.format(number)}")
        assert page.locator("#pointed").inner_text().startswith(f"{number + 1} of ")
    for key, run in (("]", 1), ("]", 1), ("[", 0)):
        page.keyboard.press(key)
        assert page.evaluate("state.run") == run
    page.keyboard.press("+")
    assert page.evaluate("state.zoom") == 1.5
    page.keyboard.press("-")
    page.keyboard.press("o")
    assert page.evaluate("marks('xy').length") == 0
    page.keyboard.press("o")
    assert page.evaluate("marks('xy').length") > 0


def test_fields_keep_their_keys_and_a_question_mark_lists_the_others(page: Any) -> None:
    page.locator("#species input[type=number]").first.focus()
    z = page.evaluate("state.at[0]")
    for key in ("2", "-", "ArrowUp", "Home"):
        page.keyboard.press(key)
    assert page.evaluate("[state.at[0], state.focus, state.zoom]") == [z, page.evaluate("state.focus"), 1]
    page.locator("#reset").focus()
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("ArrowUp")
    assert page.evaluate("state.at[0]") == z
    listed = page.locator("#help dt").all_inner_texts()
    named = {key.strip() for text in listed for key in text.split(",")}
    assert set(page.evaluate("Object.keys(KEYS)")) - {"="} <= named
    page.keyboard.press("Escape")
    assert not page.locator("#help").is_visible()
    assert page.evaluate("document.activeElement.id") == "reset"


def test_species_differ_in_shape(page: Any) -> None:
    assert page.evaluate("new Set(SHAPES.map(([name]) => name)).size === new Set(SHAPES.map(([, path]) => path)).size")
    markers = page.locator("#species .key .marker").evaluate_all("(all) => all.map((one) => one.getAttribute('d'))")
    assert len(set(markers)) == len(markers) == 2
    page.locator("#mark-names").check()
    assert page.evaluate("state.marks.names")
    page.locator("#mark-names").uncheck()
