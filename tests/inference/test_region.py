"""A region: windows outside of it are not predicted, and grey values are those in it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_models import segmenting
from torch import Tensor

from tomosoup.core.types import Searched, Species, Volume
from tomosoup.data.copick.masks.mask import Mask
from tomosoup.data.copick.masks.region import Region
from tomosoup.data.options import RegionOptions
from tomosoup.data.volumes.normalisation import standardised
from tomosoup.inference.engines.engine import Engine, Finish
from tomosoup.inference.engines.net_cache import Nets
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.inference.pick import pick_with
from tomosoup.inference.sliding_window import heatmap_slabs
from tomosoup.inference.tiling.slabs import whole
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.models.nets.options import NetOptions
from tomosoup.models.window_plan import WindowBorder, WindowPlan

SHAPE = (16, 24, 24)


@pytest.mark.parametrize("border", ["zeros", "centred", "inside"])
def test_only_windows_that_reach_into_the_region_are_predicted(border: WindowBorder) -> None:
    plan = WindowPlan(shape=(8, 8, 8), stride=(4, 4, 4), border=border)
    volume = Volume(torch.randn(SHAPE), 10.0)
    where = torch.zeros(SHAPE, dtype=torch.bool)
    where[9:13, 14:20, 3:9] = True
    windows = []

    def start(batch: Tensor) -> Finish:
        windows.extend(batch)
        return lambda: batch.cumsum(-1)

    engine = Engine("cumulated sums", (8, 8, 8), 3, start)
    everywhere = whole(heatmap_slabs(engine, volume, plan=plan), volume).data
    number = len(windows)
    windows.clear()
    there = whole(heatmap_slabs(engine, volume, plan=plan, where=where), volume).data
    assert 0 < len(windows) < number / 2
    torch.testing.assert_close(there[:, where], everywhere[:, where])
    assert there.isnan().any()


def test_grey_values_are_normalised_by_those_in_the_region() -> None:
    random = np.random.default_rng(0)
    values = random.normal(3, 2, SHAPE)
    values[8:] = 1000
    where = torch.zeros(SHAPE, dtype=torch.bool)
    where[:8] = True
    shown = standardised(Searched(Volume(values, 10.0), where)).slices(0, 8)
    assert float(shown.mean()) == pytest.approx(0, abs=1e-5)
    assert float(shown.std()) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("method", ["watershed", "published-watershed"])
def test_segmentation_models_pick_in_the_region_alone(method: str) -> None:
    species = (Species("a", 20.0), Species("b", 30.0))
    plan = WindowPlan(shape=(16, 32, 32), stride=(16, 32, 32))
    bare = Checkpoint(
        weights={}, architecture=NetOptions(), species=species, voxel_size=10.0, windows=plan, thresholds={}
    )
    model = segmenting(bare, seed=0)
    last = list(model.weights)[-2]
    model = replace(model, weights={**model.weights, last: 20 * model.weights[last]})  # as if it knew something
    inside = np.zeros((16, 48, 48), bool)
    inside[:, :20, :20] = True
    region = Region.of(Mask(inside, 10.0, (5.0, 5.0, 5.0)), RegionOptions(mask="m.mrc"))
    volume = Volume(torch.randn(inside.shape), 10.0)
    reading = PickingPlan.of({"segmentation": {"method": method}}, source="the test")
    for found in pick_with(Nets(), volume, [model], plan=reading, region=region).values():
        assert len(found)
        assert found.zyx[:, 1:].max() < 200
        assert found.mask_distance is not None
        assert found.mask_distance.min() > 0
