from pathlib import Path

import numpy as np
import pytest
import torch

from tomosoup.training.options import TrainingRecipe
from tomosoup.training.supervision.losses import balanced_loss, training_loss, weighted_loss
from tomosoup.training.supervision.options import LossOptions


def test_the_loss_is_the_winners_loss(reference: Path) -> None:
    parts = np.load(reference / "parts_seed0.npz")
    ours = training_loss(
        torch.from_numpy(parts["loss_pred"]), torch.from_numpy(parts["loss_target"]), LossOptions(floor=0.1)
    )
    assert float(ours) == pytest.approx(float(parts["loss"]), rel=1e-6)


def test_a_miss_on_a_particle_costs_more_than_beside_it() -> None:
    target = torch.tensor([1.0, 0.0])
    assert float(weighted_loss(target - torch.tensor([0.5, 0.0]), target)) == pytest.approx(
        11 * float(weighted_loss(target - torch.tensor([0.0, 0.5]), target))
    )
    assert float(weighted_loss(target, target)) == 0


def test_the_loss_of_the_recipe_tattaka_weighs_particles_by_the_target_and_the_background_by_the_rest() -> None:
    """Three voxels by hand: targets 1, 0.5, 0; errors 0.04, 0.01, 0.09; sums of weights 1.5 and 1.5."""
    target, prediction = torch.tensor([1.0, 0.5, 0.0]), torch.tensor([0.8, 0.6, 0.3])
    expected = (0.04 * 1 + 0.01 * 0.5) / 1.5 + (0.01 * 0.5 + 0.09 * 1) / 1.5
    recipe = TrainingRecipe.read("tattaka").loss
    assert float(training_loss(prediction, target, recipe)) == pytest.approx(expected, rel=1e-5)
    assert (recipe.positive_weight, recipe.negative_weight, recipe.eps) == (1, 1, 1e-6)


def test_a_loss_of_an_older_checkpoint_divides_particles_from_background_at_a_value() -> None:
    random = np.random.default_rng(0)
    target, prediction = random.random((2, 3, 4, 5, 6)), random.random((2, 3, 4, 5, 6))
    target[0, 0] = 0.3  # of the particles, too
    stored = {"name": "balanced", "positive_from": 0.3, "positive_weight": 2.0, "negative_weight": 0.5, "eps": 1e-9}
    recipe = LossOptions.of(stored | {"floor": 0.1}, source="a checkpoint")
    error = (prediction - target) ** 2
    on = target >= 0.3
    expected = 2.0 * error[on].mean() + 0.5 * error[~on].mean()
    assert float(training_loss(torch.tensor(prediction), torch.tensor(target), recipe)) == pytest.approx(expected)


def test_few_particles_weigh_as_much_as_all_the_empty_space() -> None:
    target = torch.zeros(1000)
    target[0] = 1.0
    miss, noise = torch.zeros(1000), target.clone()
    noise[1:] += 1.0
    recipe = LossOptions(name="balanced")
    assert float(balanced_loss(miss, target, recipe)) == pytest.approx(float(balanced_loss(noise, target, recipe)))


def test_a_batch_without_particles_has_a_finite_loss() -> None:
    empty = torch.zeros(2, 1, 2, 2, 2)
    assert float(balanced_loss(empty + 0.5, empty, LossOptions(name="balanced"))) == pytest.approx(0.25)


@pytest.mark.parametrize("name", ["weighted", "dice"])
def test_a_loss_that_does_not_divide_is_the_same_as_in_files_of_0_1_0(name: str) -> None:
    stored = {"name": name, "floor": 0.1, "positive_from": 0.1, "positive_weight": 1.0, "negative_weight": 1.0}
    assert LossOptions.of(stored, source="a checkpoint") == LossOptions.of({"name": name}, source="today")
