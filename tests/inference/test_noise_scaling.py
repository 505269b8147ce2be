"""Scores follow the noise of a tomogram, so that thresholds set on clearer ones fit it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tomosoup.core.errors import InputError
from tomosoup.core.types import Picks, Volume
from tomosoup.inference.ensemble import mean_model_signal_levels
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.inference.pick import pick
from tomosoup.inference.readout.noise_scaling import LEAST, mean_signal_levels, noise_corrected, signal_level
from tomosoup.models.checkpoint import Checkpoint, load


def picks(*scores: float) -> Picks:
    """At some places."""
    return Picks(np.arange(3.0 * len(scores)).reshape(-1, 3), np.array(scores))


def test_three_picks_tell_how_loud_a_tomogram_is() -> None:
    assert signal_level(picks(0.1, 0.9, 0.6, 0.2, 0.3)) == pytest.approx(0.6)
    assert signal_level(picks(0.9, 0.5)) == pytest.approx(0.7)
    assert signal_level(picks()) == 0
    first, second = {"a": picks(0.9), "b": picks()}, {"a": picks(0.5), "c": picks(0.3)}
    assert mean_signal_levels([first, second]) == pytest.approx({"a": 0.7, "c": 0.3})


def test_a_noisier_tomogram_scores_as_a_clear_one() -> None:
    found = {"a": picks(0.4, 0.4, 0.4, 0.1), "b": picks(0.45, 0.45, 0.45), "c": picks(0.3)}
    louder = noise_corrected(found, {"a": 0.8, "b": 0.9, "c": 0.9}, power=2.0)  # a half, a half, a third
    np.testing.assert_allclose(louder["a"].score, [1.6, 1.6, 1.6, 0.4])
    np.testing.assert_allclose(louder["c"].score, [1.2])
    np.testing.assert_array_equal(louder["a"].zyx, found["a"].zyx)


def test_species_that_are_not_there_do_not_count() -> None:
    found = {"a": picks(0.9), "b": picks(0.9), "c": picks(0.05)}
    assert noise_corrected(found, {"a": 0.9, "b": 0.9, "c": 0.9}, power=2.5) == found
    assert noise_corrected({**found, "unknown": picks(0.01)}, {"a": 0.9, "b": 0.9}, power=2.5)["unknown"].score == [
        0.01
    ]


def test_scores_only_rise_and_not_without_end() -> None:
    found = {"a": picks(0.1)}
    assert noise_corrected(found, {"a": 0.05}, power=2.5) == found
    assert noise_corrected(found, {"a": 0.9}, power=0.0) == found
    assert noise_corrected(found, {}, power=2.5) == found
    np.testing.assert_allclose(noise_corrected(found, {"a": 0.9}, power=2.5)["a"].score, [0.1 / LEAST])
    assert len(noise_corrected({"a": picks()}, {"a": 0.9}, power=2.5)["a"]) == 0


VOLUME = Volume(torch.randn(16, 64, 64, generator=torch.Generator().manual_seed(3)), 10.0)


def test_pick_follows_a_checkpoint_that_knows_how_loud_its_particles_were(checkpoint: Checkpoint) -> None:
    plan = PickingPlan.of({"peaks": {"floor": 0.001}}, source="test")
    plain = pick(VOLUME, checkpoint, plan=plan)
    usual = {name: 1.5 * loud for name, loud in mean_signal_levels([plain]).items()}
    knowing = replace(checkpoint, signal_levels=usual)
    followed = pick(VOLUME, knowing, plan=plan)
    for name, found in plain.items():
        np.testing.assert_allclose(followed[name].score, found.score * 1.5**2.5)
    name, *others = plain
    alone = pick(VOLUME, knowing, plan=plan.model_copy(update={"leave_out": tuple(others)}))
    assert not any(len(alone[other]) for other in others)
    np.testing.assert_array_equal(alone[name].score, followed[name].score)
    as_is = pick(VOLUME, knowing, plan=plan.model_copy(update={"noise_correction": 0.0}))
    for name, found in plain.items():
        np.testing.assert_array_equal(as_is[name].score, found.score)


def test_ensembles_follow_only_where_all_models_know(checkpoint: Checkpoint) -> None:
    a, b = (replace(checkpoint, signal_levels={"ribosome": loud}) for loud in (0.6, 0.9))
    assert mean_model_signal_levels([a, b]) == pytest.approx({"ribosome": 0.75})
    assert mean_model_signal_levels([a, checkpoint]) == {}


def test_the_winners_plans_leave_scores_alone() -> None:
    assert all(PickingPlan.read(name).noise_correction == 0 for name in PickingPlan.names() if name.startswith("paper"))
    assert PickingPlan.read("soup").noise_correction == 0


def test_loudness_is_kept_in_the_file_and_checked(checkpoint: Checkpoint, tmp_path: Path) -> None:
    replace(checkpoint, signal_levels={"ribosome": 0.5}).save(tmp_path / "m.safetensors")
    assert load(tmp_path / "m.safetensors").signal_levels == {"ribosome": 0.5}
    replace(checkpoint, signal_levels={"ribosome": -0.5}).save(tmp_path / "m.safetensors")
    with pytest.raises(InputError, match="not a tomosoup checkpoint"):
        load(tmp_path / "m.safetensors")


def test_the_shipped_models_follow() -> None:
    for name in ("default", "default-soup"):
        model = load(name)
        assert model.signal_levels.keys() == model.thresholds.keys()
