"""3x3x3 convolutions that skip what is zero or the same are the plain formula, whatever the depth, order or batch."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tomosoup.models.nets.blocks.convolution import Conv3x3x3, conv3x3x3, flat_weight, upsampled_conv, upsampled_weight


def plain(x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int = 1, groups: int = 1) -> Tensor:
    """The sum over taps, written out in double precision."""
    x, weight = x.double(), weight.double()
    b, c, z, y, w = x.shape
    pad = F.pad(x, (dilation, dilation, dilation, dilation, 1, 1))
    out = torch.zeros(b, len(weight), z, y, w, dtype=torch.float64)
    per = len(weight) // groups
    for o in range(len(weight)):
        first = o // per * (c // groups)
        for k, i, j in torch.cartesian_prod(*[torch.arange(3)] * 3).tolist():
            part = pad[:, first : first + c // groups, k : k + z, i * dilation :, j * dilation :][..., :y, :w]
            out[:, o] += (part * weight[o, :, k, i, j][:, None, None, None]).sum(1)
    return out if bias is None else out + bias.double()[:, None, None, None]


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
@pytest.mark.parametrize(("dilation", "groups", "bias"), [(1, 1, True), (2, 1, False), (1, 2, True), (3, 4, False)])
@pytest.mark.parametrize("batch", [1, 2])
def test_a_convolution_is_the_sum_over_its_taps(depth: int, dilation: int, groups: int, bias: bool, batch: int) -> None:
    x, weight = torch.randn(batch, 4, depth, 6, 7), torch.randn(8, 4 // groups, 3, 3, 3)
    b = torch.randn(8) if bias else None
    found = conv3x3x3(x, weight, b, dilation=dilation, groups=groups)
    torch.testing.assert_close(found.double(), plain(x, weight, b, dilation, groups), atol=1e-4, rtol=1e-4)


def test_a_single_map_that_takes_the_other_road_gives_the_same() -> None:
    x, weight = torch.randn(1, 8, 8, 16, 300), torch.randn(3, 8, 3, 3, 3)
    torch.testing.assert_close(conv3x3x3(x, weight), F.conv3d(x, weight, padding=1), atol=1e-3, rtol=1e-4)
    assert conv3x3x3(x, weight).is_contiguous()


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_a_map_shifted_in_the_plane_gives_the_same_shifted(depth: int) -> None:
    x, weight = torch.randn(1, 2, depth, 12, 12), torch.randn(3, 2, 3, 3, 3)
    one = conv3x3x3(x, weight)
    other = conv3x3x3(x.roll((2, 1), dims=(3, 4)), weight)
    torch.testing.assert_close(other[..., 4:-1, 3:-1], one.roll((2, 1), dims=(3, 4))[..., 4:-1, 3:-1])


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_map_upside_down_by_weights_upside_down_gives_the_same_upside_down(depth: int) -> None:
    x, weight = torch.randn(1, 2, depth, 5, 5), torch.randn(3, 2, 3, 3, 3)
    torch.testing.assert_close(conv3x3x3(x.flip(2), weight.flip(2)), conv3x3x3(x, weight).flip(2))


def test_the_module_is_the_function_with_its_own_weights() -> None:
    module = Conv3x3x3(4, 6, dilation=2, groups=2, bias=True)
    x = torch.randn(2, 4, 3, 7, 7)
    torch.testing.assert_close(module(x).double(), plain(x, module.weight, module.bias, 2, 2), atol=1e-4, rtol=1e-4)
    assert module.weight.shape == (6, 2, 3, 3, 3)


def test_a_flat_weight_has_a_channel_a_slice_and_sees_only_neighbours() -> None:
    weight = torch.randn(3, 2, 3, 3, 3)
    one, two = flat_weight(weight, 1), flat_weight(weight, 2)
    torch.testing.assert_close(one, weight[:, :, 1])
    assert two.shape == (6, 4, 3, 3)
    torch.testing.assert_close(two[0, 1], weight[0, 0, 2])  # slice 1 reaches slice 0 by the last tap
    torch.testing.assert_close(two[1, 0], weight[0, 0, 0])


@pytest.mark.parametrize("factor", [(1, 1, 1), (2, 2, 2), (1, 2, 2), (2, 1, 2)])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_upsampling_before_a_convolution_is_done_in_one(factor: tuple[int, int, int], depth: int) -> None:
    x, weight, bias = torch.randn(2, 3, depth, 4, 5), torch.randn(6, 3, 3, 3, 3), torch.randn(6)
    large = x
    for axis, step in zip((2, 3, 4), factor, strict=True):
        large = large.repeat_interleave(step, dim=axis)
    found = upsampled_conv(x, weight, bias, factor)
    torch.testing.assert_close(found.double(), plain(large, weight, bias), atol=1e-4, rtol=1e-4)


def test_taps_that_meet_one_voxel_are_added_up_and_none_is_lost() -> None:
    weight = torch.randn(2, 3, 3, 3, 3)
    doubled = upsampled_weight(weight, (2, 2, 2), depth=4)
    assert doubled.shape == (3, 2, 4, 4, 4)
    torch.testing.assert_close(doubled.sum((2, 3, 4)), 8 * weight.sum((2, 3, 4)).T)
