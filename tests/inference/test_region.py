"""A region: windows outside of it are not predicted, and grey values are those in it."""

import numpy as np
import pytest
import torch
from torch import Tensor

from tomosoup.core.types import Searched, Volume
from tomosoup.data.volumes.normalisation import standardised
from tomosoup.inference.engines.engine import Engine, Finish
from tomosoup.inference.sliding_window import heatmap_slabs
from tomosoup.inference.tiling.slabs import whole
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
