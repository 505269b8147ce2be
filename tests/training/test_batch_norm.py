"""The running statistics of batch norms are those of the crops that the net is shown."""

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from tomosoup.training.run.batch_norm import estimate_norms, has_batch_norm


class Shown(Dataset[tuple[Tensor, Tensor]]):
    """Crops `(1, 4, 4, 4)` of one value each, drawn in an order of their own."""

    def __init__(self, values: list[float], order: list[int]) -> None:
        self.values, self._order = values, order
        self.recipe = type("Recipe", (), {"crop": (4, 4, 4)})

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return torch.full((1, 4, 4, 4), self.values[index]), torch.zeros(1)

    def order(self) -> list[int]:
        return self._order


def a_net() -> nn.Module:
    return nn.Sequential(nn.Conv3d(1, 1, 1), nn.BatchNorm3d(1)).eval()


@pytest.mark.parametrize("kind", [nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d])
def test_batch_norms_are_found_however_deep(kind: type[nn.Module]) -> None:
    assert has_batch_norm(nn.Sequential(nn.Sequential(kind(2))))
    assert not has_batch_norm(nn.Sequential(nn.InstanceNorm3d(2), nn.GroupNorm(1, 2), nn.LayerNorm(2)))


def test_statistics_are_those_of_what_the_layer_sees() -> None:
    net = a_net()
    assert isinstance(net[0], nn.Conv3d)
    nn.init.constant_(net[0].weight, 3.0)
    nn.init.constant_(net[0].bias, 1.0)
    values = [0.0, 1.0, 2.0, 5.0]
    estimate_norms(net, Shown(values, [3, 1, 0, 2]), most=4)  # type: ignore[arg-type]
    seen = 3 * torch.tensor(values).repeat_interleave(64) + 1
    torch.testing.assert_close(net[1].running_mean, seen.mean()[None])
    torch.testing.assert_close(net[1].running_var, seen.var()[None])


def test_the_statistics_that_were_there_before_leave_no_trace() -> None:
    one, other = a_net(), a_net()
    other.load_state_dict(one.state_dict())
    nn.init.constant_(other[1].running_mean, 1e6)
    for net in (one, other):
        estimate_norms(net, Shown([1.0, 2.0], [0, 1]), most=2)  # type: ignore[arg-type]
    torch.testing.assert_close(one[1].running_mean, other[1].running_mean)


def test_no_more_crops_are_shown_than_asked_for_the_first_of_the_order() -> None:
    net = a_net()
    nn.init.constant_(net[0].weight, 1.0)
    nn.init.constant_(net[0].bias, 0.0)
    estimate_norms(net, Shown([1.0] * 2 + [1e6] * 2, [1, 0, 2, 3]), most=2)  # type: ignore[arg-type]
    assert float(net[1].running_mean) == 1.0


def test_crops_that_fill_no_batch_are_left_out_as_every_batch_counts_alike() -> None:
    net = a_net()
    nn.init.constant_(net[0].weight, 1.0)
    nn.init.constant_(net[0].bias, 0.0)
    shown = Shown([1.0, 1.0, 1e6], [0, 1, 2])
    shown.recipe = type("Recipe", (), {"crop": (100, 100, 100)})  # two at a time
    estimate_norms(net, shown, most=3)  # type: ignore[arg-type]
    assert float(net[1].running_mean) == 1.0


def test_weights_and_mode_stay_as_they_were() -> None:
    net = a_net()
    before = {name: p.clone() for name, p in net.named_parameters()}
    estimate_norms(net, Shown([1.0, 2.0], [0, 1]), most=2)  # type: ignore[arg-type]
    assert not net.training
    assert all(torch.equal(p, before[name]) for name, p in net.named_parameters())


def test_a_net_without_batch_norm_is_not_run() -> None:
    class Untouchable(nn.Module):
        def forward(self, _: Tensor) -> Tensor:
            raise AssertionError

    estimate_norms(Untouchable(), Shown([1.0], [0]), most=1)  # type: ignore[arg-type]
