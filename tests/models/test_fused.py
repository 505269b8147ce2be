"""A rewritten net gives what the net gives, and the net gives what its plain formula gives, for fewer products."""

import copy

import pytest
import torch
import torch.nn.functional as F
from small_models import CHANGES
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.plain_nets import plain
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.inference.tiling.windows import fitted, window_regions
from tomosoup.models.nets.blocks.convolution import Conv3x3x3, conv3x3x3, upsampled_conv
from tomosoup.models.nets.build import build_net
from tomosoup.models.nets.fused import STEPS, accelerate
from tomosoup.models.nets.options import Architecture, NetOptions
from tomosoup.models.nets.tomo_net import TomoNet
from tomosoup.training.options import TrainingRecipe

WINDOWS = ((16, 64, 32), (32, 32, 64))


def relative(found: Tensor, wanted: Tensor) -> float:
    """L2 error, relative."""
    return float((found - wanted).norm() / wanted.norm())


def lively(recipe: Architecture) -> nn.Module:
    """A net with norms as after some training and a head that speaks."""
    net = build_net(recipe, classes=4).eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            module.running_var.uniform_(0.5, 2)
            module.running_mean.normal_(std=0.3)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
    return net


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize(("dilation", "groups"), [(1, 1), (2, 1), (4, 6)])
def test_a_shallow_map_is_convolved_as_in_three_dimensions(depth: int, dilation: int, groups: int) -> None:
    conv = Conv3x3x3(6, 12, dilation=dilation, groups=groups, bias=True).double()
    x = torch.randn(2, 6, depth, 9, 7, dtype=torch.float64)
    torch.testing.assert_close(conv(x), nn.Conv3d.forward(conv, x))


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("factor", [(1, 2, 2), (2, 2, 2), (2, 1, 2)])
def test_upsampling_and_convolving_are_one(depth: int, factor: tuple[int, int, int]) -> None:
    x = torch.randn(2, 5, depth, 4, 6, dtype=torch.float64)
    weight, bias = torch.randn(7, 5, 3, 3, 3, dtype=torch.float64), torch.randn(7, dtype=torch.float64)
    wanted = F.conv3d(F.interpolate(x, scale_factor=factor), weight, bias, padding=1)
    torch.testing.assert_close(upsampled_conv(x, weight, bias, factor), wanted)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_gradients_are_those_of_the_plain_formula_in_double_precision(depth: int, dtype: torch.dtype) -> None:
    x = torch.randn(2, 8, depth, 8, 8, dtype=torch.float64)
    weight = torch.randn(8, 8, 3, 3, 3, dtype=torch.float64) / 15

    def gradients(dtype: torch.dtype, *, plainly: bool) -> list[Tensor]:
        a, w = (t.to(dtype).requires_grad_() for t in (x, weight))
        if plainly:
            small = F.conv3d(a, w, padding=1)
            out = F.conv3d(F.interpolate(small, scale_factor=(2, 2, 2)), w, padding=1)
        else:
            out = upsampled_conv(conv3x3x3(a, w), w, None, (2, 2, 2))
        out.square().mean().backward()
        return [a.grad.double(), w.grad.double()]

    near = 0.03 if dtype == torch.bfloat16 else 1e-5
    for found, wanted in zip(gradients(dtype, plainly=False), gradients(torch.float64, plainly=True), strict=True):
        assert relative(found, wanted) < near


def test_a_single_shallow_map_is_convolved_by_onednn() -> None:
    """torch's own choice for it is a kernel that is many times slower."""
    x, w = torch.randn(1, 8, 4, 128, 24), torch.randn(6, 8, 3, 3, 3)
    b = torch.randn(6)
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        found = conv3x3x3(x, w, b, dilation=2)
    assert not [event.key for event in seen.key_averages() if "slow_conv3d" in event.key]
    assert relative(found, F.conv3d(x.double(), w.double(), b.double(), padding=(1, 2, 2), dilation=(1, 2, 2))) < 1e-5


@pytest.mark.parametrize("name", CHANGES)
@torch.inference_mode()
def test_the_net_and_the_rewritten_net_give_what_the_plain_formula_gives(name: str) -> None:
    net = lively(CHANGES[name])
    for window in [w for w in WINDOWS if w[0] % net.multiple[0] == 0]:
        x = torch.randn(2, 1, *window)
        wanted = plain(net)(x)
        assert relative(net(x), wanted) < 1e-5
        fast = accelerate(copy.deepcopy(net), window=window)
        assert relative(fast(x), wanted) < 1e-5
        assert not [m for m in fast.modules() if isinstance(m, nn.BatchNorm2d | nn.BatchNorm3d)]


@pytest.mark.parametrize("step", STEPS)
@torch.inference_mode()
def test_each_step_alone_changes_nothing_but_the_net(step: str) -> None:
    changed = []
    wide = CHANGES["B"].model_copy(update={"channels": (16, 18, 20, 22)})  # norms of many channels are others
    for recipe in (CHANGES["A1-test_resnet"], CHANGES["A2-deep"], CHANGES["A1-plain"], CHANGES["B"], wide):
        net = lively(recipe)
        x = torch.randn(2, 1, 16, 64, 32)
        fast = accelerate(copy.deepcopy(net), window=(16, 64, 32), steps=[step])
        assert relative(fast(x), net(x)) < 1e-5
        changed.append(str(fast) != str(net))
    assert any(changed)


def flops(net: nn.Module, window: tuple[int, int, int]) -> float:
    """Floating-point operations of a window, in units of 1e9."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        net(torch.empty(1, 1, *window, device="meta"))
    return counter.get_total_flops() / 1e9


def test_a_window_of_net_a1_costs_half_of_the_plain_formula() -> None:
    recipe = TrainingRecipe.read("yu4u")
    with torch.device("meta"):
        net = build_net(recipe.net.model_copy(update={"pretrained": False}), classes=6).eval()
    window = recipe.windows.shape
    assert flops(plain(net), window) == pytest.approx(124, abs=1)
    assert flops(net, window) < 66
    assert flops(accelerate(net, window=window), window) < 66


def test_a_net_for_other_depths_than_it_was_rewritten_for_is_not_silently_wrong() -> None:
    net = accelerate(lively(NetOptions(backbone="resnet10t", decoder_widths=(8, 8, 8))), window=(16, 32, 32))
    with pytest.raises(RuntimeError):
        net(torch.randn(1, 1, 32, 32, 32))


def test_what_the_small_net_costs_by_its_own_windows_and_by_whole_planes() -> None:
    recipe = TrainingRecipe.read("small")
    with torch.device("meta"):
        net = build_net(recipe.net, classes=6).eval()
    full = (184, 630, 630)
    costs = []
    for name in ("paper", "as-trained", "planes"):
        plan = fitted(PickingPlan.read(name).windows(recipe.windows), full, multiple=net.multiple)
        costs.append(len(window_regions(full, plan)) * flops(net, plan.shape))
    assert costs[1] / costs[0] == pytest.approx(25 * 256**2 / (144 * 128**2), rel=0.02)
    assert costs[2] / costs[0] == pytest.approx(640**2 / (144 * 128**2), rel=0.02)
    assert costs[2] / 184 / 630**2 < 20e-6  # 20 kFLOP a voxel


def test_a_norm_is_folded_only_where_nothing_else_sees_the_convolution() -> None:
    class Around(TomoNet):
        """A pre-activation block: the shortcut takes the convolution's own output."""

        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm = nn.Conv3d(1, 4, 3, padding=1), nn.BatchNorm3d(4)
            self.second, self.last = nn.Conv3d(4, 4, 3, padding=1), nn.BatchNorm3d(4)

        def forward(self, x: Tensor) -> Tensor:
            x = self.first(x)
            return x + self.last(self.second(self.norm(x).relu()))

    net = Around().eval()
    for norm in (net.norm, net.last):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    x = torch.randn(1, 1, 4, 8, 8)
    with torch.no_grad():
        wanted = net(x)
        assert relative(accelerate(net, window=(4, 8, 8))(x), wanted) < 1e-5
    assert isinstance(net.norm, nn.BatchNorm3d)
    assert isinstance(net.last, nn.Identity)
