"""Takes the picture of docs/models/share.md: a model card as a page shows it (needs playwright and chromium).

tomosoup publish default my-lab/my-protein --licence apache-2.0 --card card.md
python -m runs.figures.model_card card.md docs/models/card.png
"""

import io
from pathlib import Path

from markdown_it import MarkdownIt
from PIL import Image
from playwright.sync_api import sync_playwright

from runs.figures.report_page import SWITCHES
from runs.shared.command import run_script
from tomosoup.core.errors import InputError

WIDTH = 1100
STYLE = """
body { font: 14px/1.45 sans-serif; margin: 24px; columns: 2; column-gap: 40px; color: #1f2328 }
h1 { margin-top: 0 } h2 { font-size: 17px; border-bottom: 1px solid #d1d9e0; break-after: avoid }
table { border-collapse: collapse; break-inside: avoid } th, td { border: 1px solid #d1d9e0; padding: 3px 9px }
pre { background: #f6f8fa; padding: 10px; font-size: 12px; white-space: pre-wrap } code { font-family: monospace }
"""


def main(card: Path, picture: Path) -> None:
    """Write the card below its header, in two columns, as PNG."""
    before, _, text = card.read_text().partition("\n---\n")
    if not before.startswith("---\n"):
        raise InputError(
            f"{card} is no model card: expected a header between two lines ---, as `tomosoup publish` writes."
        )
    body = MarkdownIt("commonmark").enable("table").render(text)
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path="/usr/bin/chromium", args=SWITCHES.split())
        shown = browser.new_page(viewport={"width": WIDTH, "height": 100})
        shown.set_content(f"<!doctype html><style>{STYLE}</style>{body}")
        page = Image.open(io.BytesIO(shown.screenshot(full_page=True))).convert("RGB")
        browser.close()
    page.quantize(64, dither=Image.Dither.NONE).save(picture, optimize=True)
    print(f"{picture}: {picture.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    run_script(main, description=__doc__)
