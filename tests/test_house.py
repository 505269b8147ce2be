"""The house: nine rooms in order, and how large its parts may be."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "tomosoup"
ROOMS = ["core", "data", "scoring", "simulation", "models", "inference", "training", "review", "cli"]
MODULES = {
    ".".join(("tomosoup", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(SOURCE.rglob("*.py"))
}
NOT_COUNTED = {"__init__.py", "__init__.pyi", "__main__.py", "__pycache__", "py.typed"}
FLAT = {
    "data/formats/programs": "a module a program's format",
    "simulation/recipes": "a TOML file a recipe",
    "inference/options/plans": "a TOML file a plan",
    "training/recipes": "a TOML file a recipe",
    "cli/commands": "a module a command",
    "cli/options": "a module a command's options",
    "review/report/web": "the parts of one page",
}
"""Folders that may have more than nine entries, as these are alike."""
Function = ast.FunctionDef | ast.AsyncFunctionDef


def room(module: str) -> int | None:
    """The position of a module's room; None for those at the top."""
    parts = module.split(".")
    return ROOMS.index(parts[1]) if len(parts) > 1 and parts[1] in ROOMS else None


def imports(module: str) -> set[str]:
    """The modules of the package that a module imports, anywhere in its text, for its types' sake, too."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "tomosoup":
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inner & MODULES.keys()) | ({node.module} if inner - MODULES.keys() else set())
        elif isinstance(node, ast.Import):
            found |= {a.name for a in node.names if a.name.partition(".")[0] == "tomosoup"}
    return {str(name) for name in found}


def functions(path: Path) -> Iterator[Function]:
    """The functions and methods of a module, those inside others too."""
    return (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, Function))


def named(path: Path, node: Function) -> str:
    """How a function is named in the lists of this test."""
    return f"{path.relative_to(SOURCE).with_suffix('')}:{node.name}"


def strings(path: Path) -> Iterator[str]:
    """The texts in a module: messages, help, docstrings."""
    tree = ast.parse(path.read_text())
    return (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))


def below_cli() -> Iterator[Path]:
    """The modules of the rooms above the command line."""
    return (path for module, path in MODULES.items() if room(module) not in (None, ROOMS.index("cli")))


def test_the_package_is_nine_rooms_and_nothing_else() -> None:
    assert {path.name for path in SOURCE.iterdir()} - {"__pycache__"} == {
        *ROOMS,
        "__init__.py",
        "__init__.pyi",
        "__main__.py",
        "py.typed",
    }


@pytest.mark.parametrize("module", [m for m in MODULES if room(m) is not None])
def test_a_module_imports_only_from_its_room_and_those_above(module: str) -> None:
    own = room(module)
    assert own is not None
    for other in imports(module):
        place = room(other)
        assert place is not None, f"{module} imports {other}"
        assert place <= own, f"{module} imports {other}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    left = {module: imports(module) - {module} for module in MODULES}
    while free := [module for module, needs in left.items() if not needs & left.keys()]:
        for module in free:
            del left[module]
    assert not left, f"in a circle, or behind one: {sorted(left)}"


def test_no_level_has_more_than_nine_entries() -> None:
    for folder in [SOURCE, *(path for path in SOURCE.rglob("*") if path.is_dir() and path.name != "__pycache__")]:
        entries = [p for p in folder.iterdir() if p.name not in NOT_COUNTED]
        assert len(entries) <= 9 or str(folder.relative_to(SOURCE)) in FLAT, f"{folder}: {len(entries)} entries"


def test_no_module_has_more_than_250_lines() -> None:
    assert not [f"{name}: {n}" for name, path in MODULES.items() if (n := path.read_text().count("\n")) > 250]


def test_no_function_has_more_than_60_lines() -> None:
    long = {named(p, f): n for p in MODULES.values() for f in functions(p) if (n := f.end_lineno - f.lineno + 1) > 60}
    assert not long


def test_no_function_has_more_than_8_parameters() -> None:
    wide = {
        named(path, f): n
        for path in MODULES.values()
        for f in functions(path)
        if (n := len(f.args.posonlyargs + f.args.args + f.args.kwonlyargs)) > 8
    }
    assert not wide


def branches(function: Function) -> int:
    """How often a function's way parts: conditions, loops, handlers of errors, cases."""
    parts = ast.If, ast.IfExp, ast.For, ast.While, ast.ExceptHandler, ast.match_case
    return sum(isinstance(node, parts) for node in ast.walk(function))


def test_no_function_has_more_than_12_branches() -> None:
    assert not {named(p, f): n for p in MODULES.values() for f in functions(p) if (n := branches(f)) > 12}


def test_the_library_does_not_know_the_options_of_its_command_line() -> None:
    flags = {f"{path.relative_to(SOURCE)}: {text[:60]}" for path in below_cli() for text in strings(path) if FLAG(text)}
    assert not flags
    commands = {
        f"{p.relative_to(SOURCE)}: {m}" for p in below_cli() for m in re.findall(r"\w+Command\b", p.read_text())
    }
    assert not commands


FLAG = re.compile(r"(?<![\w-])--[a-z]").search
