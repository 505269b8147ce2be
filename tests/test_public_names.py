"""What users can rely on is there, loads late, and is documented."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import tomosoup


@pytest.mark.parametrize("name", tomosoup.__all__)
def test_a_public_name_exists_and_is_documented(name: str) -> None:
    assert inspect.getdoc(getattr(tomosoup, name))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = tomosoup.nonsense


def test_all_public_functions_and_classes_have_docstrings() -> None:
    bare = []
    for path in Path(tomosoup.__file__).parent.rglob("*.py"):
        module = ast.parse(path.read_text())
        classes = [node for node in module.body if isinstance(node, ast.ClassDef)]
        for node in [*module.body, *(method for c in classes for method in c.body)]:
            named = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
            # What torch calls by itself is described by its class.
            if named and node.name != "forward" and not ast.get_docstring(node):
                bare.append(f"{path.name}:{node.lineno} {node.name}")
    assert not bare


STARTS = """
import sys
from tomosoup.cli.main import main

def unwanted(*modules):
    assert not set(modules).intersection(sys.modules), set(modules).intersection(sys.modules)

table, copy = sys.argv[1:]
for words in [], ["--help"]:
    main(words)
    unwanted("pydantic", "numpy", "pandas", "torch", "copick")
for command in "train", "simulate", "score":
    main([command, "--help"])
    unwanted("pandas", "torch", "copick")
main(["score", table, table])
unwanted("pandas", "torch")
main(["export", table, "--format", "csv", "-o", copy])
unwanted("torch")

import tomosoup.cli.commands.pick
from tomosoup.models.checkpoint import load
from tomosoup.models.nets.fused import accelerate

accelerate(load("default").net(), window=(16, 64, 64))
unwanted("timm", "monai", "torchvision", "torch._dynamo")
"""
"""What users wait for before a command begins, in a process that has imported nothing yet."""


def test_commands_import_what_they_need_alone(tmp_path: Path) -> None:
    table = tmp_path / "p.csv"
    table.write_text("experiment,particle_type,x,y,z\nTS_1,ribosome,1,2,3\n")
    words = [sys.executable, "-c", STARTS, str(table), str(tmp_path / "q.csv")]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("usage: tomosoup") == 5
