"""The held-out run, scored: by yu4u's windows, peaks and thresholds, and by the 8th place's plain cubes."""

from typing import Any

import numpy as np
import pytest
import torch
from monai.losses import DiceCELoss
from monai.metrics import DiceMetric
from monai.transforms import NormalizeIntensity
from pydantic import ValidationError
from torch import Tensor

from tomosoup.core.progress import no_progress
from tomosoup.core.types import Picks, Species, Volume
from tomosoup.models.nets.options import UNet3dOptions
from tomosoup.models.nets.tomo_net import TomoNet
from tomosoup.models.window_plan import WindowPlan
from tomosoup.scoring.thresholds import best_thresholds
from tomosoup.training.options import TrainingRecipe
from tomosoup.training.run.validation import STEPS, as_soup, as_yu4u, half_step_blend, least_overlapping, validate
from tomosoup.training.supervision.crops import Example, half_overlapping, target_of
from tomosoup.training.supervision.losses import training_loss
from tomosoup.training.supervision.options import LossOptions

A, B = Species("a", 50.0), Species("b", 80.0)
FRAME = 10.0, (5.0, 5.0, 5.0)
"""Voxel size and origin: voxel i stands at 10 i + 5 Å."""
HEATMAPS = TrainingRecipe(windows=WindowPlan(shape=(8, 16, 16), stride=(8, 16, 16)), validation="yu4u")
LABELS = TrainingRecipe(
    net=UNet3dOptions(),
    loss=LossOptions(name="dice"),
    crop_shape=(16, 16, 16),
    windows=WindowPlan(shape=(16, 16, 16), stride=(16, 16, 16), border="inside"),
    validation="soup",
    extra_tomo_types=("other",),
)


class Channels(TomoNet):
    """The input times one number a channel, plus another."""

    def __init__(self, factors: list[float], offsets: list[float]) -> None:
        super().__init__()
        self.multiple, self.halo = (1, 1, 1), 0
        self.factors = torch.nn.Parameter(torch.tensor(factors)[:, None, None, None])
        self.offsets = torch.nn.Parameter(torch.tensor(offsets)[:, None, None, None])
        self.seen: list[Tensor] = []

    def forward(self, volume: Tensor, halo: int = 0) -> Tensor:  # noqa: ARG002
        self.seen += list(volume[:, 0])
        output: Tensor = volume * self.factors + self.offsets
        return output


def example(data: Tensor, **truth: Any) -> Example:
    return Example("r", Volume(data, *FRAME), {name: Picks.of(zyx) for name, zyx in truth.items()})


def test_yu4u_validates_in_9_x_9_x_22_windows_of_the_padded_volume() -> None:
    recipe = TrainingRecipe.read("yu4u")
    assert recipe.validation == "yu4u"
    assert TrainingRecipe.read("yu4u-planes").validation == TrainingRecipe.read("small").validation == "picking"
    assert len(half_overlapping((184, 630, 630), recipe.windows.shape, border="zeros")) == 9 * 9 * 22
    net = Channels([1.0], [0.0])
    held_out = example(torch.rand(12, 30, 40) + 1)
    loss = half_step_blend(net, held_out, [A], HEATMAPS, no_progress)[1]
    assert len(net.seen) == 2 * 3 * 4  # steps of 4, 8 and 8, to 12, 32 and 40 voxels
    padded = torch.nn.functional.pad(held_out.volume.data, (0, 0, 0, 2))
    torch.testing.assert_close(net.seen[-1], padded[4:, 16:, 24:])
    windows = half_overlapping((12, 30, 40), (8, 16, 16), border="zeros")
    each = [
        float(training_loss(seen, target_of(held_out, region, [A], HEATMAPS), HEATMAPS.loss))
        for seen, region in zip(net.seen, windows, strict=True)
    ]
    assert loss == pytest.approx(np.mean(each))


def test_yu4us_windows_fall_to_zero_and_sums_of_weights_below_1_are_raised_to_1() -> None:
    """The weights by their formula in NumPy: the smaller of two ramps in the plane, times a third, scaled to 1."""
    ramps = [np.minimum(np.linspace(0, 1, n), 1 - np.linspace(0, 1, n)) for n in (8, 16, 16)]
    weight = ramps[0][:, None, None] * np.minimum(ramps[1][:, None], ramps[2])
    weight /= weight.max()
    sums = np.zeros((16, 32, 40))
    for z in (0, 4, 8):
        for y in (0, 8, 16):
            for x in (0, 8, 16, 24):
                sums[z : z + 8, y : y + 16, x : x + 16] += weight
    found = half_step_blend(Channels([0.0], [1.0]), example(torch.zeros(16, 30, 40)), [A], HEATMAPS, no_progress)[0]
    np.testing.assert_allclose(found.data[0], sums / np.maximum(sums, 1), atol=1e-6)
    assert float(found.data[0, 0].max()) == 0  # the first slice
    assert (found.data[0, 4:12, 8:24, 8:32] == 1).all()


def test_yu4us_peaks_are_maxima_of_3_voxels_of_at_least_a_tenth_at_whole_voxels() -> None:
    data = torch.zeros(16, 32, 40)
    data[7, 12, 14], data[7, 12, 16], data[8, 15, 21], data[8, 20, 30], data[8, 20, 31] = 0.8, 0.7, 0.099, 0.101, 0.09
    found = as_yu4u(Channels([1.0], [0.0]), example(data), [A], HEATMAPS, no_progress).picks["a"]
    np.testing.assert_allclose(found.zyx, np.array([[7, 12, 14], [7, 12, 16], [8, 20, 30]]) * 10 + 5.0)
    np.testing.assert_allclose(found.score, [0.8, 0.7, 0.101], rtol=1e-6)


def test_yu4us_score_is_the_best_of_19_thresholds() -> None:
    """A hit of 0.62 and a false pick of 0.61 pass together or not at all: F4 is 17 / 18, where 0.62 would give 1."""
    np.testing.assert_allclose(STEPS, np.linspace(0.05, 0.95, 19))
    data = torch.zeros(16, 32, 40)
    data[7, 12, 14], data[7, 20, 30] = 0.62, 0.61
    held_out, net = example(data, a=[[75.0, 125.0, 145.0]]), Channels([1.0], [0.0])
    assert validate(net, [held_out], [A], HEATMAPS, progress=no_progress)["f4"] == pytest.approx(17 / 18)
    pairs = [(as_yu4u(net, held_out, [A], HEATMAPS, no_progress).picks, held_out.truth)]
    assert best_thresholds(pairs, [A], among=STEPS)[0] == {"a": 0.05}  # the first of equals
    assert best_thresholds(pairs, [A])[1].weighted == 1


def test_the_soups_cubes_overlap_as_little_as_they_can() -> None:
    regions = least_overlapping((184, 630, 630), TrainingRecipe.read("soup-tiny").crop)
    assert len(regions) == 50
    wide = [0, 125, 251, 376, 502]
    assert [sorted({r[axis].start for r in regions}) for axis in range(3)] == [[0, 56], wide, wide]
    assert all(s.stop - s.start == 128 for r in regions for s in r)
    assert {r[0].start for r in least_overlapping((10, 128, 128), (128, 128, 128))} == {0}


def test_the_soups_loss_and_dice_are_those_of_cubes_standardised_one_by_one() -> None:
    """By MONAI's own transform, loss and metric, over two tomogram types of the run."""
    net = Channels([0.2, 1.5, -1.0], [0.0, -1.0, -0.5])
    truth = {"a": [[60.0, 90.0, 80.0], [150.0, 200.0, 210.0]], "b": [[180.0, 70.0, 200.0]]}
    both = [example(torch.randn(20, 30, 30) * s + torch.arange(30.0) / 9, **truth) for s in (1.0, 2.0)]
    standardise, loss = NormalizeIntensity(), DiceCELoss(include_background=True, to_onehot_y=True, softmax=True)
    dice = DiceMetric(include_background=False, reduction="none", ignore_empty=True)
    losses = []
    for one in both:
        for z in (0, 4):
            for y in (0, 14):
                for x in (0, 14):
                    region = slice(z, z + 16), slice(y, y + 16), slice(x, x + 16)
                    labels = target_of(one, region, [A, B], LABELS)[None].long()
                    output = net(torch.as_tensor(standardise(one.volume.data[region][None]))[None]).detach()
                    losses.append(float(loss(output, labels)))
                    hot = torch.nn.functional.one_hot(labels[:, 0], 3).movedim(-1, 1)
                    highest = torch.nn.functional.one_hot(output.argmax(dim=1), 3).movedim(-1, 1)
                    dice(y_pred=highest, y=hot)
    expected = torch.nanmean(dice.aggregate(), dim=0).mean()
    found = validate(net, both, [A, B], LABELS, progress=no_progress)
    assert found["loss"] == pytest.approx(np.mean(losses), rel=1e-4)
    assert found["dice"] == pytest.approx(float(expected), rel=1e-4)
    one = as_soup(net, both[0], [A, B], LABELS, no_progress)
    assert one.loss == pytest.approx(np.mean(losses[:8]), rel=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"validation": "soup"}, "`validation` must be picking or yu4u for heatmap models"),
        ({"best_of_kept": "dice"}, "`best_of_kept` can be dice with `validation=soup` alone"),
    ],
)
def test_a_validation_that_the_net_cannot_have_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TrainingRecipe(**changes)
