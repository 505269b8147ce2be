"""Words and options: old names, unset values, commands written back, messages, files that are looked at first."""

import ast
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import tomosoup
from tomosoup.cli.arguments.command_line import command_line
from tomosoup.cli.arguments.fields import options_of
from tomosoup.cli.arguments.messages import ARGUMENT, as_options, option_named
from tomosoup.cli.arguments.parse import parse
from tomosoup.cli.arguments.words import BadOption, by_todays_names, is_option, split
from tomosoup.cli.commands import COMMANDS, options_class
from tomosoup.cli.options.output import Voice
from tomosoup.cli.options.pick import PickCommand
from tomosoup.data.truth import CHOOSE

OLD = json.loads(Path(__file__).with_name("options_of_0_1_0.json").read_text())
"""The options of version 0.1.0, by command, as they were typed."""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_the_first_version_is_accepted(command: str) -> None:
    model = options_class(command)
    options = [*options_of(model), *options_of(Voice)]
    for old in OLD.get(command, ()):  # a newer command has no old options
        (word,) = by_todays_names(model, [old])
        (option,) = [o for o in options if word in (*o.names, o.off)]
        words = ["a"] * (6 if option.count is None else option.count)  # six are pairs and threes, of tables
        assert option.path in split([word, *words], options, command)


@pytest.mark.parametrize(
    "words",
    [
        "demo",
        "simulate out --runs 2 --recipe contest --concentration ribosome 12.5 --microscope.no-damage --shape 8 9 10",
        "train p --output m.safetensors --from default --epochs 6 --no-patience --net.decoder-widths 8 4 --truth a/0",
        "train p -o m.safetensors --recipe soup-tiny --augmentation.flip-axes z --windows.neighbours",
        "train p -o m.safetensors --recipe tattaka --no-sigma-by-radius --sigma 40 --pretraining-data.runs a b",
        "pick p --model a b --plan soup --segmentation.smallest ribosome 0.2 --threshold 0.3 ribosome=0.5",
        "pick p --directives=--qos=long --directives=--x --setup 'module load cuda' --cluster slurm --first-voxel -0.5",
        "soup a b -o c --weights 1 2 --greedy",
        "score a.csv b.csv --runs all",
        "export a.csv --format relion5 -o '{species}.star' --shape 4 5 6",
        "view p run_1 --user me",
    ],
)
def test_a_command_is_written_back_as_it_was_meant(words: str) -> None:
    name, *typed = shlex.split(words)
    model = options_class(name)
    options, _ = parse(model, name, typed)
    program, command, *again = command_line(options)
    assert (program, command) == ("tomosoup", name)
    assert parse(model, name, again)[0] == options


def test_only_what_was_changed_is_written_back() -> None:
    options, _ = parse(PickCommand, "pick", ["p", "--plan", "soup", "--peaks.no-refine"])
    assert command_line(options) == ["tomosoup", "pick", "p", "--plan", "soup", "--peaks.no-refine"]


@pytest.mark.parametrize(
    ("words", "same"),
    [
        ("--concentration a 1 --concentration b 2 --concentration a 3", "--concentration a 3 b 2"),
        ("--concentration.a 1 --concentration b 2", "--concentration a 1 b 2"),
        ("--runs 3 --runs 2", "--runs 2"),
        ("--layout-from p.csv --layout-from None", "--no-layout-from"),
        ("--layout-from p.csv --layout-from none", "--no-layout-from"),
    ],
)
def test_later_words_add_to_a_table_replace_a_value_and_take_it_away(words: str, same: str) -> None:
    found, expected = (parse(options_class("simulate"), "simulate", ["out", *w.split()])[0] for w in (words, same))
    assert found == expected


def test_words_with_a_hyphen_are_options_unless_they_are_numbers() -> None:
    assert [is_option(word) for word in ("--a", "-o", "-0.5", "-1e-3", "a-b", "-")] == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("said", "typed"),
    [
        ("set `overwrite=True`", "set --overwrite"),
        ("`peaks.refine=False` and `peaks.floor`", "--peaks.no-refine and --peaks.floor"),
        ("name one with `session=NAME`", "name one with --session NAME"),
        ("give `runs` or `project`", "give --runs or PROJECT"),
        ("`purpose=averaging`", "--for averaging"),
        ("run `tomosoup train` in `some_folder`", "run `tomosoup train` in `some_folder`"),
    ],
)
def test_messages_name_options_as_they_are_typed(said: str, typed: str) -> None:
    assert as_options(said, PickCommand) == typed


@pytest.mark.parametrize("words", ["pick p --runs", "pick p --threshold -o p.csv", "train p --runs -o m"])
def test_an_option_without_its_values_is_an_error(words: str) -> None:
    name, *rest = words.split()
    with pytest.raises(BadOption, match=r"(--runs|--threshold): expected one or more values .*, got none"):
        parse(options_class(name), name, rest)


def test_no_values_take_those_of_a_recipe_away() -> None:
    found, _ = parse(options_class("pick"), "pick", ["p", "--plan", "soup", "--views"])
    assert found.picking.views == ()


@pytest.mark.parametrize(
    ("command", "said", "typed"),
    [
        ("merge", "choose one with `picks_set=USER/SESSION`", "choose one with PROJECT:USER/SESSION"),
        ("slab", f"choose one with {CHOOSE}", "choose one with --picks CSV|USER/SESSION"),
        ("maps", f"choose one with {CHOOSE}", "choose one with --picks CSV|USER/SESSION"),
        ("train", f"choose one with {CHOOSE}", "choose one with --truth CSV|USER/SESSION"),
        ("score", f"choose one with {CHOOSE}", "choose one with --truth-set USER/SESSION"),
        ("simulate", f"choose one with {CHOOSE}", "choose one with --layout-from CSV|PROJECT"),
        ("import", "`apart=60` keeps the best", "--apart 60 keeps the best"),
        ("view", "give data and `runs=TS_1`", "give data and RUN"),
        ("pick", "give data and `runs=TS_1`.", "give data and --runs TS_1."),
        ("threshold", "give data and `runs=TS_1`.", "give data."),
    ],
)
def test_a_command_names_its_own_option_for_an_argument_of_the_library(command: str, said: str, typed: str) -> None:
    assert as_options(said, options_class(command)) == typed


NOT_TYPED = {
    "extends": "a key of a recipe's file",
    "species": "read_truth and others, from Python alone",
}
"""Arguments that messages name and no command takes."""


def raised(path: Path) -> list[str]:
    """The texts of a module that are raised as errors."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Raise) and node.exc is not None:
            texts = [n.value for n in ast.walk(node.exc) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
            found.append("".join(texts))
    return found


def test_every_argument_that_a_message_names_is_an_option_of_some_command() -> None:
    options = [option for name in COMMANDS for option in options_of(options_class(name))]
    unknown = set()
    for path in Path(tomosoup.__file__).parent.rglob("*.py"):
        if "cli" not in path.parts:
            named = {match[2] for text in raised(path) for match in ARGUMENT.finditer(text)}
            unknown |= {(path.name, name) for name in named - NOT_TYPED.keys() if option_named(name, options) is None}
    assert not unknown


FAILING = """
import json, sys
from contextlib import redirect_stderr
from io import StringIO
from tomosoup.cli.main import main
said = []
for words in json.loads(sys.argv[1]):
    with redirect_stderr(StringIO()) as error:
        try:
            main(words)
        except SystemExit as end:
            assert end.code in (1, 2), words
    assert "torch" not in sys.modules and "copick" not in sys.modules, words
    said.append(error.getvalue())
print(json.dumps(said))
"""


def untouched(*commands: list[str]) -> list[str]:
    """What commands say that fail before torch is imported."""
    words = [sys.executable, "-c", FAILING, json.dumps(commands)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said: list[str] = json.loads(done.stdout)
    return said


def test_files_and_names_are_checked_before_torch_is_imported(tmp_path: Path) -> None:
    cases = [
        ("pick {here} --model defalt", 'There is no checkpoint at defalt: did you mean "default"?'),
        ("pick nowhere", "There is no project at nowhere"),
        ("train {here} -o m --from no.safetensors", "There is no checkpoint at no.safetensors"),
        ("train {here} -o {here}", "Expected a file name for the output, got the folder"),
        ("score no.csv {here}", "There is no file no.csv: check its name."),
        ("import no.star --format relion5 -o p.csv", "There is no file no.star"),
        ("pick {here} --plan fast", "There is no plan 'fast'"),
        ("threshold {here} --threshold 0.3 -o s3://b/p.csv", "s3://b/p.csv is an address; expected a path on this"),
        ("export {here} --format xyz -o s3://b/p.txt", "s3://b/p.txt is an address; expected a path on this"),
        ("train {here} -o m --recipe bst", "There is no recipe 'bst'"),
        ("pick {here} --threshold high", "--threshold high: expected a number (0.3) or a species"),
    ]
    said = untouched(*(words.format(here=tmp_path).split() for words, _ in cases))
    for (words, says), heard in zip(cases, said, strict=True):
        assert says in heard, words


def test_an_output_that_is_there_is_not_replaced_unless_asked(tmp_path: Path) -> None:
    table = tmp_path / "p.csv"
    table.write_text("experiment,particle_type,x,y,z\nr,ribosome,1,2,3\n")
    (said,) = untouched(["threshold", str(tmp_path), "--threshold", "0.3", "-o", str(table)])
    assert f"{table} exists already: choose another name, or " in said
    assert said.rstrip().endswith("--overwrite.")
