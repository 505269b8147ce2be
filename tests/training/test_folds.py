"""Which run a training holds out."""

import pytest
import torch

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


@pytest.mark.parametrize(("runs", "fold"), [("abc", 3), ("abc", -1), ("a", 0), ("", 0)])
def test_a_fold_that_leaves_nothing_to_hold_out_or_to_train_on_is_refused(runs: str, fold: int) -> None:
    rest = examples(*runs)
    with pytest.raises(InputError, match=rf"Fold {fold} .* {len(runs)} annotated runs .*at least 2 runs"):
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
