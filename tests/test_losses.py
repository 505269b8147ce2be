from pathlib import Path

import numpy as np
import pytest
import torch

from tomosoup.losses import heatmap_loss


def test_the_loss_is_the_winners_loss(reference: Path) -> None:
    parts = np.load(reference / "parts_seed0.npz")
    ours = heatmap_loss(torch.from_numpy(parts["loss_pred"]), torch.from_numpy(parts["loss_target"]))
    assert float(ours) == pytest.approx(float(parts["loss"]), rel=1e-6)


def test_a_miss_on_a_particle_costs_more_than_beside_it() -> None:
    target = torch.tensor([1.0, 0.0])
    assert float(heatmap_loss(target - torch.tensor([0.5, 0.0]), target)) == pytest.approx(
        11 * float(heatmap_loss(target - torch.tensor([0.0, 0.5]), target))
    )
    assert float(heatmap_loss(target, target)) == 0
