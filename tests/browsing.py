"""Pages in a real browser without a network."""

from pathlib import Path
from typing import Any

SWITCHES = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


class Opened:
    """Pages that were opened, and what they complained of or asked for."""

    def __init__(self, browser: Any) -> None:
        self.browser = browser
        self.trouble: list[str] = []
        self.keep_best: dict[Path, Any] = {}

    def __call__(self, path: Path, width: int = 1600, height: int = 1000) -> Any:
        """A page whose tomogram is there."""
        page = self.browser.new_page(viewport={"width": width, "height": height})
        page.on("console", lambda message: self.trouble.append(message.text))
        page.on("pageerror", lambda error: self.trouble.append(str(error)))
        page.on("request", self.asked)
        page.on("dialog", lambda dialog: (self.trouble.append(dialog.message), dialog.dismiss()))
        page.goto(path.as_uri())
        page.locator("#gallery .tile").first.wait_for()
        return page

    def once(self, path: Path) -> Any:
        """A page that tests share: opened by the first that asks for it."""
        if path not in self.keep_best:
            self.keep_best[path] = self(path)
        return self.keep_best[path]

    def asked(self, request: Any) -> None:
        """Notes what would need a network."""
        if not request.url.startswith(("file:", "data:", "blob:")):
            self.trouble.append(request.url)


def until(page: Any, condition: str) -> None:
    """Waits. (Playwright's own way needs `eval`, which the page's policy forbids.)"""
    for _ in range(200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(20)
    raise AssertionError(condition)
