from pathlib import Path

import numpy as np
import pytest
import torch

from tomosoup.core.types import Picks, Species, Volume
from tomosoup.training.options import TrainingRecipe
from tomosoup.training.supervision.crops import crop
from tomosoup.training.supervision.targets import gaussian_targets, label_targets

ONE = [Species("a", 60.0)]


def heatmap(zyx_vox: np.ndarray, shape: tuple[int, int, int], sigma: float) -> np.ndarray:
    """The target of picks given in voxels, on a grid of 1 Å voxels."""
    like = Volume(torch.empty(shape), 1.0, (0.0, 0.0, 0.0))
    return gaussian_targets({"a": Picks.of(zyx_vox)}, ONE, like, sigma=sigma).data[0].numpy()


def test_the_target_is_the_winners_target(reference: Path) -> None:
    parts = np.load(reference / "parts_seed0.npz")
    voxel_size = [10.012444196428572, 10.012444196428572, 10.012444537618887]
    expected = parts["heatmap_uint8"]
    rounded = np.floor(parts["points_xyz_angstrom"][:, ::-1] / voxel_size + 1.0)
    ours = heatmap(rounded, expected.shape, 6.0) * 255
    # Theirs is truncated to whole numbers, so ours lies above it by less than one.
    assert (ours - expected).min() >= 0
    assert (ours - expected).max() < 1


def test_the_target_of_exact_places_differs_from_the_winners_by_their_rounding_only(reference: Path) -> None:
    parts = np.load(reference / "parts_seed0.npz")
    voxel_size = [10.012444196428572, 10.012444196428572, 10.012444537618887]
    exact = parts["points_xyz_angstrom"][:, ::-1] / voxel_size + 0.5
    difference = heatmap(exact, parts["heatmap_uint8"].shape, 6.0) - parts["heatmap_uint8"] / 255
    # Half a voxel along each axis, on the steepest flank (0.607 / sigma a voxel), is the most that rounding can do.
    assert np.abs(difference).max() < 0.5 * np.sqrt(3) * 0.607 / 6 + 1 / 255


def test_a_pick_has_height_one_and_width_sigma_at_its_sub_voxel_place() -> None:
    values = heatmap(np.array([[10.25, 8.0, 9.5]]), (20, 20, 20), 2.5)
    distance2 = sum((g - c) ** 2 for g, c in zip(np.indices(values.shape), (10.25, 8.0, 9.5), strict=True))
    inside = distance2 < (3 * 2.5) ** 2
    np.testing.assert_allclose(values[inside], np.exp(-0.5 * distance2 / 2.5**2)[inside], atol=1e-6)


def test_overlapping_picks_take_the_larger_value() -> None:
    a, b = np.array([[8.0, 8, 8]]), np.array([[10.0, 8, 8]])
    both = heatmap(np.vstack([a, b]), (16, 16, 16), 2.0)
    np.testing.assert_array_equal(both, np.maximum(heatmap(a, (16, 16, 16), 2.0), heatmap(b, (16, 16, 16), 2.0)))


def test_the_target_of_a_crop_is_the_crop_of_the_target() -> None:
    random = np.random.default_rng(1)
    volume = Volume(torch.randn(20, 30, 40), 9.0, (-4.5, 4.5, 100.0))
    picks = {"a": Picks.of(volume.to_angstrom(random.uniform(-5, 45, (30, 3))))}
    region = (slice(-3, 13), slice(10, 26), slice(30, 46))
    part = gaussian_targets(picks, ONE, crop(volume, region), sigma=20.0)
    whole = gaussian_targets(picks, ONE, volume, sigma=20.0).data
    torch.testing.assert_close(part.data[:, 3:, :, :10], whole[:, 0:13, 10:26, 30:40], atol=1e-6, rtol=0)


def test_channels_follow_the_species_and_strangers_are_left_out() -> None:
    species = [Species("b", 50.0), Species("a", 60.0)]
    picks = {"a": Picks.of([[4.0, 4, 4]]), "c": Picks.of([[4.0, 4, 4]])}
    target = gaussian_targets(picks, species, Volume(torch.empty(8, 8, 8), 1.0, (0.0, 0.0, 0.0)), sigma=1.0).data
    assert target.shape == (2, 8, 8, 8)
    assert float(target[0].sum()) == 0
    assert float(target[1].max()) == 1


def test_a_width_a_species_is_in_proportion_to_its_radius() -> None:
    species = (Species("small", 60.0), Species("large", 150.0))
    recipe = TrainingRecipe(sigma_by_radius=0.5)
    like = Volume(torch.zeros(41, 41, 41), 10.0, (0.0, 0.0, 0.0))
    picks = {s.name: Picks.of([[200.0, 200.0, 200.0]]) for s in species}
    small, large = gaussian_targets(picks, species, like, sigma=recipe.sigmas(species)).data
    for channel, sigma in ((small, 30.0), (large, 75.0)):
        assert float(channel[20, 20, 25]) == pytest.approx(np.exp(-0.5 * (50 / sigma) ** 2), rel=1e-5)
    assert TrainingRecipe(sigma=40.0).sigmas(species) == [40.0, 40.0]


def test_labels_are_balls_of_the_species_radius() -> None:
    like = Volume(torch.empty(60, 60, 60), 5.0, (2.5, 2.5, 2.5))
    species = [Species("a", 60.0), Species("b", 40.0)]
    picks = {"a": Picks.of([[100.0, 100.0, 100.0]]), "b": Picks.of([[220.0, 220.0, 220.0], [-30.0, 100.0, 100.0]])}
    labels = label_targets(picks, species, like).data[0].numpy()
    grid = like.to_angstrom(np.stack(np.indices(labels.shape), axis=-1))
    for label, kind in enumerate(species, start=1):
        inside = np.zeros(labels.shape, dtype=bool)
        for centre in picks[kind.name].zyx:
            inside |= np.linalg.norm(grid - centre, axis=-1) <= kind.radius
        np.testing.assert_array_equal(labels == label, inside)
    half = label_targets(picks, species, like, ball=0.5).data
    assert float((half == 1).sum()) == pytest.approx(4 / 3 * np.pi * 6**3, rel=0.05)


def test_where_balls_overlap_the_deeper_one_stands_whatever_the_order() -> None:
    like = Volume(torch.empty(40, 40, 60), 10.0, (0.0, 0.0, 0.0))
    a, b = Species("a", 150.0), Species("b", 60.0)
    picks = {"a": Picks.of([[200.0, 200.0, 200.0]]), "b": Picks.of([[200.0, 200.0, 320.0]])}
    one, other = (label_targets(picks, order, like).data[0] for order in ([a, b], [b, a]))
    assert one[20, 20, 32] == 2  # the small particle's middle is inside the large one
    assert one[20, 20, 22] == 1
    torch.testing.assert_close(one == 1, other == 2)
    # Between the middles the border is where both are equally deep: 120 Å apart, radii 150 and 60.
    assert [int(v) for v in one[20, 20, 27:30]] == [1, 1, 2]
