"""Scores follow the noise of a tomogram, so that thresholds set on clearer ones fit it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tomosoup.core.types import Picks, Volume
from tomosoup.inference.ensemble import mean_model_signal_levels
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.inference.pick import pick
from tomosoup.inference.readout.noise_scaling import LEAST, noise_corrected
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.scoring.signal_levels import SignalLevels, measured_levels, searched_volume


def picks(*scores: float) -> Picks:
    """At some places."""
    return Picks(np.arange(3.0 * len(scores)).reshape(-1, 3), np.array(scores))


def level(**by_species: float) -> SignalLevels:
    """Of a model that stored the levels alone, and no volume."""
    return SignalLevels.of({"loudness": by_species})


def test_a_noisier_tomogram_scores_as_a_clear_one() -> None:
    found = {"a": picks(0.4, 0.4, 0.4, 0.1), "b": picks(0.45, 0.45, 0.45), "c": picks(0.9)}
    louder = noise_corrected(found, level(a=0.8, b=0.9, c=0.9), volume=1.0, power=2.0)  # a half, a half, a third
    np.testing.assert_allclose(louder["a"].score, [1.6, 1.6, 1.6, 0.4])
    np.testing.assert_allclose(louder["c"].score, [3.6])
    np.testing.assert_array_equal(louder["a"].zyx, found["a"].zyx)


def test_species_that_are_not_there_do_not_count() -> None:
    there = picks(0.9, 0.9, 0.9)
    found = {"a": there, "b": there, "c": picks(0.05)}
    assert noise_corrected(found, level(a=0.9, b=0.9, c=0.9), volume=1.0, power=2.5) == found
    found |= {"unknown": picks(0.01)}
    assert noise_corrected(found, level(a=0.9, b=0.9), volume=1.0, power=2.5) == found


def test_scores_only_rise_and_not_without_end() -> None:
    found = {"a": picks(0.1, 0.1, 0.1)}
    assert noise_corrected(found, level(a=0.05), volume=1.0, power=2.5) == found
    assert noise_corrected(found, level(a=0.9), volume=1.0, power=0.0) == found
    assert noise_corrected(found, SignalLevels(), volume=1.0, power=2.5) == found
    clear = noise_corrected(found, level(a=0.9), volume=1.0, power=2.5)
    np.testing.assert_allclose(clear["a"].score, [0.1 / LEAST] * 3)
    assert len(noise_corrected({"a": picks()}, level(a=0.9), volume=1.0, power=2.5)["a"]) == 0


RANDOM = np.random.default_rng(0)
WHOLE = {name: picks(*np.sort(RANDOM.uniform(0.1, 1.0, 600))) for name in "abc"}
"""The candidates of a tomogram of 4 µm³ and of one that is as clear."""
OTHER = {name: picks(*RANDOM.uniform(0.1, 1.0, 600)) for name in "abc"}


def part_of(found: dict[str, Picks], share: float, *, seed: int) -> dict[str, Picks]:
    """What is in a part of a tomogram."""
    random = np.random.default_rng(seed)
    return {name: some.where(random.random(len(some)) < share) for name, some in found.items()}


def divisor(found: dict[str, Picks], reference: SignalLevels, *, volume: float) -> float:
    """How much the scores rise."""
    louder = noise_corrected(found, reference, volume=volume, power=2.5)
    return float((found["a"].score / louder["a"].score).mean())


def test_a_part_of_a_tomogram_is_not_taken_for_a_noisy_one() -> None:
    reference = measured_levels([(WHOLE, 4.0)])
    share = 0.02  # a dozen candidates a species, the best of them far below the best of the whole
    parts = [part_of(OTHER, share, seed=seed) for seed in range(20)]
    unaware = replace(reference, volume=None)
    assert np.mean([divisor(found, unaware, volume=4.0 * share) for found in parts]) < 0.8
    assert np.mean([divisor(found, reference, volume=4.0 * share) for found in parts]) > 0.95


def test_a_large_noisy_tomogram_is_not_taken_for_a_clear_one() -> None:
    small = measured_levels([(part_of(WHOLE, 0.02, seed=seed), 0.08) for seed in range(20)])
    noisy = {name: replace(found, score=0.8 * found.score) for name, found in OTHER.items()}
    assert divisor(noisy, replace(small, volume=None), volume=4.0) > 0.8  # its best nearly equal theirs
    assert divisor(noisy, small, volume=4.0) == pytest.approx(0.8 ** (2.5 * 0.02**0.25), rel=0.05)


def test_in_small_tomograms_the_correction_is_weaker() -> None:
    reference = SignalLevels({"a": (0.8,) * 200}, 1.6)
    noisy = {"a": picks(*[0.4] * 100)}
    assert divisor(noisy, reference, volume=1.6) == pytest.approx(0.5**2.5)
    assert divisor(noisy, reference, volume=0.1) == pytest.approx(0.5 ** (2.5 / 2), rel=1e-3)  # a sixteenth


VOLUME = Volume(torch.randn(16, 64, 64, generator=torch.Generator().manual_seed(3)), 10.0)
SIZE = searched_volume(VOLUME)


def test_pick_follows_a_checkpoint_that_knows_how_loud_its_particles_were(checkpoint: Checkpoint) -> None:
    plan = PickingPlan.of({"peaks": {"floor": 0.001}}, source="test")
    plain = pick(VOLUME, checkpoint, plan=plan)
    usual = measured_levels([
        ({name: replace(found, score=1.5 * found.score) for name, found in plain.items()}, SIZE)
    ])  # fmt: skip
    knowing = replace(checkpoint, signal_levels=usual)
    followed = pick(VOLUME, knowing, plan=plan)
    for name, found in plain.items():
        np.testing.assert_allclose(followed[name].score, found.score * 1.5**2.5, rtol=1e-3)
    name, *others = plain
    alone = pick(VOLUME, knowing, plan=plan.model_copy(update={"leave_out": tuple(others)}))
    assert not any(len(alone[other]) for other in others)
    np.testing.assert_allclose(alone[name].score, followed[name].score, rtol=1e-3)
    as_is = pick(VOLUME, knowing, plan=plan.model_copy(update={"noise_correction": 0.0}))
    for name, found in plain.items():
        np.testing.assert_array_equal(as_is[name].score, found.score)


def test_ensembles_follow_only_where_all_models_know(checkpoint: Checkpoint) -> None:
    a, b = (replace(checkpoint, signal_levels=SignalLevels({"ribosome": (s,)}, v)) for s, v in ((0.6, 1.0), (0.9, 3.0)))
    assert mean_model_signal_levels([a, b]) == SignalLevels({"ribosome": (0.75,)}, 2.0)
    assert mean_model_signal_levels([a, checkpoint]) == SignalLevels()


def test_the_winners_plans_leave_scores_alone() -> None:
    assert all(PickingPlan.read(name).noise_correction == 0 for name in PickingPlan.names() if name.startswith("paper"))
    assert PickingPlan.read("soup").noise_correction == 0


def test_the_shipped_models_follow() -> None:
    for name in ("default", "default-soup"):
        model = load(name)
        assert model.signal_levels.scores.keys() == model.thresholds.keys()
        assert model.signal_levels.volume == pytest.approx(184 * 630 * 630 * 1e-9)
