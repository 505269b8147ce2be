from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tomosoup.core.types import Picks, Species, Volume
from tomosoup.inference.options.picking import PeakOptions
from tomosoup.inference.readout.peaks import best_within, find_peaks, local_maxima
from tomosoup.scoring.matching import match
from tomosoup.training.supervision.targets import gaussian_targets

SPECIES = [Species("small", 60.0), Species("large", 150.0)]


def test_the_peaks_are_the_winners_peaks(reference: Path) -> None:
    parts = np.load(reference / "parts_seed0.npz")
    for i, channel in enumerate(parts["map"]):
        at = np.concatenate([local_maxima(channel, z, half_vox=3, floor=0.5) for z in range(len(channel))])
        expected = {tuple(zyx) for zyx in parts[f"peaks{i}"].tolist()}
        assert {tuple(zyx) for zyx in at.tolist()} == expected
        np.testing.assert_allclose(np.sort(channel[tuple(at.T)]), np.sort(parts[f"peaks{i}_score"]), rtol=1e-6)


@pytest.mark.parametrize("half_vox", [1, 2, 3])
def test_local_maxima_are_those_of_max_pooling(half_vox: int) -> None:
    channel = torch.randn(13, 22, 17)
    channel[4:6, 5:8, 3] = 3.0  # a plateau: every voxel of it is its cube's maximum
    pooled = F.max_pool3d(channel[None], 2 * half_vox + 1, stride=1, padding=half_vox)[0]
    expected = ((channel == pooled) & (channel >= 0.2)).nonzero()
    found = [local_maxima(channel.numpy(), z, half_vox=half_vox, floor=0.2) for z in range(len(channel))]
    np.testing.assert_array_equal(np.concatenate(found), expected)


def test_targets_read_back_as_the_picks_that_made_them() -> None:
    random = np.random.default_rng(3)
    grid = np.stack(np.meshgrid(*[np.arange(100.0, 500, 130)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    truth = {s.name: Picks.of(grid + random.uniform(-20, 20, grid.shape)) for s in SPECIES}
    like = Volume(torch.empty(60, 60, 60), 10.0, (-5.0, 5.0, 0.0))
    target = gaussian_targets(truth, SPECIES, like, sigma=30.0)
    found = find_peaks(target, SPECIES, peaks=PeakOptions(floor=0.5))
    coarse = find_peaks(target, SPECIES, peaks=PeakOptions(floor=0.5, refine=False))
    for s in SPECIES:
        assert match(found[s.name], truth[s.name], distance=1.0).f_beta() == 1.0  # a tenth of a voxel
        assert match(coarse[s.name], truth[s.name], distance=8.7).f_beta() == 1.0
        assert match(coarse[s.name], truth[s.name], distance=1.0).f_beta() < 0.1


def test_picks_come_best_first_and_above_the_floor() -> None:
    heatmap = Volume(torch.rand(1, 12, 12, 12), 10.0)
    picks = find_peaks(heatmap, SPECIES[:1], peaks=PeakOptions(floor=0.9))["small"]
    assert (np.diff(picks.score) <= 0).all()
    assert picks.score.min() >= 0.9


def test_a_peak_may_be_as_high_as_the_floor_and_no_lower() -> None:
    data = torch.zeros(1, 12, 12, 30)
    data[0, 6, 6, 6], data[0, 6, 6, 20] = 0.5, 0.4999
    picks = find_peaks(Volume(data, 10.0), SPECIES[:1], peaks=PeakOptions(floor=0.5))["small"]
    assert picks.score.tolist() == [0.5]


def test_the_separation_is_rounded_to_whole_voxels() -> None:
    """30 Å are three voxels of 10.012 Å, as in the contest's tomograms, not two."""
    data = torch.zeros(1, 12, 12, 12)
    data[0, 6, 6, 4], data[0, 6, 6, 7] = 0.9, 0.8
    picks = find_peaks(Volume(data, 10.012), SPECIES[:1], peaks=PeakOptions(separation=30.0, apart=0.0))["small"]
    assert picks.score.round(3).tolist() == [0.9]


def test_a_particle_is_picked_once() -> None:
    data = torch.zeros(2, 40, 12, 12)
    for z, height in ((4, 0.6), (11, 0.9), (25, 0.8), (32, 0.7)):  # 70 and 140 Å apart
        data[:, z, 6, 6] = height
    heatmap = Volume(data, 10.0)
    found = {
        name: picks.score.round(3).tolist() for name, picks in find_peaks(heatmap, SPECIES, peaks=PeakOptions()).items()
    }
    assert found == {"small": [0.9, 0.8, 0.7, 0.6], "large": [0.9, 0.8]}
    every = find_peaks(heatmap, SPECIES, peaks=PeakOptions(apart=0.0))
    assert len(every["large"]) == 4


def test_a_removed_peak_removes_no_other() -> None:
    zyx = np.array([[0.0, 0, 0], [0, 0, 8], [0, 0, 16]])
    assert best_within(zyx, distance=10.0).tolist() == [True, False, True]


def test_a_peak_on_the_border_stays_inside() -> None:
    data = torch.zeros(1, 6, 6, 6)
    data[0, 0, 5, 3] = 1.0
    picks = find_peaks(Volume(data, 1.0, (0.0, 0.0, 0.0)), SPECIES[:1], peaks=PeakOptions(separation=1.0))["small"]
    np.testing.assert_allclose(picks.zyx, [[0, 5, 3]])


def test_an_empty_heatmap_has_no_picks() -> None:
    assert len(find_peaks(Volume(torch.zeros(1, 6, 6, 6), 1.0), SPECIES[:1])["small"]) == 0
