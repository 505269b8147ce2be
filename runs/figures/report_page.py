"""Takes the picture of docs/review/report.md: a report as a browser shows it (needs playwright and chromium).

    tomosoup pick OUT/project --model OUT/models/small-0.safetensors --runs run_006 run_007
    tomosoup report OUT/project --model OUT/models/small-0.safetensors
    python -m runs.figures.report_page report.html docs/review/report.jpg

OUT is that of runs/quality/speed_plans, which makes its project and model.
"""

from pathlib import Path

from playwright.sync_api import sync_playwright

from runs.shared.command import run_script

SWITCHES = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-sync"


def main(page: Path, picture: Path, *, width: int = 1500, height: int = 1935) -> None:
    """Write the upper part of the page, with particles of the last species, as JPEG."""
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path="/usr/bin/chromium", args=SWITCHES.split())
        shown = browser.new_page(viewport={"width": width, "height": 940})
        shown.goto(page.absolute().as_uri())
        shown.locator("#tabs button").nth(-1).click()
        shown.locator("#gallery .tile").first.wait_for()
        shown.wait_for_timeout(1000)
        area = {"x": 0, "y": 0, "width": width, "height": height}
        shown.screenshot(path=picture, type="jpeg", quality=60, full_page=True, clip=area)
        browser.close()
    print(f"{picture}: {picture.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    run_script(main, description=__doc__)
