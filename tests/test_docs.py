import re
import shlex
import tomllib
from pathlib import Path

import pytest

from tomosoup.cli.arguments.parse import parse
from tomosoup.cli.commands import COMMANDS, options_class

ROOT = next(folder for folder in Path(__file__).parents if (folder / "zensical.toml").exists())
ROOMS = {"core", "data", "scoring", "simulation", "models", "inference", "training", "review", "cli"}
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


TESTS = {
    name
    for file in (ROOT / "tests").rglob("test_*.py")
    for name in (file.stem, *re.findall(r"^def (test_\w+)", file.read_text(), flags=re.MULTILINE))
}
"""Files of tests, and the tests in them."""


def commands(page: Path) -> set[str]:
    """The `tomosoup` commands of a page's blocks of code, but for those with something left out (`...`)."""
    text = re.sub(r" \\\n +", " ", page.read_text())
    lines = re.findall(r"^ {4}(tomosoup .*)$", text, flags=re.MULTILINE)
    fenced = re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    blocks = [block for language, block in fenced if language in {"", "bash", "sh"}]
    lines += [line for block in blocks for line in block.splitlines() if line.startswith("tomosoup ")]
    return {line for line in lines if "..." not in line and not re.search(r"\b(COMMAND|OPTIONS)\b", line)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_the_docs_have_these_options(page: Path) -> None:
    for line in sorted(commands(page)):
        name, *words = shlex.split(line, comments=True)[1:]
        if name in COMMANDS and "--help" not in words:
            parse(options_class(name), name, words)
        else:
            assert name.startswith("--") or "--help" in words, line


def test_there_are_commands_in_the_docs() -> None:
    assert sum(len(commands(page)) for page in PAGES) > 50


@pytest.mark.parametrize("page", [*PAGES, ROOT / "SECURITY.md"], ids=lambda page: str(page.relative_to(ROOT)))
def test_scripts_and_tests_named_in_the_docs_are_there(page: Path) -> None:
    for name in re.findall(r"python -m ((?:runs|benchmarks)[.\w]*)", page.read_text()):
        script = ROOT / name.replace(".", "/")
        assert script.with_suffix(".py").is_file() or (script / "__main__.py").is_file(), name
    assert set(re.findall(r"`(test_\w+)`", page.read_text())) <= TESTS


def test_pages_lie_in_the_rooms_of_the_code_at_most_nine_a_level() -> None:
    docs = ROOT / "docs"
    assert {path.name for path in docs.iterdir() if path.is_dir()} <= ROOMS
    assert {path.name for path in docs.glob("*.*")} == {"index.md", "numbers.md", "references.md", "fidelity.md"}
    assert {room: count for room in ROOMS if (count := len([*(docs / room).glob("*.md")])) > 9} == {}


def test_the_navigation_has_every_page_once() -> None:
    sections = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"]
    assert len(sections) <= 9
    listed = [
        page for section in sections for entries in section.values() for entry in entries for page in entry.values()
    ]
    assert sorted(listed) == sorted(str(page.relative_to(ROOT / "docs")) for page in PAGES[1:])


def test_each_picture_lies_beside_a_page_that_shows_it() -> None:
    pictures = [path for path in (ROOT / "docs").rglob("*") if path.suffix in {".png", ".jpg"}]
    assert pictures
    for picture in pictures:
        pages = [page for page in PAGES if page.parent == picture.parent]
        assert any(f"]({picture.name})" in page.read_text() for page in pages), picture
