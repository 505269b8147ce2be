import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from PIL import Image

from runs.figures.table_plot import chosen_rows
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


PICTURES = [path for path in sorted((ROOT / "docs").rglob("*")) if path.suffix in {".png", ".jpg", ".svg"}]
SCRIPTS = "".join(path.read_text() for room in ("runs", "benchmarks") for path in (ROOT / room).rglob("*.py"))


def test_each_picture_lies_beside_a_page_that_shows_it() -> None:
    assert PICTURES
    for picture in PICTURES:
        pages = [page for page in PAGES if page.parent == picture.parent]
        assert any(f"]({picture.name})" in page.read_text() for page in pages), picture


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pictures_of_a_page_are_there_and_have_words_for_those_who_cannot_see_them(page: Path) -> None:
    for words, name in re.findall(r"!\[([^]]*)\]\(([^)]+)\)", page.read_text()):
        assert (page.parent / name).is_file(), name
        assert len(words.split()) >= 3, name


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.name)
def test_a_command_draws_each_picture(picture: Path) -> None:
    commands = SCRIPTS + "".join(re.sub(r"!\[[^]]*\]\([^)]+\)", "", page.read_text()) for page in PAGES)
    assert re.search(rf"[\s\"`/]{re.escape(picture.name)}\b", commands)


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.name)
def test_pictures_are_small_and_ask_no_network(picture: Path) -> None:
    assert picture.stat().st_size < 350_000
    if picture.suffix == ".svg":
        assert not re.search(r"url\((?!#)|href=|@import", picture.read_text())


def header(picture: Path) -> dict[str, str]:
    """What is written in the header of a picture."""
    with Image.open(picture) as opened:
        return dict(opened.info)


TABLES = [path for path in PICTURES if path.suffix == ".png" and header(path).get("Comment")]


@pytest.mark.parametrize("picture", TABLES, ids=lambda p: p.name)
def test_the_picture_of_a_table_shows_the_numbers_of_its_page(picture: Path) -> None:
    drawn = json.loads(header(picture)["Comment"])
    page = next(page for page in picture.parent.glob("*.md") if f"]({picture.name})" in page.read_text())
    rows = chosen_rows(page, tuple(drawn["columns"]), table=drawn["table"], leave_out=tuple(drawn["leave_out"]))
    assert json.loads(json.dumps([[row.name, row.cells] for row in rows])) == drawn["rows"]
