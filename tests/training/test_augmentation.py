import numpy as np
import pytest
import torch
from torch import Generator

from tomosoup.training.options import TrainingRecipe
from tomosoup.training.supervision.augmentation import (
    augment,
    changed_intensity,
    draw_mixup,
    move_in_plane,
)
from tomosoup.training.supervision.options import AugmentationOptions


def test_moving_by_nothing_changes_nothing() -> None:
    x = torch.randn(2, 3, 16, 24)
    torch.testing.assert_close(move_in_plane(x, rotation_degrees=0, scale=1, shift=(0, 0)), x, atol=1e-5, rtol=0)


def test_a_quarter_turn_is_a_quarter_turn() -> None:
    x = torch.randn(2, 3, 16, 16)
    turned = move_in_plane(x, rotation_degrees=90, scale=1, shift=(0, 0))
    quarters = [torch.rot90(x, k, dims=(2, 3)) for k in (1, -1)]
    assert min(float((turned - q).abs().max()) for q in quarters) < 1e-4


def test_shift_and_scale_go_where_they_say_also_in_oblong_planes() -> None:
    x = torch.zeros(1, 1, 20, 40)
    x[0, 0, 10, 20] = 1.0
    moved = move_in_plane(x, rotation_degrees=0, scale=1, shift=(0.2, -0.1))
    assert moved[0, 0].argmax() == (10 + 4) * 40 + 20 - 4
    pair = torch.zeros(1, 1, 21, 41)
    pair[0, 0, 10, [15, 25]] = 1.0
    columns = move_in_plane(pair, rotation_degrees=0, scale=1.6, shift=(0, 0))[0, 0, 10]
    assert int(columns[20:].argmax()) + 20 - int(columns[:20].argmax()) == 16


def test_a_rotation_keeps_lengths_in_oblong_planes() -> None:
    x = torch.zeros(1, 1, 31, 61)
    x[0, 0, 15, 40] = 1.0
    y, z = np.unravel_index(int(move_in_plane(x, rotation_degrees=90, scale=1, shift=(0, 0))[0, 0].argmax()), (31, 61))
    assert (abs(int(y) - 15), int(z)) == (10, 30)


def test_window_and_target_move_together() -> None:
    recipe = AugmentationOptions(flip_probability=0.5, affine_probability=1.0, intensity_probability=0.0)
    for seed in range(10):
        window = torch.rand(8, 32, 32)
        changed, target = augment(window, window[None] * 2, recipe, random=Generator().manual_seed(seed))
        torch.testing.assert_close(target[0], changed * 2)
        assert not torch.allclose(changed, window)


def test_intensity_leaves_the_target_alone() -> None:
    recipe = AugmentationOptions(flip_probability=0, affine_probability=0, intensity_probability=1)
    window, target = torch.randn(4, 8, 8), torch.rand(1, 4, 8, 8)
    changed, same = augment(window, target, recipe, random=Generator().manual_seed(0))
    torch.testing.assert_close(same, target)
    slope = (changed - changed.mean()).norm() / (window - window.mean()).norm()
    assert 0.7 <= float(slope) <= 1.3
    assert not torch.allclose(changed, window)


def test_the_target_of_the_recipe_yu4u_moves_by_the_nearest_voxel_and_ours_between_voxels() -> None:
    yu4u = TrainingRecipe.read("yu4u").augmentation
    target = torch.rand(2, 3, 32, 32)
    for recipe, known in ((yu4u, True), (AugmentationOptions(), False)):
        always = recipe.model_copy(update={"affine_probability": 1.0})
        moved = augment(torch.randn(3, 32, 32), target, always, random=Generator().manual_seed(1))[1]
        assert not torch.equal(moved, target)
        assert known is bool(torch.isin(moved, torch.cat([target.flatten(), torch.zeros(1)])).all())


YU4U = TrainingRecipe.read("yu4u").augmentation


def test_contrast_and_brightness_of_the_recipe_yu4u_are_clipped_to_0_and_1_and_ours_are_not() -> None:
    """The published program's library clips: of a standardised window two thirds of the voxels end at 0 or 1."""
    assert (YU4U.intensity_probability, YU4U.intensity, YU4U.intensity_clip) == (0.3, 0.3, True)
    window, target = torch.randn(16, 64, 64), torch.zeros(1, 16, 64, 64)
    only = {"flip_probability": 0.0, "affine_probability": 0.0, "intensity_probability": 1.0}
    cut = []
    for seed in range(10):
        clipped, plain = (
            augment(window, target, YU4U.model_copy(update={**only, "intensity_clip": clip}), random=random)[0]
            for clip, random in ((True, Generator().manual_seed(seed)), (False, Generator().manual_seed(seed)))
        )
        torch.testing.assert_close(clipped, plain.clamp(0, 1))
        cut.append(float(((clipped == 0) | (clipped == 1)).double().mean()))
    assert 0.6 < sum(cut) / len(cut) < 0.75
    assert not AugmentationOptions().intensity_clip


def test_contrast_and_brightness_of_the_recipe_yu4u_are_those_of_albumentations(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same draws of contrast and brightness give the same window."""
    monkeypatch.setenv("NO_ALBUMENTATIONS_UPDATE", "1")  # its import would ask for its newest version
    library = pytest.importorskip("albumentations")
    change = library.RandomBrightnessContrast(brightness_limit=YU4U.intensity, contrast_limit=YU4U.intensity, p=1.0)
    whole = library.ReplayCompose([change])
    whole.set_random_seed(0)
    window = np.random.default_rng(0).normal(size=(32, 32, 16)).astype(np.float32)
    for _ in range(5):
        done = whole(image=window)
        drawn = done["replay"]["transforms"][0]["params"]
        contrast, brightness = drawn["alpha"] - 1, drawn["beta"]
        ours = changed_intensity(torch.from_numpy(window), contrast=contrast, brightness=brightness, clip=True)
        np.testing.assert_allclose(ours, done["image"], atol=1e-6)


def test_the_same_generator_state_gives_the_same_change() -> None:
    window, target = torch.randn(4, 8, 8), torch.rand(1, 4, 8, 8)
    a, b = (augment(window, target, AugmentationOptions(), random=Generator().manual_seed(5)) for _ in range(2))
    torch.testing.assert_close(a, b)


def test_only_the_named_axes_are_mirrored() -> None:
    recipe = AugmentationOptions(flip_probability=1, flip_axes=("x",), affine_probability=0, intensity_probability=0)
    window = torch.randn(4, 8, 8)
    changed, _ = augment(window, window[None], recipe, random=Generator().manual_seed(0))
    torch.testing.assert_close(changed, window.flip(-1))


def test_mixup_comes_as_often_as_asked_and_its_shares_are_uniform() -> None:
    recipe = AugmentationOptions(mixup_probability=0.5)
    drawn = [draw_mixup(4, recipe, random=Generator().manual_seed(seed)) for seed in range(400)]
    mixes = [mix for mix in drawn if mix]
    assert 160 < len(mixes) < 240
    shares = np.sort([mix.weight for mix in mixes])  # Beta(1, 1) is uniform
    assert np.abs(shares - np.linspace(0, 1, len(shares))).max() < 0.12
    assert all(sorted(mix.order.tolist()) == [0, 1, 2, 3] for mix in mixes)
    assert draw_mixup(4, AugmentationOptions(), random=Generator().manual_seed(0)) is None


def test_contrast_scales_and_brightness_is_added() -> None:
    changed = changed_intensity(torch.tensor([1.0, -2.0]), contrast=0.5, brightness=0.25, clip=False)
    torch.testing.assert_close(changed, torch.tensor([1.75, -2.75]))
