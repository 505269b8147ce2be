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


def test_help_and_tables_of_picks_import_no_torch(tmp_path: Path) -> None:
    table = tmp_path / "p.csv"
    table.write_text("experiment,particle_type,x,y,z\nTS_1,ribosome,1,2,3\n")
    commands = [[], ["--help"], ["train", "--help"], ["simulate", "--help"], ["score", "--help"]]
    code = (
        "import sys\nfrom tomosoup.cli.main import main\n"
        f"for words in {commands!r}:\n    main(words)\n"
        "    assert 'torch' not in sys.modules and 'copick' not in sys.modules, words\n"
        f"main(['score', {str(table)!r}, {str(table)!r}])\n"
        f"main(['export', {str(table)!r}, '--format', 'csv', '-o', {str(tmp_path / 'q.csv')!r}])\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("usage: tomosoup") == len(commands)
