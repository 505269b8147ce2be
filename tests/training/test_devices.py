"""On a GPU, in so far as it can be seen without one: torch's fake tensors compute shapes, types and devices alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import lightning.pytorch as pl
import pytest
import torch
from small_models import A1, CHANGES
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from tomosoup.inference.engines.choice import Choice
from tomosoup.inference.engines.torch_engine import place
from tomosoup.models.nets.build import build_net
from tomosoup.models.nets.fused import accelerate
from tomosoup.models.nets.options import Architecture
from tomosoup.models.nets.tomo_net import HaloNet
from tomosoup.training.learner import mixed_loss
from tomosoup.training.options import TrainingRecipe
from tomosoup.training.run.callbacks import RunningAverage
from tomosoup.training.supervision.augmentation import Mix
from tomosoup.training.supervision.options import LossOptions

CUDA = torch.device("cuda", 0)
NETS: dict[str, Architecture] = {**CHANGES, "starnet": A1.model_copy(update={"backbone": "starnet_s100"})}


@contextmanager
def fp16_on_cuda() -> Iterator[None]:
    """`torch.autocast`, which would switch itself off as there is no GPU."""
    torch.set_autocast_dtype("cuda", torch.float16)
    torch.set_autocast_enabled("cuda", True)
    try:
        yield
    finally:
        torch.set_autocast_enabled("cuda", False)


def moved(net: nn.Module, fake: FakeTensorMode) -> nn.Module:
    """The net with its parameters and buffers on a GPU that is not there."""

    def there(x: Tensor) -> Tensor:
        here = fake.from_tensor(x.detach())
        with fake:
            return here.to(CUDA)

    for module in net.modules():
        for name, p in module._parameters.items():
            module._parameters[name] = p if p is None else nn.Parameter(there(p), requires_grad=p.requires_grad)
        for name, b in module._buffers.items():
            module._buffers[name] = b if b is None else there(b)
    return net


@pytest.mark.parametrize(
    ("name", "accelerated"),
    [
        ("A1-centres", False),
        ("A1-convolution", True),
        ("A2-other", False),
        ("A2-other", True),
        ("B", True),
        ("resnet3d", False),
        ("starnet", True),
    ],
)
def test_a_net_on_a_gpu_makes_nothing_on_the_cpu(name: str, accelerated: bool) -> None:
    net = build_net(NETS[name], classes=3).eval()
    z, y, x = (max(least, n) for least, n in zip((16, 32, 32), net.multiple, strict=True))
    ready = HaloNet(net, net.halo)
    if accelerated:
        accelerate(ready, window=(z + 2 * net.halo, y, x))
    fake = FakeTensorMode()
    moved(ready, fake)
    with fake, torch.no_grad(), fp16_on_cuda():
        maps = ready(torch.randn(2, 1, z + 2 * net.halo, y, x, device=CUDA))
    assert maps.device == CUDA
    assert maps.shape[2:] == (z, y, x)


def test_a_tensor_on_another_device_is_noticed() -> None:
    """Else the test before could not fail."""
    fake = FakeTensorMode()
    net = moved(nn.Conv3d(1, 1, 1), fake)
    with fake, torch.no_grad(), pytest.raises(RuntimeError, match=r"cuda:0.*cpu|cpu.*cuda:0"):
        net(torch.randn(1, 1, 2, 2, 2, device=CUDA)) + torch.zeros(2)


@pytest.mark.parametrize("loss", ["weighted", "balanced"])
def test_losses_on_a_gpu_are_there_and_in_fp32(loss: Any) -> None:
    fake = FakeTensorMode()
    net = moved(nn.Conv3d(1, 3, 1), fake)
    mix = Mix(fake.from_tensor(torch.tensor([1, 0])), 0.3)
    with fake, fp16_on_cuda():
        windows = torch.randn(2, 1, 4, 4, 4, device=CUDA)
        assert net(windows).dtype == torch.float16
        targets = torch.zeros(2, 3, 4, 4, 4, device=CUDA)
        value = mixed_loss(net, windows, targets, recipe=LossOptions(name=loss), mix=mix)
    assert (value.device, value.dtype) == (CUDA, torch.float32)


def test_kernels_on_a_gpu_have_their_channels_last(monkeypatch: pytest.MonkeyPatch) -> None:
    fake, net = FakeTensorMode(), nn.Sequential(nn.Conv3d(4, 4, 3), nn.Conv2d(4, 4, 3), nn.Conv3d(1, 4, 3))
    monkeypatch.setattr(nn.Module, "to", lambda net, device, dtype: moved(net, fake))  # noqa: ARG005
    placed: Any = place(net, Choice("torch", CUDA, "fp16"))
    for module in placed:
        assert module.weight.device == CUDA
        assert module.weight.stride(1) == 1


def test_the_average_of_the_weights_is_where_the_net_trains() -> None:
    """Lightning makes it before it moves the net, and would copy all weights to the CPU at every update."""
    average = RunningAverage(TrainingRecipe())
    trainer = SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device("meta")))
    module = pl.LightningModule()
    module.net = nn.Linear(2, 2)
    average.setup(cast(pl.Trainer, trainer), module, "fit")
    assert average._average_model is not None
    assert {p.device.type for p in average._average_model.parameters()} == {"meta"}
    assert module.device.type == "cpu"
