import pytest
import torch
from monai.inferers import sliding_window_inference
from torch import nn

from tomosoup.core.types import Volume
from tomosoup.inference.sliding_window import predict_heatmap
from tomosoup.inference.tiling.windows import cut, cut_mirrored, window_regions, window_starts, window_weight
from tomosoup.models.nets.tomo_net import TomoNet
from tomosoup.models.window_plan import WindowPlan


class Identity(TomoNet):
    """Two channels: the volume and its negative."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor, halo: int = 0) -> torch.Tensor:  # noqa: ARG002 - a TomoNet takes one
        return torch.cat([x, -x], dim=1) * self.one


@pytest.mark.parametrize("weighting", ["linear", "pyramid", "gaussian", "none"])
@pytest.mark.parametrize("border", ["zeros", "centred", "inside"])
@pytest.mark.parametrize("shape", [(8, 16, 16), (9, 17, 30), (3, 5, 40), (21, 16, 7)])
def test_blended_windows_reproduce_an_identity_net(shape: tuple[int, int, int], weighting: str, border: str) -> None:
    plan = WindowPlan(shape=(8, 16, 16), stride=(4, 6, 10), weighting=weighting, border=border)
    volume = Volume(torch.randn(shape), 7.0, (1.0, 2.0, 3.0))
    heatmap = predict_heatmap(Identity(), volume, plan=plan)
    assert (heatmap.voxel_size, heatmap.origin) == (7.0, (1.0, 2.0, 3.0))
    torch.testing.assert_close(heatmap.data, torch.stack([volume.data, -volume.data]), atol=2e-6, rtol=0)


def test_the_paper_needs_twelve_windows_a_row_and_656_voxels() -> None:
    starts = window_starts(630, 128, 48)
    assert len(starts) == 12
    assert starts[-1] + 128 == 656
    assert len(window_regions((184, 630, 630), WindowPlan())) == 12 * 12 * 22


def test_the_last_window_reaches_the_end_and_not_a_stride_further() -> None:
    for length in range(1, 80):
        starts = window_starts(length, 16, 5)
        assert starts[-1] + 16 >= length
        assert len(starts) == 1 or starts[-2] + 16 < length


def test_the_weight_falls_linearly_from_the_centre_and_is_never_zero() -> None:
    weight = window_weight(WindowPlan(shape=(8, 15, 15), stride=(8, 15, 15)))
    depth, plane = weight[:, 7, 7], weight[3] / weight[3, 7, 7]
    ramp = plane[7]
    assert float(ramp[7]) == 1.0
    torch.testing.assert_close(ramp, ramp.flip(0))
    torch.testing.assert_close(ramp[:8].diff(), torch.full((7,), float(ramp[0]) * 2))
    torch.testing.assert_close(plane, plane.T)
    assert depth.max() == 0.875  # an even number of voxels has none at the centre
    assert plane.min() > 0
    assert depth.min() > 0


def test_a_pyramid_falls_towards_the_nearest_edge_alone() -> None:
    """The winners' weight: the smaller of the ramps along y and x, times the ramp along z."""
    plane = window_weight(WindowPlan(shape=(9, 15, 15), stride=(9, 15, 15), weighting="pyramid"))[4]
    ramp = plane[7]
    for y in range(15):
        for x in range(15):
            assert plane[y, x] == min(ramp[y], ramp[x])


def test_weighting_changes_where_windows_disagree() -> None:
    class Edges(Identity):
        def forward(self, x: torch.Tensor, halo: int = 0) -> torch.Tensor:  # noqa: ARG002 - a TomoNet takes one
            return torch.linspace(0, 1, x.shape[-1]).expand_as(x) * self.one

    volume = Volume(torch.zeros(8, 16, 22), 1.0)
    linear, none = (
        predict_heatmap(Edges(), volume, plan=WindowPlan(shape=(8, 16, 16), stride=(8, 16, 6), weighting=w)).data
        for w in ("linear", "none")
    )
    # Column 6 is 6/15 of the way through the first window and at the very start of the second.
    assert abs(float(none[0, 4, 8, 6]) - 0.2) < 1e-6
    assert 0.3 < float(linear[0, 4, 8, 6]) < 0.4


def test_a_cut_reaches_past_the_volume_with_zeros() -> None:
    data = torch.arange(1.0, 28.0).reshape(3, 3, 3)
    part = cut(data, (slice(-1, 1), slice(2, 4), slice(0, 2)))
    assert part.shape == (2, 2, 2)
    torch.testing.assert_close(part[1, 0], data[0, 2, :2])
    assert float(part[0].abs().sum() + part[:, 1].abs().sum()) == 0


def test_windows_moved_inside_end_where_the_volume_ends() -> None:
    plan = WindowPlan(shape=(160, 384, 384), stride=(120, 288, 288), border="inside")
    regions = window_regions((184, 630, 630), plan)
    assert len(regions) == 8  # the 8th place's over one of the contest's tomograms
    assert regions[-1] == (slice(24, 184), slice(246, 630), slice(246, 630))
    assert window_regions((100, 300, 300), plan) == [(slice(0, 160), slice(0, 384), slice(0, 384))]


def test_a_mirrored_cut_reflects_without_repeating_the_outermost_voxel() -> None:
    data = torch.arange(4.0)[None, None]
    assert cut_mirrored(data, (slice(0, 1), slice(0, 1), slice(-2, 7)))[0, 0].tolist() == [2, 1, 0, 1, 2, 3, 2, 1, 0]
    inside = torch.randn(5, 6, 7)
    region = slice(1, 4), slice(0, 6), slice(2, 5)
    torch.testing.assert_close(cut_mirrored(inside, region), inside[region])
    assert cut_mirrored(torch.ones(1, 1, 1), (slice(0, 3),) * 3).shape == (3, 3, 3)


def test_the_plan_soup_blends_as_the_winners_inferer() -> None:
    """MONAI's sliding window inference with a net that answers differently at each place of a window."""

    class Uneven(Identity):
        def forward(self, x: torch.Tensor, halo: int = 0) -> torch.Tensor:  # noqa: ARG002 - a TomoNet takes one
            ramp = torch.linspace(0.5, 2, x.shape[-1])
            return torch.cat([x * ramp, x.square() + ramp], dim=1) * self.one

    volume = Volume(torch.randn(22, 50, 61), 10.0)
    plan = WindowPlan(shape=(16, 32, 32), stride=(12, 24, 24), weighting="gaussian", border="inside")
    ours = predict_heatmap(Uneven(), volume, plan=plan).data
    with torch.no_grad():
        theirs = sliding_window_inference(
            volume.data[None, None], (16, 32, 32), 1, Uneven(), overlap=0.25, mode="gaussian", padding_mode="reflect"
        )
    torch.testing.assert_close(ours, theirs[0], atol=1e-5, rtol=1e-4)
