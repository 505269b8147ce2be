import re
import shlex
from pathlib import Path

import pytest

from tomosoup.arguments import parse
from tomosoup.cli import COMMANDS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands(page: Path) -> set[str]:
    """The `tomosoup` commands of a page's blocks of code, without what stands for something left out."""
    lines = re.findall(r"^ {4}(tomosoup .*)$", page.read_text(), flags=re.MULTILINE)
    blocks = re.findall(r"^```(?:bash|sh)?\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    lines += [line for block in blocks for line in block.splitlines() if line.startswith("tomosoup ")]
    return {line for line in lines if "..." not in line and not re.search(r"\b(COMMAND|OPTIONS)\b", line)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_the_docs_have_these_options(page: Path) -> None:
    for line in sorted(commands(page)):
        name, *words = shlex.split(line, comments=True)[1:]
        if name in COMMANDS and "--help" not in words:
            parse(COMMANDS[name][0], name, words)
        else:
            assert name.startswith("--") or "--help" in words, line


def test_there_are_commands_in_the_docs() -> None:
    assert sum(len(commands(page)) for page in PAGES) > 50
