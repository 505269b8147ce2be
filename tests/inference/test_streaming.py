"""A volume that is read and predicted slice by slice gives what the whole volume gives, in memory for a few slices."""

from collections.abc import Callable
from concurrent.futures import Future
from itertools import accumulate
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from tomosoup.core.types import Species, Volume
from tomosoup.data.options import DataOptions
from tomosoup.data.project import open_project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.data.volumes.normalisation import moments, standardise, standardised
from tomosoup.inference import sliding_window
from tomosoup.inference.engines.net_cache import Nets
from tomosoup.inference.engines.torch_engine import plain_engine
from tomosoup.inference.ensemble import ensemble_heatmap
from tomosoup.inference.options.hardware import InferenceOptions
from tomosoup.inference.options.picking import PeakOptions, PickingPlan
from tomosoup.inference.pick import pick, pick_with
from tomosoup.inference.readout import read_out
from tomosoup.inference.readout.peaks import PeakSearch, find_peaks
from tomosoup.inference.sliding_window import ahead, heatmap_slabs, predict_heatmap
from tomosoup.inference.tiling.slabs import whole
from tomosoup.inference.tiling.symmetries import VIEWS, Viewed
from tomosoup.inference.tiling.windows import Ring, fitted, window_regions
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.models.nets.build import build_net
from tomosoup.models.nets.options import NetOptions
from tomosoup.models.nets.tomo_net import TomoNet
from tomosoup.models.window_plan import WindowPlan

SMALL_NET = NetOptions(backbone="mobilenetv3_small_050", decoder_widths=(8, 8, 8))
LOW = PickingPlan(peaks=PeakOptions(floor=1e-3))


class Watched:
    """Slices of a volume, and how many of them were asked for at a time."""

    def __init__(self, data: Tensor) -> None:
        self.data, self.voxel_size, self.origin = data, 10.0, (5.0, 6.0, 7.0)
        self.asked: list[tuple[int, int]] = []

    @property
    def shape(self) -> tuple[int, int, int]:
        z, y, x = self.data.shape
        return z, y, x

    def slices(self, start: int, stop: int) -> Tensor:
        self.asked.append((start, stop))
        return self.data[start:stop]


class Sums(TomoNet):
    """Two channels; each voxel's answer depends on its place in the window."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor, **_: int) -> Tensor:
        ramp = torch.linspace(0.5, 2, x.shape[2])[:, None, None]
        return torch.cat([x * ramp, x.square()], dim=1) * self.one


@pytest.mark.parametrize("border", ["zeros", "inside"])
def test_windows_see_their_neighbours_where_the_plan_says_so(border: str) -> None:
    net = build_net(SMALL_NET, classes=1).eval()
    source = Watched(torch.randn(40, 64, 64))
    alone = WindowPlan(shape=(16, 64, 64), stride=(8, 64, 64), border=border)
    plan = alone.model_copy(update={"neighbours": True})
    found = predict_heatmap(net, source, plan=plan).data
    assert (14, 34) in source.asked  # the window that begins at slice 16, two more at either end
    assert not torch.allclose(found, predict_heatmap(net, source, plan=alone).data, rtol=1e-3, atol=1e-6)
    # The definition: each window's answer is the net's for the window between its neighbours.
    ring, parts = Ring(1, source.shape, alone), []
    padded = F.pad(source.data, (0, 0, 0, 0, 2, 2))
    for region in window_regions(source.shape, alone):
        z = region[0]
        with torch.no_grad():
            ring.add(net(padded[z.start : z.stop + 4][None, None], halo=2)[0], region)
        parts.append(ring.take(z.start + 8 if z.stop < 40 else 40))
    torch.testing.assert_close(found, torch.cat(parts, dim=1))
    checkpoint = Checkpoint(net.state_dict(), SMALL_NET, (Species("a", 50.0),), 10.0, plan)
    engine, windows = Nets(InferenceOptions(precision="fp32")).ready(checkpoint, plan, source)
    assert engine.window == (20, 64, 64)
    prepared = whole(heatmap_slabs(engine, source, plan=windows), source).data
    torch.testing.assert_close(prepared, found, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("border", ["zeros", "centred", "inside"])
@pytest.mark.parametrize("depth", [3, 8, 21, 40])
def test_slabs_follow_each_other_and_are_the_whole_map(border: str, depth: int) -> None:
    source = Watched(torch.randn(depth, 17, 20))
    plan = WindowPlan(shape=(8, 16, 16), stride=(3, 6, 10), border=border)
    plan = fitted(plan, source.shape, multiple=(1, 1, 1))
    slabs = list(heatmap_slabs(plain_engine(Sums(), plan), source, plan=plan))
    regions = window_regions(source.shape, plan)
    assert max(b - a for a, b in source.asked) <= 8
    first = 0
    for slab in slabs:
        assert slab.origin == pytest.approx((5.0 + 10 * first, 6.0, 7.0))
        first += slab.shape[0]
    assert first == depth
    assert len(slabs) == len({region[0].start for region in regions})
    heatmap = predict_heatmap(Sums(), source, plan=plan)
    torch.testing.assert_close(torch.cat([s.data for s in slabs], dim=1), heatmap.data)
    # The definition: the mean over windows by weight.
    total, weights = torch.zeros(2, depth + 24, 40, 40), torch.zeros(depth + 24, 40, 40)
    if border != "inside":
        padded = torch.zeros(depth + 24, 40, 40)
        padded[8 : 8 + depth, :17, :20] = source.data
        weight = Ring(1, source.shape, plan).weight
        before, after = -regions[0][0].start, regions[-1][0].stop - depth
        assert after - before in (0, 1) if border == "centred" else before == 0
        for z, y, x in regions:
            region = (slice(z.start + 8, z.stop + 8), y, x)
            with torch.no_grad():
                total[(slice(None), *region)] += Sums()(padded[region][None, None])[0] * weight
            weights[region] += weight
        wanted = (total / weights)[:, 8 : 8 + depth, :17, :20]
        torch.testing.assert_close(heatmap.data, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("thickness", [1, 2, 5, 30])
def test_peaks_of_slabs_are_those_of_the_whole_map(thickness: int) -> None:
    data = torch.randn(2, 30, 25, 26).clamp(min=-0.5)
    data[:, :, 5:9] = 0.7  # a plateau across slabs
    heatmap = Volume(data, 10.0, (5.0, 6.0, 7.0))
    species = [Species("a", 60.0), Species("b", 90.0)]
    peaks = PeakOptions(floor=0.2)
    search = PeakSearch(species, peaks)
    for start in range(0, 30, thickness):
        search.add(Volume(heatmap.slices(start, start + thickness), 10.0, (5.0 + 10 * start, 6.0, 7.0)))
        assert len(search.images[0]) <= 2 * 3 + thickness
    found, wanted = search.finish(), find_peaks(heatmap, species, peaks=peaks)
    for name in ("a", "b"):
        assert len(wanted[name]) > 20
        np.testing.assert_allclose(found[name].zyx, wanted[name].zyx)
        np.testing.assert_array_equal(found[name].score, wanted[name].score)


def test_a_tomogram_on_disk_is_picked_as_the_volume_read_from_it(checkpoint: Checkpoint, project_folder: Path) -> None:
    tomogram = select_tomogram(open_project(project_folder), "run_000", DataOptions())
    found, wanted = (pick(source, checkpoint, plan=LOW) for source in (tomogram, tomogram.read()))
    peaks = find_peaks(ensemble_heatmap(tomogram, [checkpoint], plan=LOW), checkpoint.species, peaks=LOW.peaks)
    for name, picks in wanted.items():
        assert len(picks)
        for other in (found, peaks):
            np.testing.assert_allclose(other[name].zyx, picks.zyx, atol=1e-6)
            np.testing.assert_allclose(other[name].score, picks.score, atol=1e-6)


def test_slices_of_a_tomogram_are_read_in_rows_of_chunks_once(project_folder: Path) -> None:
    tomogram = select_tomogram(open_project(project_folder), "run_000", DataOptions())
    whole = tomogram.read().data
    for start, stop in ((0, 5), (3, 20), (16, 32), (0, 32)):
        torch.testing.assert_close(tomogram.slices(start, stop), whole[start:stop], atol=0, rtol=0)


def test_moments_are_those_of_all_voxels_also_far_from_zero() -> None:
    data = torch.randn(37, 9, 8) * 1e-3 + 100
    mean, deviation = moments(Watched(data))
    assert mean == pytest.approx(float(data.double().mean()), rel=1e-12)
    assert deviation == pytest.approx(float(data.double().std()), rel=1e-9)
    source = Watched(data)
    shown = standardised(source)
    torch.testing.assert_close(shown.slices(4, 9), standardise(Volume(data, 10.0)).data[4:9])
    assert max(b - a for a, b in source.asked) <= 16


@pytest.mark.parametrize("name", VIEWS)
def test_slices_of_a_view_are_the_views_slices(name: str) -> None:
    data = torch.randn(9, 4, 5)
    seen = Viewed(Volume(data, 1.0), VIEWS[name])
    wanted = VIEWS[name].apply(data)
    assert seen.shape == tuple(wanted.shape)
    torch.testing.assert_close(seen.slices(2, 6), wanted[2:6], atol=0, rtol=0)


def test_what_is_made_ahead_comes_in_order_and_its_errors_come_through() -> None:
    assert list(ahead(iter(range(5)))) == list(range(5))

    def broken():  # type: ignore[no-untyped-def]
        yield 1
        raise OSError("disk")

    items = ahead(broken())
    assert next(items) == 1
    with pytest.raises(OSError, match="disk"):
        next(items)


def test_what_is_held_does_not_grow_with_the_depth() -> None:
    """The largest tensor alive while a deep volume is predicted is as large as while a shallow one is."""
    plan = WindowPlan(shape=(8, 16, 16), stride=(8, 16, 16))
    sizes = []
    for depth in (16, 400):
        ring = Ring(3, (depth, 16, 16), plan)
        for region in window_regions((depth, 16, 16), plan):
            ring.add(torch.ones(3, 8, 16, 16), region)
            assert ring.take(region[0].start + 8).shape == (3, 8, 16, 16)
        sizes.append(ring.total.numel() + ring.weights.numel())
    assert sizes[0] == sizes[1]


class Noise:
    """Slices that are made when they are asked for."""

    def __init__(self, depth: int) -> None:
        self.shape, self.voxel_size, self.origin = (depth, 96, 96), 10.0, (0.0, 0.0, 0.0)

    def slices(self, start: int, stop: int) -> Tensor:
        return torch.randn(stop - start, 96, 96)


class AtOnce:
    """An executor without a thread: the profiler does not see what others free."""

    def __init__(self, _: int) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, work: Callable[..., Any], *given: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(work(*given))
        return done


@torch.no_grad()
def peak_allocation(plan: WindowPlan, depth: int) -> int:
    """Bytes of tensors at once, from a raw tomogram to picks, once the net is ready."""
    net = build_net(SMALL_NET, classes=2).eval()
    species = (Species("a", 50.0), Species("b", 50.0))
    checkpoint = Checkpoint(net.state_dict(), SMALL_NET, species, 10.0, plan)
    nets = Nets(InferenceOptions(engine="torch", precision="fp32", batch_size=4))
    nets.ready(checkpoint, plan, Noise(depth))
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        pick_with(nets, Noise(depth), [checkpoint], plan=PickingPlan())
    changes = [event.nbytes() for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"]
    return max(accumulate(changes))


@pytest.mark.parametrize(
    ("size", "stride", "border", "most"), [(64, 24, "zeros", 21), (96, 96, "inside", 13), (64, 48, "inside", 21)]
)
def test_the_peak_of_memory_is_of_some_slices_however_deep_the_tomogram(
    size: int, stride: int, border: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (sliding_window, read_out):
        monkeypatch.setattr(module, "ThreadPoolExecutor", AtOnce)
    plan = WindowPlan(shape=(16, size, size), stride=(8, stride, stride), border=border)
    shallow, deep = peak_allocation(plan, 32), peak_allocation(plan, 96)
    assert deep < 1.05 * shallow
    assert deep < most * 2**20
