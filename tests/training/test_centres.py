"""A point detector like CenterNet: its head, its loss, and how its picks are read."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tomosoup.core.types import Picks, Species, Volume
from tomosoup.inference.options.picking import PeakOptions
from tomosoup.inference.readout.centres import centres_to_heatmap
from tomosoup.inference.readout.peaks import find_peaks
from tomosoup.models.nets.blocks.centres import centre_maps
from tomosoup.training.supervision.losses import centre_loss
from tomosoup.training.supervision.targets import gaussian_targets

CELL = (2, 4, 4)
A, B = Species("a", 60.0), Species("b", 90.0)
GRID = Volume(torch.empty(16, 32, 40), 10.0, (0.0, 0.0, 0.0))


def centres(zyx_vox: list[list[float]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores and offsets of cells that say what is true: a score of 1 in the cell of each centre of species a."""
    scores, offsets = torch.zeros(1, 2, 8, 8, 10), torch.zeros(1, 3, 8, 8, 10)
    for place in zyx_vox:
        at = [int((p + 0.5) // n) for p, n in zip(place, CELL, strict=True)]
        middle = [(i + 0.5) * n - 0.5 for i, n in zip(at, CELL, strict=True)]
        scores[0, 0, *at] = 1.0
        offsets[0, :, *at] = torch.tensor([(p - m) / n for p, m, n in zip(place, middle, CELL, strict=True)])
    return scores, offsets


PLACES = [[5.0, 9.0, 12.0], [8.0, 20.0, 31.0], [11.0, 13.0, 6.0]]
"""Voxels."""


def test_every_voxel_of_a_cell_has_its_score_and_points_to_its_centre() -> None:
    maps = centre_maps(*centres(PLACES), CELL)
    assert maps.shape == (1, 5, 16, 32, 40)
    for z, y, x in PLACES:
        first = [int((p + 0.5) // n) * n for p, n in zip((z, y, x), CELL, strict=True)]
        cell = [slice(i, i + n) for i, n in zip(first, CELL, strict=True)]
        assert (maps[0, 0, *cell] == 1).all()
        grid = torch.stack(torch.meshgrid(*(torch.arange(s.start, s.stop) for s in cell), indexing="ij"))
        led_to = grid + maps[0, 2:, *cell]
        torch.testing.assert_close(led_to, torch.tensor([z, y, x]).reshape(3, 1, 1, 1).expand_as(led_to))


def test_picks_are_the_highest_cells_of_their_neighbourhood_moved_by_their_offsets() -> None:
    torch.manual_seed(1)
    scores, offsets = torch.rand(1, 2, 6, 7, 8), torch.rand(1, 3, 6, 7, 8) * 0.8 - 0.4
    cell = (4, 4, 4)
    maps = Volume(centre_maps(scores, offsets, cell)[0], 10.0, (0.0, 0.0, 0.0))
    heatmap = centres_to_heatmap(maps, cell=cell)
    assert heatmap.shape == (24, 28, 32)
    found = find_peaks(heatmap, [A, B], peaks=PeakOptions(separation=10.0, apart=0.0, floor=0.3, refine=False))
    highest = scores == F.max_pool3d(scores, 3, stride=1, padding=1)
    for channel, species in enumerate((A, B)):
        z, y, x = highest[0, channel].nonzero().T
        expected = torch.stack([z, y, x], 1) * 4 + 1.5 + offsets[0, :, z, y, x].T * 4
        score = scores[0, channel, z, y, x].numpy()
        picks = found[species.name]
        assert len(picks) == len(expected)
        away = np.abs(picks.zyx[:, None] / 10 - expected.numpy()[None]).max(2)
        assert away.min(0).max() < 0.51  # read at voxels
        # The nearest voxel is at most half a diagonal from the place: a loss of a tenth.
        assert (picks.score > 0.9 * score[away.argmin(1)] - 1e-6).all()
        assert (picks.score <= score[away.argmin(1)]).all()


def by_formula(scores: torch.Tensor, offsets: torch.Tensor, target: torch.Tensor) -> float:
    """The loss, cell by cell, in plain arithmetic."""
    total, count = 0.0, len(PLACES)
    truth = {(0, *(int((p + 0.5) // n) for p, n in zip(place, CELL, strict=True))): place for place in PLACES}
    for c, z, y, x in np.ndindex(*scores.shape[1:]):
        p = min(max(float(scores[0, c, z, y, x]), 1e-4), 1 - 1e-4)
        if (c, z, y, x) in truth:
            total -= (1 - p) ** 2 * np.log(p) / count
            for axis, (place, i, n) in enumerate(zip(truth[c, z, y, x], (z, y, x), CELL, strict=True)):
                wanted = (place - ((i + 0.5) * n - 0.5)) / n
                total += abs(float(offsets[0, axis, z, y, x]) - wanted) / count
        else:
            g = float(target[c, 2 * z : 2 * z + 2, 4 * y : 4 * y + 4, 4 * x : 4 * x + 4].max())
            total -= (1 - g) ** 4 * p**2 * np.log(1 - p) / count
    return total


def test_the_loss_is_centernets_focal_loss_and_the_l1_distance_of_offsets() -> None:
    target = gaussian_targets({"a": Picks.of(np.array(PLACES) * 10)}, [A, B], GRID, sigma=20.0).data
    scores, offsets = torch.rand(1, 2, 8, 8, 10), torch.randn(1, 3, 8, 8, 10)
    found = centre_loss(centre_maps(scores, offsets, CELL), target[None], cell=CELL)
    assert float(found) == pytest.approx(by_formula(scores, offsets, target), rel=1e-4)
    right = centre_loss(centre_maps(*centres(PLACES), CELL), target[None], cell=CELL)
    assert float(right) < 1e-3


def test_a_crop_without_a_centre_has_a_loss_and_gradients() -> None:
    scores, offsets = torch.rand(1, 2, 8, 8, 10, requires_grad=True), torch.randn(1, 3, 8, 8, 10)
    flank = gaussian_targets({"a": Picks.of([[50.0, 90.0, -20.0]])}, [A, B], GRID, sigma=20.0).data
    loss = centre_loss(centre_maps(scores, offsets, CELL), flank[None], cell=CELL)
    loss.backward()
    assert torch.isfinite(loss)
    assert scores.grad is not None
    assert (scores.grad >= 0).all()  # nothing is to be found: every score should fall


def test_a_crop_that_is_no_whole_number_of_cells_has_a_loss() -> None:
    target = gaussian_targets({"a": Picks.of([[50.0, 90.0, 120.0]])}, [A], GRID, sigma=20.0).data[:, :15, :31, :39]
    maps = centre_maps(torch.rand(1, 1, 8, 8, 10), torch.zeros(1, 3, 8, 8, 10), CELL)[:, :, :15, :31, :39]
    assert torch.isfinite(centre_loss(maps, target[None], cell=CELL))
