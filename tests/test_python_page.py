"""The examples of the Python page run as they are written, on small recipes, and it lists every public name."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_models import TINY_RECIPE

import tomosoup

PAGE = (Path(__file__).parents[1] / "docs" / "core" / "python.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
SMALLER = {'"simulated", runs=4': '"scene.toml", runs=2', 'read("small")': 'read("tiny.toml")'}
"""What the page writes, and what stands in its place here: recipes of minutes, and recipes of seconds."""
SCENE = """
extends = "simulated"
shape = [32, 96, 96]
[concentration]
apo-ferritin = 30000
ribosome = 10000
[microscope]
tilt_step = 10
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "scene.toml").write_text(SCENE)
    (tmp_path / "tiny.toml").write_text(TINY_RECIPE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_examples_run_one_after_the_other(folder: Path) -> None:
    names: dict[str, Any] = {}
    for block in BLOCKS:
        for written, here in SMALLER.items():
            block = block.replace(written, here)
        exec(compile(block, "docs/core/python.md", "exec"), names)
    written = {"model-fold0.safetensors", "soup.safetensors", "picks.csv", "sim.csv", "report.html"}
    assert written <= {path.name for path in folder.iterdir()}
    assert all((found.mask_distance >= 0).all() for found in names["in_mask"].values())
    assert names["again"].keys() == set(names["project"].runs)


def test_what_stands_in_for_the_pages_recipes_is_on_the_page() -> None:
    assert all(written in PAGE for written in SMALLER)


@pytest.mark.parametrize("name", tomosoup.__all__)
def test_a_public_name_is_on_the_page(name: str) -> None:
    assert f"::: tomosoup.{name}\n" in PAGE
