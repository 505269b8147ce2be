"""Which run a training holds out."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch

from tomosoup.cli.arguments.parse import parse
from tomosoup.cli.commands import options_class
from tomosoup.core.errors import InputError
from tomosoup.core.types import Picks, Species, Volume
from tomosoup.training.run.folds import counts, hold_out
from tomosoup.training.supervision.crops import Example

RIBOSOME, EASY = Species("ribosome", 150.0), Species("beta-amylase", 65.0, 0.0)
ONE, NONE = Picks.of([[1.0, 2.0, 3.0]]), Picks.of([])


def examples(*runs: str) -> list[Example]:
    """Runs of one ribosome each."""
    volume = Volume(torch.zeros(2, 2, 2), 10.0, (0.0, 0.0, 0.0))
    return [Example(run, volume, {"ribosome": ONE}) for run in runs]


@pytest.mark.parametrize("fold", [0, 1, 2])
def test_the_run_of_the_folds_number_is_held_out_and_the_others_stay_in_order(fold: int) -> None:
    rest = examples("a", "b", "c")
    held_out = hold_out(rest, fold, [RIBOSOME])
    assert held_out.run == "abc"[fold]
    assert [e.run for e in rest] == [run for run in "abc" if run != held_out.run]


@pytest.mark.parametrize(
    ("runs", "fold", "message"),
    [
        ("abc", 3, "`fold=3`: expected 0 to 2, because 3 runs have true picks"),
        ("abc", -1, "`fold=-1`: expected 0 to 2"),
        ("a", 0, "Found 1 run with true picks. A training needs at least 2"),
        ("", 0, "Found 0 runs with true picks"),
    ],
)
def test_a_fold_that_leaves_nothing_to_hold_out_or_to_train_on_is_refused(runs: str, fold: int, message: str) -> None:
    rest = examples(*runs)
    with pytest.raises(InputError, match=message):
        hold_out(rest, fold, [RIBOSOME])
    assert len(rest) == len(runs)


def test_a_run_without_a_particle_that_counts_cannot_choose_the_best_weights() -> None:
    rest = [*examples("a"), Example("b", examples("x")[0].volume, {"beta-amylase": ONE, "ribosome": NONE})]
    with pytest.raises(InputError, match="Run b holds no particle that counts"):
        hold_out(rest, 1, [RIBOSOME, EASY])


@pytest.mark.parametrize(
    ("truth", "expected"),
    [
        ({"ribosome": ONE}, True),
        ({"ribosome": NONE}, False),
        ({"beta-amylase": ONE}, False),
        ({"beta-amylase": ONE, "ribosome": ONE}, True),
        ({"stranger": ONE}, False),
        ({}, False),
    ],
)
def test_only_particles_of_species_with_a_weight_count(truth: dict[str, Picks], expected: bool) -> None:
    assert counts(truth, [RIBOSOME, EASY]) is expected


CONTEST = sorted(["TS_5_4", "TS_6_4", "TS_6_6", "TS_69_2", "TS_73_6", "TS_86_3", "TS_99_9"])
GUIDE = (Path(__file__).parents[2] / "docs/data/reproduce-8th-place.md").read_text()


def guide(command: str) -> list[Any]:
    """The options of the guide's commands of this name."""
    lines = re.findall(rf"^    tomosoup {command} (.*)$", GUIDE, flags=re.MULTILINE)
    return [parse(options_class(command), command, shlex.split(line))[0] for line in lines]


def test_the_guide_soups_the_folds_that_the_8th_place_did() -> None:
    """Tiny and medium of all seven; big and big-all of those that hold out TS_69_2, TS_86_3 and TS_99_9."""
    trained: dict[str, list[str]] = {}
    for options in guide("train"):
        name = options.recipe.removeprefix("soup-")
        folds = range(7) if options.all_folds else [options.fold]
        trained.setdefault(name, []).extend(hold_out(examples(*CONTEST), fold, [RIBOSOME]).run for fold in folds)
    three = ["TS_69_2", "TS_86_3", "TS_99_9"]
    assert {name: trained[name] for name in ("tiny", "medium", "big", "big-all")} == {
        "tiny": CONTEST, "medium": CONTEST, "big": three, "big-all": three
    }  # fmt: skip
    soups = {str(o.output).removesuffix("-soup.safetensors"): [str(m) for m in o.ingredients] for o in guide("soup")}
    folds = {name: ("*",) if name in ("tiny", "medium") else (1, 5, 6) for name in soups}
    assert soups == {name: [f"{name}-fold{i}.safetensors" for i in folds[name]] for name in soups}
    assert set(soups) == {"tiny", "medium", "big", "big-all"}


def test_the_guide_pretrains_tiny_and_medium_on_6_simulated_runs_and_big_on_26() -> None:
    (simulated,) = [options.runs for options in guide("simulate")]
    found = {}
    for options in guide("train"):
        if options.pretrain_on:
            runs = options.pretraining_data.runs or [f"run_{i:03}" for i in range(simulated)]
            rest = examples(*runs)
            assert hold_out(rest, 0, [RIBOSOME]).run == "run_000"
            found[options.recipe] = len(rest)
    assert found == {"soup-tiny": 6, "soup-medium": 6, "soup-big": 26}
