"""How high the best picks score, and what a model keeps of it."""

from dataclasses import replace
from itertools import product
from math import prod
from pathlib import Path

import numpy as np
import pytest
import torch

from tomosoup.core.errors import InputError
from tomosoup.core.types import Picks, Searched, Volume
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.scoring.signal_levels import (
    RANKS,
    SignalLevels,
    mean_levels,
    measured_levels,
    searched_volume,
    signal_level,
)


def picks(*scores: float) -> Picks:
    """At some places."""
    return Picks(np.arange(3.0 * len(scores)).reshape(-1, 3), np.array(scores))


def test_the_best_three_scores_are_the_level() -> None:
    assert signal_level([0.1, 0.9, 0.6, 0.2, 0.3]) == pytest.approx(0.6)
    assert signal_level([0.9, 0.6]) == pytest.approx(0.5)  # the third is missing
    assert signal_level([]) == 0


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_the_level_of_a_part_is_the_mean_over_all_choices(share: float) -> None:
    scores = [0.9, 0.7, 0.4, 0.35, 0.1, 0.05]
    expected = 0.0
    for kept in product((True, False), repeat=len(scores)):
        best = [score for score, is_kept in zip(scores, kept, strict=True) if is_kept][:3]
        expected += prod(share if is_kept else 1 - share for is_kept in kept) * sum(best) / 3
    assert signal_level(scores[::-1], share=share) == pytest.approx(expected)


def test_levels_are_means_over_tomograms_at_each_rank() -> None:
    measured = measured_levels([
        ({"a": picks(0.2, 0.9), "b": picks()}, 1.0), ({"a": picks(0.5), "c": picks(0.3)}, 3.0)
    ])  # fmt: skip
    assert measured == SignalLevels({"a": (0.7, 0.1), "c": (0.3,)}, 2.0)
    many = measured_levels([({"a": picks(*np.linspace(0, 1, 2 * RANKS))}, 1.0)])
    assert len(many.scores["a"]) == RANKS
    assert many.scores["a"][0] == 1.0
    assert measured_levels([]) == SignalLevels()


def test_means_are_weighted_and_need_every_volume() -> None:
    one, other = SignalLevels({"a": (0.8,)}, 1.0), SignalLevels({"a": (0.4,), "b": (0.5,)}, 5.0)
    assert mean_levels([one, other], [3, 1]) == SignalLevels({"a": (0.7,), "b": (0.5,)}, 2.0)
    assert mean_levels([one, replace(other, volume=None)]).volume is None


def test_species_are_chosen_and_renamed() -> None:
    levels = SignalLevels({"a": (0.8,), "b": (0.4,)}, 1.0)
    assert levels.under({"a": "mine"}) == SignalLevels({"mine": (0.8,), "b": (0.4,)}, 1.0)
    assert levels.of_species(["b"]) == SignalLevels({"b": (0.4,)}, 1.0)


def test_only_what_is_searched_counts() -> None:
    volume = Volume(torch.zeros(10, 20, 30), 20.0)
    assert searched_volume(volume) == pytest.approx(6000 * 8000e-12)
    inside = torch.zeros(10, 20, 30, dtype=torch.bool)
    inside[:5] = True
    assert searched_volume(Searched(volume, inside)) == pytest.approx(3000 * 8000e-12)


def test_levels_are_kept_in_the_file_and_checked(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    levels = SignalLevels({"ribosome": (0.5, 0.25)}, 0.07)
    replace(checkpoint, signal_levels=levels).save(path)
    assert load(path).signal_levels == levels
    for wrong in (SignalLevels({"ribosome": (-0.5,)}, 0.07), SignalLevels({"ribosome": (0.5,)}, -1.0)):
        replace(checkpoint, signal_levels=wrong).save(path)
        with pytest.raises(InputError, match="not a tomosoup checkpoint"):
            load(path)


def test_older_files_hold_the_level_alone() -> None:
    old = SignalLevels.of({"loudness": {"ribosome": 0.5}})
    assert old.volume is None
    assert signal_level(old.scores["ribosome"]) == 0.5
    assert SignalLevels.of({}) == SignalLevels()
    with pytest.raises(ValueError, match="got 'much'"):
        SignalLevels.of({"loudness": {"ribosome": "much"}})
