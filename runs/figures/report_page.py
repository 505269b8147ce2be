"""Takes the picture of docs/review/report.md: a report as a browser shows it (needs playwright and chromium).

tomosoup simulate sim --runs 3 --shape 64 224 224 --seed 11
tomosoup pick sim
tomosoup slab sim
tomosoup report sim --mask slab:tomosoup/0 --output report.html
python -m runs.figures.report_page report.html docs/review/report.jpg
"""

from pathlib import Path

from playwright.sync_api import sync_playwright

from runs.shared.command import run_script

SWITCHES = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-sync"


def main(page: Path, picture: Path, *, width: int = 1400, species: str = "ribosome", theme: str = "light") -> None:
    """Write the page down to the best particles of the species, at its best pick, as JPEG."""
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path="/usr/bin/chromium", args=SWITCHES.split())
        shown = browser.new_page(viewport={"width": width, "height": 940}, color_scheme=theme)
        shown.goto(page.absolute().as_uri())
        shown.locator("#tabs button", has_text=species).click()
        shown.locator("#gallery .tile").first.wait_for()
        shown.keyboard.press("n")
        shown.wait_for_timeout(1500)
        below = shown.locator("#gallery h3").nth(1).evaluate("(h) => h.getBoundingClientRect().top + scrollY")
        area = {"x": 0, "y": 0, "width": width, "height": below - 12}
        shown.screenshot(path=picture, type="jpeg", quality=38, full_page=True, clip=area)
        browser.close()
    print(f"{picture}: {picture.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    run_script(main, description=__doc__)
