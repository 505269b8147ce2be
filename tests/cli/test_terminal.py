"""What commands show: to people, to programs, to files and to shells."""

import json
import os
import pty
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tomosoup.cli import terminal
from tomosoup.cli.arguments.completion import SHELLS
from tomosoup.cli.arguments.fields import command_name, options_of
from tomosoup.cli.arguments.parse import parse
from tomosoup.cli.commands import COMMANDS, function_of, options_class
from tomosoup.cli.main import main
from tomosoup.cli.options.output import Voice
from tomosoup.cli.options.score import ScoreCommand
from tomosoup.cli.progress_bars import LINE_EVERY, Lines
from tomosoup.cli.tables import failures_table, score_table, tuned_table
from tomosoup.scoring.matching import Matches
from tomosoup.scoring.score import Score
from tomosoup.training.tune import TunedThreshold


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[str, str]]:
    """Run a command; its standard output and standard error."""

    def run(*words: object) -> tuple[str, str]:
        main([str(w) for w in words])
        captured = capsys.readouterr()
        return captured.out, captured.err

    return run


SCREEN_AND_A_HALF = 75
"""Lines."""


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_overview_says_what_a_commands_own_help_begins_with(command: str) -> None:
    assert " ".join(options_class(command).__doc__.split()).startswith(COMMANDS[command])
    assert command_name(options_class(command)) == command


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_an_outcome_to_tell(command: str) -> None:
    assert "Outcome" in function_of(command).__annotations__["return"]


def test_one_line_of_result_is_left_when_it_is_quiet(
    said: Callable[..., tuple[str, str]], project: Path, model: Path, tmp_path: Path
) -> None:
    table = tmp_path / "p.csv"
    out, err = said("pick", project, "--model", model, "--output", table, "--runs", "run_000", "--quiet")
    assert re.fullmatch(rf"\d+ picks in 1 run: .*; in {table}, copick .*, user tomosoup, session 0\n", out)
    assert err == ""
    assert "Picked before" not in said("pick", project, "--model", model, "--runs", "run_000", "--quiet")[0]
    out, err = said("threshold", project, "--threshold", "0.2", "--quiet")
    assert re.fullmatch(r"\d+ picks in 1 run pass and replace those of the session; in copick .*\n", out)
    assert err == ""


def test_json_is_one_object_of_what_was_done(
    said: Callable[..., tuple[str, str]], project: Path, model: Path, tmp_path: Path
) -> None:
    table = tmp_path / "p.csv"
    made = json.loads(said("pick", project, "--model", model, "--output", table, "--runs", "run_000", "--json")[0])
    assert made.pop("seconds") >= 0
    assert sum(made["picks"].values()) == len(table.read_text().splitlines()) - 1
    assert (made["command"], made["runs"], made["session"], made["files"]) == ("pick", 1, "tomosoup/0", [str(table)])
    out, err = said("pick", project, "--model", model, "--runs", "run_000", "--json")
    assert json.loads(out)["picks"] == made["picks"]
    assert "Picked before, and kept: 1 of 1 run" in err  # talk, but not where the object is
    passing = json.loads(said("threshold", project, "--threshold", "2", "--json")[0])
    assert sum(passing["picks"].values()) == 0


def test_the_score_for_programs_is_as_documented(said: Callable[..., tuple[str, str]], project: Path) -> None:
    out, _ = said("score", project, project, "--picks-set", "simulation/0", "--json")
    scored = json.loads(out)
    assert set(scored) == {"score", "species", "runs", "left_out"}
    assert scored["score"] == 1.0
    assert all(set(counts) == {"f4", "tp", "fp", "fn"} for counts in scored["species"].values())


def test_runs_that_failed_are_in_the_object_and_in_the_exit_code(
    capsys: pytest.CaptureFixture[str], project: Path, model: Path
) -> None:
    for chunk in (project / "static/ExperimentRuns/run_000").rglob("wbp.zarr/0/**/*"):
        if chunk.is_file() and not chunk.name.startswith((".", "zarr")):
            chunk.write_bytes(b"broken")
    with pytest.raises(SystemExit) as end:
        main(["pick", str(project), "--model", str(model), "--json", "--quiet"])
    assert end.value.code == 1
    captured = capsys.readouterr()
    made = json.loads(captured.out)
    assert list(made["failed"]) == ["run_000"]
    assert made["runs"] == 2
    assert "1 of 3 runs could not be picked" in captured.err


def test_a_failed_command_leaves_standard_output_empty(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["score", "nowhere", "nowhere", "--quiet"])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("tomosoup: There is no project at nowhere")
    assert not terminal._quiet  # the next command speaks as it likes


def test_options_come_without_the_voice() -> None:
    options, voice = parse(ScoreCommand, "score", ["a", "b", "--quiet"])
    assert options == ScoreCommand(picks=Path("a"), truth=Path("b"))
    assert type(options) is ScoreCommand
    assert voice == Voice(quiet=True)


def test_a_file_gets_a_line_now_and_then_and_no_bars() -> None:
    now, lines = [0.0], list[str]()
    shows = Lines(lines.append, clock=lambda: now[0])
    shows.report("Picking", 399, 400)  # of another project
    now[0] += LINE_EVERY - 1
    for i in range(100, 400):  # a hundred were done before
        shows.report(f"Picking (run_{i})", i, 400)
        now[0] += 1.0
    assert len(lines) == 300 // LINE_EVERY
    assert lines[0] == "Picking (run_101): 101 of 400 (25 %), about 0:04:59 left"


@pytest.mark.parametrize(("margin", "advised"), [(0.0, True), (0.1, False)])
def test_few_particles_get_the_advice_of_a_margin_unless_there_is_one(margin: float, advised: bool) -> None:
    console = Console(width=200, record=True, file=StringIO())
    console.print(tuned_table({"ribosome": TunedThreshold(0.1, (0.1, 0.2), 0.9, (0.8, 0.95), 3)}, margin=margin))
    text = console.export_text()
    assert "Annotate more particles" in text
    assert ("--threshold-margin" in text) == advised


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("name", ["ribosome", "x" * 100, "[red]bracket", "naïve Å ☃"])
def test_tables_fit_eighty_columns_and_lose_nothing(name: str) -> None:
    big = Matches(123456, 1234567, 12345)
    tables = [
        score_table(Score({name: big}, {name: 1.0}, tuple(f"run_{i}" for i in range(300)), ("other",) * 300)),
        tuned_table({name: TunedThreshold(0.123, (0.1, 0.2), 0.9, (0.8, 0.95), 12)}, margin=0.0),
        failures_table({name: "x" * 300}),
    ]
    for table in tables:
        console = Console(width=80, record=True, file=StringIO())
        console.print(table)
        text = console.export_text()
        assert max(map(len, text.splitlines())) <= 80
        assert text.count(name[0]) >= name.count(name[0])
        assert "…" not in text


@pytest.mark.usefixtures("narrow")
def test_help_of_the_program_fits_eighty_columns(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if len(line) > 80] == []
    assert len(lines) <= SCREEN_AND_A_HALF


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_eighty_columns_without_pythons_notation_and_all_of_it_names_every_option(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for asked in ("--help", "--help-all"):
        main([command, asked])
        said = capsys.readouterr().out
        lines = said.splitlines()
        assert [line for line in lines if len(line) > 80] == []
        assert asked == "--help-all" or len(lines) <= SCREEN_AND_A_HALF
        assert "--json" in said
        notation = r"\bNone\b|default: (True|False)|Path\(|\{\w+[,}|]"
        assert not re.search(notation, said.replace("{run}", "").replace("{species}", ""))
    shown = set(re.findall(r"(?m)^  (?:-\w, )?(--[a-z][a-z0-9.-]*)", said))
    unshown = {o.name for o in options_of(options_class(command)) if not o.typed.positional} - shown
    assert all(name.startswith("--net.") for name in unshown)  # of nets that are not the recipe's


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_short_and_shows_what_has_to_be_given(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([command, "--help"])
    said = capsys.readouterr().out
    assert len(re.findall(r"(?m)^  (-o, )?--", said)) <= 20
    for option in options_of(options_class(command)):
        if option.field.is_required():
            assert re.search(rf"(?m)^  (-o, )?{option.name}\b", said), option.name
            assert option.name in said.partition("\n\n")[0]
    example = options_class(command).EXAMPLE
    assert f"\n  {example}\n" in said
    assert example.startswith(f"tomosoup {command}")
    parse(options_class(command), command, shlex.split(example)[2:])


@pytest.fixture
def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What a command writes to a terminal of 80 columns."""

    def run(*words: str, **environment: str) -> str:
        ours, theirs = pty.openpty()
        with monkeypatch.context() as patch, ThreadPoolExecutor(1) as thread, open(theirs, "w") as end:  # noqa: PTH123
            read = thread.submit(all_of, ours)
            for name, value in {"COLUMNS": "80", "TERM": "xterm-256color", **environment}.items():
                patch.setenv(name, value)
            for stream in ("stdout", "stderr"):
                patch.setattr(sys, stream, end)
            main(list(words))
            end.close()
            return read.result()

    return run


def all_of(terminal: int) -> str:
    """What is written to a terminal until its other end is closed."""
    read = bytearray()
    with suppress(OSError):
        while part := os.read(terminal, 4096):
            read += part
    os.close(terminal)
    return read.decode()


@pytest.fixture
def tables(tmp_path: Path) -> list[str]:
    """A CSV of picks, to be scored with itself."""
    table = tmp_path / "p.csv"
    table.write_text("experiment,particle_type,x,y,z\nr,ribosome,1,2,3\n")
    return ["score", str(table), str(table)]


def test_no_colours_where_none_are_wanted_and_nothing_moves_where_nothing_can(
    tables: list[str], on_a_terminal: Callable[..., str]
) -> None:
    colourless = on_a_terminal(*tables, NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", colourless)
    dumb = on_a_terminal(*tables, TERM="dumb")
    assert "\x1b" not in dumb
    assert "weighted" in dumb


def test_help_says_whose_defaults_it_shows(capsys: pytest.CaptureFixture[str]) -> None:
    main(["train", "--recipe", "best", "--help"])
    assert "Defaults come from the recipe best." in " ".join(capsys.readouterr().out.split())
    main(["pick", "--help"])
    assert "Defaults come from" not in capsys.readouterr().out  # no option shown is one of the plan's
    main(["pick", "--plan", "soup", "--help-all"])
    assert "Defaults come from the plan soup." in " ".join(capsys.readouterr().out.split())


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The completion scripts, by shell."""
    folder, made = tmp_path_factory.mktemp("shells"), {}
    for shell in SHELLS:
        words = [sys.executable, "-m", "tomosoup", "--print-completion", shell]
        made[shell] = folder / f"tomosoup.{shell}"
        made[shell].write_bytes(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout)
    return made


COMPLETE = """
source "$1"; shift
compopt() { :; }  # there is no line being typed
COMP_WORDS=(tomosoup "$@"); COMP_CWORD=$#
completer=$(complete -p tomosoup | sed 's/.*-F \\([^ ]*\\).*/\\1/')
$completer tomosoup "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ([""], [*COMMANDS]),
        (["pi"], ["pick"]),
        (["pick", "--pla"], ["--plan", "--plane"]),
        (["pick", "p", "--model", "m", "--over"], ["--overwrite"]),
        (["pick", "p", "--engine", "o"], ["openvino", "onnx"]),
        (["score", "{folder}/a"], ["{folder}/a.csv"]),
        (["score", "a.csv", "{folder}/a"], ["{folder}/a.csv"]),
        (["pick", "p", "--model", "{folder}/m"], ["{folder}/m.safetensors"]),
        (["score", "--j"], ["--json"]),
    ],
)
def test_bash_completes(scripts: dict[str, Path], tmp_path: Path, typed: list[str], offered: list[str]) -> None:
    for file in ("a.csv", "m.safetensors"):
        (tmp_path / file).touch()
    words: list[Any] = ["bash", "-c", COMPLETE, "-", scripts["bash"], *(w.format(folder=tmp_path) for w in typed)]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert said.split() == [w.format(folder=tmp_path) for w in offered]


def test_other_shells_are_told_of_the_same_and_unknown_ones_refused(
    scripts: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert scripts["zsh"].read_text().startswith("#compdef tomosoup")
    assert "complete tomosoup" in scripts["tcsh"].read_text()
    assert all("export-onnx" in path.read_text() for path in scripts.values())
    with pytest.raises(SystemExit) as end:
        main(["--print-completion", "powershell"])
    assert end.value.code == 2
    assert "expected one of bash, zsh, tcsh" in capsys.readouterr().err
