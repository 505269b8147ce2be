"""A checkpoint under other names of its species is the same checkpoint."""

from dataclasses import replace

import pytest

from tomosoup.models.adapt import renamed
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.scoring.calibration import Calibration
from tomosoup.scoring.signal_levels import SignalLevels


@pytest.fixture
def named(checkpoint: Checkpoint) -> Checkpoint:
    first, second = (s.name for s in checkpoint.species[:2])
    return replace(
        checkpoint,
        thresholds={first: 0.1, second: 0.2},
        mixed_thresholds={first: 0.3},
        calibration={second: Calibration(0.4, 5.0)},
        pick_calibration={second: Calibration(0.3, 2.0)},
        signal_levels=SignalLevels({first: (6.0,), second: (7.0,)}, 0.1),
    )


def test_everything_that_is_kept_by_name_moves_to_the_new_name(named: Checkpoint) -> None:
    first, second = (s.name for s in named.species[:2])
    other = renamed(named, {s.name: f"my-{s.name}" for s in named.species})
    assert other.thresholds == {f"my-{first}": 0.1, f"my-{second}": 0.2}
    assert other.mixed_thresholds == {f"my-{first}": 0.3}
    assert other.calibration == {f"my-{second}": Calibration(0.4, 5.0)}
    assert other.pick_calibration == {f"my-{second}": Calibration(0.3, 2.0)}
    assert other.signal_levels == SignalLevels({f"my-{first}": (6.0,), f"my-{second}": (7.0,)}, 0.1)


def test_channels_radii_weights_and_the_net_stay(named: Checkpoint) -> None:
    other = renamed(named, {s.name: f"my-{s.name}" for s in named.species})
    assert [(s.radius, s.weight) for s in other.species] == [(s.radius, s.weight) for s in named.species]
    assert [s.name for s in other.species] == [f"my-{s.name}" for s in named.species]
    assert other.weights is named.weights


def test_two_names_can_be_exchanged(named: Checkpoint) -> None:
    first, second = (s.name for s in named.species[:2])
    names = {s.name: s.name for s in named.species} | {first: second, second: first}
    other = renamed(named, names)
    assert other.thresholds == {second: 0.1, first: 0.2}
    back = renamed(other, names)
    assert back.species == named.species
    assert back.thresholds == named.thresholds


def test_the_checkpoint_that_was_renamed_is_as_it_was(named: Checkpoint) -> None:
    before = [s.name for s in named.species]
    renamed(named, {name: f"my-{name}" for name in before})
    assert [s.name for s in named.species] == before
