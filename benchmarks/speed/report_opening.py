"""Measures how long reports take to open in Chromium (needs playwright): of a full-size run, and of a project of 300.

python -m benchmarks.speed.report_opening FOLDER [--runs 300] [--candidates 23000]

Prints the page's size, and medians of five: the seconds until the tomogram is drawn, and until the curves are.
On a busy machine the CPU time of the main thread says more.
"""

from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import torch
from playwright.sync_api import Browser, sync_playwright

from benchmarks.speed.report_size import anywhere, full_size
from runs.shared.command import run_script
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.core.types import NO_PICKS, Picks, Volume
from tomosoup.review.report.collect import CANDIDATES, Report, RunReport
from tomosoup.review.report.page import write_page
from tomosoup.review.report.run_lines import RunLine
from tomosoup.review.report.slice_atlas import thumbnail
from tomosoup.scoring.matched_picks import MatchedPicks

SWITCHES = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-sync"
TRIES = 5


def project(one: Report, runs: int, candidates: int) -> Report:
    """The report of many runs: one with its tomogram, as many as fit with their candidates, all with a line."""
    numbers = np.random.default_rng(1)
    first, each = one.runs[0], candidates // len(CONTEST_SPECIES)

    def found() -> MatchedPicks:
        scores = numbers.random(each)
        return MatchedPicks.of(Picks(anywhere(each, numbers), scores), NO_PICKS, distance=50.0)

    in_detail = min(runs, CANDIDATES // candidates) - 1
    others = [
        RunReport(f"run_{i:03d}", False, {s.name: found() for s in CONTEST_SPECIES}, None, first.calibrations)
        for i in range(1, in_detail + 1)
    ]
    lines = []
    for i in range(runs):
        picks = {s.name: int(numbers.integers(400)) for s in CONTEST_SPECIES}
        false = {name: 0.2 * n for name, n in picks.items()}
        lines.append(
            RunLine(f"run_{i:03d}", picks, false, picture=noise_picture(numbers), page=f"pages/run_{i:03d}.html")
        )
    return replace(one, runs=(first, *others), lines=tuple(lines))


def noise_picture(numbers: np.random.Generator) -> bytes:
    """A thumbnail of noise, which compresses worst."""
    return thumbnail(Volume(torch.from_numpy(numbers.standard_normal((5, 630, 630), dtype=np.float32)), 10.0))


def opened(browser: Browser, page: Path) -> list[float]:
    """Seconds from the start of loading to tomogram and charts; to the end, of the CPU in the page's main thread."""
    window = browser.new_page(viewport={"width": 1400, "height": 900})
    meter = window.context.new_cdp_session(window)
    meter.send("Performance.enable", {"timeDomain": "threadTicks"})
    window.goto(page.absolute().as_uri())
    window.locator("#gallery .tile").first.wait_for()
    while not window.evaluate("performance.getEntriesByName('charts').length"):
        window.wait_for_timeout(50)
    marks = [window.evaluate(f"performance.getEntriesByName('{name}')[0].startTime") for name in ("tomogram", "charts")]
    measured = {one["name"]: one["value"] for one in meter.send("Performance.getMetrics")["metrics"]}
    window.close()
    return [marks[0] / 1e3, marks[1] / 1e3, measured["TaskDuration"]]


def main(folder: Path, *, runs: int = 300, candidates: int = 23_000) -> None:
    """Write both pages and open them."""
    folder.mkdir(parents=True, exist_ok=True)
    one = full_size(folder / "run.html")
    pages = {"full-size run": one, f"{runs} runs": project(one, runs, candidates)}
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path="/usr/bin/chromium", args=SWITCHES.split())
        for name, report in pages.items():
            path = folder / f"{name.replace(' ', '_')}.html"
            write_page(path, report)
            tomogram, charts, busy = (
                median(seconds) for seconds in zip(*(opened(browser, path) for _ in range(TRIES)), strict=True)
            )
            listed = f", {len(report.runs)} with candidates" if report.lines else ""
            print(
                f"{name}{listed}: {path.stat().st_size / 1e6:.1f} MB, tomogram after {tomogram:.2f} s, charts after "
                f"{charts:.2f} s, {busy:.2f} s of CPU time in the main thread"
            )
        browser.close()


if __name__ == "__main__":
    run_script(main, description=__doc__)
