"""tomosoup in copick's own command line."""

import json
import subprocess
import sys
import tomllib
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from tomosoup.cli.embedded import copick_plugin
from tomosoup.cli.options.pick import PickCommand
from tomosoup.cli.options.train import TrainCommand
from tomosoup.data.project import open_project

GROUPS = ("inference", "training", "evaluation")
COMMANDS = {name: getattr(copick_plugin, name) for name in GROUPS}


def run(group: str, *words: object) -> Result:
    return CliRunner().invoke(COMMANDS[group], [str(w) for w in words])


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What tomosoup's commands are given, in place of running them."""
    said: list[list[str]] = []
    monkeypatch.setattr("tomosoup.cli.main.main", said.append)
    return said


def test_the_entry_points_are_commands_of_groups_that_copick_has() -> None:
    from copick.cli.ext import PLUGIN_GROUPS

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    entries = {name: group for name, group in project["entry-points"].items() if name.startswith("copick.")}
    assert set(entries) == {f"copick.{group}.commands" for group in GROUPS}
    assert set(GROUPS) <= set(PLUGIN_GROUPS)
    for group in entries.values():
        module, _, name = group["tomosoup"].partition(":")
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)
        assert command.name == "tomosoup"


def test_copick_shows_the_commands_beside_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    from copick.cli import cli, ext

    class Installed(metadata.EntryPoint):
        dist = metadata.distribution("copick")

    def entry_points(group: str) -> list[Any]:
        name = group.split(".")[1]
        return [Installed("tomosoup", f"tomosoup.cli.embedded.copick_plugin:{name}", group)] if name in GROUPS else []

    monkeypatch.setattr(ext.metadata, "entry_points", entry_points)
    program = cli.add_plugin_commands(click.Group("copick"))
    for group in GROUPS:
        said = CliRunner().invoke(program, [group, "--help"]).output
        assert "tomosoup" in said


def test_helping_imports_no_torch() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from tomosoup.cli.embedded import copick_plugin as p\n"
        "for c in (p.inference, p.training, p.evaluation): assert CliRunner().invoke(c, ['--help']).exit_code == 0\n"
        "sys.exit('torch' in sys.modules or 'tomosoup.cli.main' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_help_is_that_of_the_recipes() -> None:
    said = {group: " ".join(run(group, "--help").output.split()) for group in GROUPS}
    for model, group, name in ((PickCommand, "inference", "redo"), (TrainCommand, "training", "resume")):
        assert str(model.model_fields[name].description) in said[group].replace("- ", "-")
    for option in ("--config", "--run-names", "--debug", "[env var: COPICK_CONFIG]"):
        assert all(option in text for text in said.values())


def test_words_of_copick_become_words_of_tomosoup(typed: list[list[str]], project: Path) -> None:
    config = project / "copick_config.json"
    words = [
        "-c",
        config,
        "-i",
        "wbp@10.0",
        "-m",
        "a",
        "-m",
        "b",
        "-r",
        "run_001",
        "-r",
        "run_002",
        "-o",
        "*:tomosoup/7",
    ]
    done = run("inference", *words, "--csv", "p.csv", "--overwrite", "--", "--peaks.floor", "0.2")
    assert done.exit_code == 0, done.output
    assert typed.pop() == [
        *["pick", str(config), "--model", "a", "b", "--output", "p.csv", "--session", "7", "--overwrite"],
        *["--runs", "run_001", "run_002", "--tomo-type", "wbp", "--voxel-spacing", "10.0"],
        *["--peaks.floor", "0.2"],
    ]
    assert run("training", "-c", config, "-o", "m.safetensors", "-p", "*:curation/1", "--fold", "2").exit_code == 0
    assert typed.pop() == ["train", str(config), "--output", "m.safetensors", "--fold", "2", "--truth", "curation/1"]


@pytest.mark.parametrize(
    ("group", "words", "says"),
    [
        ("inference", ["-m", "a", "-i", "w*@10.0"], "One is meant, without patterns: expected TYPE@SPACING"),
        ("inference", ["-m", "a", "-o", "ribosome:tomosoup/0"], "All species of a set are meant"),
        ("inference", ["-m", "a", "-o", "*:someone/0"], "expected -o '*:tomosoup/SESSION'"),
        ("inference", ["-m", "a", "--", "--write-sbatch", "x"], "use it with `tomosoup pick`"),
        ("training", ["-o", "m", "-p", "*:curation"], "without patterns: expected *:USER/SESSION"),
        ("evaluation", ["-t", "a:b:c"], "Expected *:USER/SESSION, got 'a:b:c'"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    typed: list[list[str]], project: Path, group: str, words: list[str], says: str
) -> None:
    done = run(group, "-c", project / "copick_config.json", *words)
    assert done.exit_code == 2
    assert says in " ".join(done.output.replace("│", " ").split())
    assert not typed


def test_a_configuration_is_required(typed: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COPICK_CONFIG", raising=False)
    done = run("inference", "-m", "a")
    assert done.exit_code == 2
    assert "COPICK_CONFIG" in done.output
    assert not typed


def test_picking_and_scoring_through_copick_is_that_of_tomosoup(project: Path, model: Path) -> None:
    config = project / "copick_config.json"
    done = run("inference", "-c", config, "-m", model, "-r", "run_001", "-i", "wbp@10", "-o", "*:tomosoup/9")
    assert done.exit_code == 0, done.output
    assert ("tomosoup", "9") in open_project(project).pick_sets("run_001")
    assert ("tomosoup", "9") not in open_project(project).pick_sets("run_000")
    scored = run("evaluation", "-c", config, "-i", "*:tomosoup/9", "-t", "*:simulation/0", "--", "--json")
    assert json.loads(scored.stdout)["runs"] == ["run_001"]
