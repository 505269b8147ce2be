"""Modules import only from levels below their own, and the maths never imports io."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "tomosoup"
LEVELS = {
    0: ["errors", "types", "recipes", "process"],
    1: [
        "io",
        "normalisation",
        "windows",
        "targets",
        "augmentation",
        "averages",
        "calibration",
        "losses",
        "loudness",
        "peaks",
        "resampling",
        "labels",
        "matching",
        "nets",
        "simulation",
        "views",
    ],
    2: [
        "crops",
        "checkpoints",
        "engines",
        "published",
        "soups",
        "norms",
        "best_epochs",
        "acceleration",
        "naming",
        "fine_tuning",
        "resuming",
        "matched_filter",
    ],
    3: [
        "checks",
        "training",
        "learner",
        "lightning_habits",
        "folds",
        "prediction",
        "preparation",
        "ensembles",
        "picking",
        "picking_jobs",
        "cluster",
        "evaluation",
        "mistakes",
        "templates",
        "exports",
        "imports",
        "bootstrap",
        "tuning",
        "souping",
        "report",
        "napari_layers",
        "simulation.scene",
        "simulation.projects",
    ],
    4: [
        "demo",
        "sample",
        "cli",
        "check_command",
        "pick_command",
        "train_command",
        "export_command",
        "exchange_command",
        "arguments",
        "terminal",
        "view_command",
        "copick_plugin",
        "completion",
        "bars",
        "score_tables",
        "finding_tables",
        "report_command",
        "__main__",
        "",
    ],
}
LEVEL = {module: level for level, modules in LEVELS.items() for module in modules}
MODULES = sorted(SOURCE.rglob("*.py"))


def home(name: str) -> str:
    """The longest listed name that `name` (dotted, below tomosoup) belongs to."""
    parts = name.split(".")
    return next(h for n in range(len(parts), -1, -1) if (h := ".".join(parts[:n])) in LEVEL)


def imports(path: Path) -> set[str]:
    """What a module imports from tomosoup, anywhere in its text, below `tomosoup`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tomosoup"):
            found |= {f"{node.module}.{alias.name}".removeprefix("tomosoup.") for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {a.name.removeprefix("tomosoup.") for a in node.names if a.name.startswith("tomosoup")}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_a_module_imports_only_from_below(path: Path) -> None:
    name = home(
        ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__").removesuffix("__init__")
    )
    for other in map(home, imports(path)):
        beside = LEVEL[other] == LEVEL[name] and (other == name or LEVEL[name] != 1)
        assert LEVEL[other] < LEVEL[name] or beside, f"{name} (level {LEVEL[name]}) imports {other} ({LEVEL[other]})"
        if LEVEL[name] == 1 and name != "io":
            assert other != "io", f"{name} is maths and imports io"
