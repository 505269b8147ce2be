"""Training crops: where they are, that nothing is left out, and the same ones for the same numbers."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tomosoup.core.errors import InputError
from tomosoup.core.types import Species, Volume
from tomosoup.data.options import Normalisation
from tomosoup.training.options import TrainingRecipe
from tomosoup.training.supervision.crops import (
    Crops,
    Example,
    crop,
    data_set_normalisation,
    generator,
    half_overlapping,
    in_unit_ball,
    normalised,
    shifted,
)
from tomosoup.training.supervision.options import AugmentationOptions

sizes = st.tuples(*[st.integers(1, 40)] * 3)
windows = st.tuples(*[st.integers(1, 16)] * 3)


def example(run: str, data: torch.Tensor) -> Example:
    return Example(run, Volume(data, 10.0, (5.0, 15.0, -5.0)), {})


@given(shape=sizes, window=windows, overlap=st.booleans())
@settings(max_examples=40, deadline=None)
def test_the_grid_covers_every_voxel_and_no_crop_comes_twice(
    shape: tuple[int, ...], window: tuple[int, ...], overlap: bool
) -> None:
    covered = np.zeros(shape, bool)
    regions = half_overlapping(shape, window, overlap=overlap)
    for region in regions:
        assert [r.stop - r.start for r in region] == list(window)
        assert all(r.start >= 0 and (r.stop <= n or n < w) for r, n, w in zip(region, shape, window, strict=True))
        covered[region] = True
    assert covered.all()
    assert len({tuple((r.start, r.stop) for r in region) for region in regions}) == len(regions)


def test_steps_are_half_a_window_or_a_whole_one() -> None:
    starts = [region[2].start for region in half_overlapping((8, 8, 32), (8, 8, 8))]
    assert starts == [0, 4, 8, 12, 16, 20, 24]
    assert [region[2].start for region in half_overlapping((8, 8, 30), (8, 8, 8), overlap=False)] == [0, 8, 16, 22]


def test_the_grid_of_the_recipe_yu4u_is_on_the_volume_padded_to_640_and_ours_ends_inside() -> None:
    shape, starts = (184, 630, 630), [*range(0, 513, 64)]
    yu4u = TrainingRecipe.read("yu4u")
    regions = half_overlapping(shape, yu4u.crop, border=yu4u.crop_border)
    assert len(regions) == 22 * 9 * 9
    assert [sorted({r[axis].start for r in regions}) for axis in range(3)] == [[*range(0, 169, 8)], starts, starts]
    inside = half_overlapping(shape, yu4u.crop, border=TrainingRecipe().crop_border)
    assert sorted({r[2].start for r in inside}) == [*starts[:-1], 502]


def test_crops_past_the_end_are_shifted_within_the_padding_and_hold_zeros_there() -> None:
    """Windows of 8 at steps of 4 over 30 columns: the padded end is 32."""
    one = example("a", torch.ones(8, 8, 30))
    still = AugmentationOptions(flip_probability=0, affine_probability=0, intensity_probability=0)
    plan = {"crop_shape": (8, 8, 8), "crop_border": "zeros", "augmentation": still, "crops_per_epoch": 700}
    crops = Crops([one], [Species("s", 30.0)], TrainingRecipe.of(plan, source="a test"))
    filled = {int(crops[i][0].sum()) // 64 for i in range(6, 700, 7)}  # the last of the seven crops
    assert filled == {6, 7, 8}


@given(start=st.integers(0, 20), size=st.integers(1, 20), room=st.integers(0, 20), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_a_shift_keeps_the_size_stays_inside_and_is_a_quarter_at_most(
    start: int, size: int, room: int, seed: int
) -> None:
    region, n = slice(start, start + size), start + size + room
    for moved in shifted((region, region, region), (n, n, n), random=generator(seed)):
        assert moved.stop - moved.start == size
        assert moved.start >= 0
        assert moved.stop <= n
        assert abs(moved.start - start) <= size // 4


def test_all_shifts_from_a_quarter_back_to_less_than_one_forwards_happen_and_axes_are_shifted_apart() -> None:
    random = generator(0)
    region = slice(20, 28)
    moved = [shifted((region, region, region), (60, 60, 60), random=random) for _ in range(200)]
    for axis in range(3):
        assert {m[axis].start - 20 for m in moved} == {-2, -1, 0, 1}
    assert any(m[0] != m[1] for m in moved)
    assert any(m[1] != m[2] for m in moved)


def test_a_crop_keeps_its_voxels_and_their_positions() -> None:
    volume = Volume(torch.arange(6 * 7 * 8.0).reshape(6, 7, 8), 10.0, (5.0, 15.0, -5.0))
    part = crop(volume, (slice(1, 4), slice(2, 5), slice(3, 8)))
    torch.testing.assert_close(part.data, volume.data[1:4, 2:5, 3:8])
    np.testing.assert_allclose(part.to_angstrom([0, 0, 0]), volume.to_angstrom([1, 2, 3]))
    empty = crop(volume, (slice(1, 4), slice(2, 5), slice(3, 8)), empty=True)
    assert (empty.shape, empty.origin) == (part.shape, part.origin)


def test_what_lies_outside_the_volume_is_zero_in_a_crop() -> None:
    part = crop(Volume(torch.ones(3, 3, 3), 10.0, (0.0, 0.0, 0.0)), (slice(0, 5), slice(0, 3), slice(0, 4)))
    assert float(part.data[:3, :, :3].sum()) == 27
    assert float(part.data.sum()) == 27


def test_points_fill_the_ball_evenly() -> None:
    random = generator(1)
    points = torch.stack([in_unit_ball(random) for _ in range(4000)])
    radii = points.norm(dim=1)
    assert float(radii.max()) <= 1
    for inner in (0.3, 0.5, 0.8):  # a ball of half the radius holds an eighth
        assert float((radii < inner).double().mean()) == pytest.approx(inner**3, abs=4 * (inner**3 / 4000) ** 0.5)
    np.testing.assert_allclose(points.mean(0), 0, atol=0.04)
    np.testing.assert_allclose(points.T @ points / 4000, np.eye(3) / 5, atol=0.02)


def test_each_sequence_of_numbers_has_random_numbers_of_its_own() -> None:
    def drawn(*numbers: int) -> tuple[float, ...]:
        return tuple(torch.rand(3, generator=generator(*numbers)).tolist())

    sequences = [n for length in (1, 2, 3) for n in itertools.product(range(4), repeat=length)]
    assert len({drawn(*n) for n in sequences}) == len(sequences)
    assert drawn(1, 2, 3) == drawn(1, 2, 3)


def test_one_normalisation_is_of_all_voxels_of_all_examples() -> None:
    parts = [torch.randn(3, 4, 5) * 2 + 7, torch.randn(6, 7, 8) - 3]
    found = data_set_normalisation([example(str(i), part) for i, part in enumerate(parts)])
    values = torch.cat([part.flatten() for part in parts]).double()
    assert found.mean == pytest.approx(float(values.mean()))
    spread = float(values.std(unbiased=False))
    given_ = found.model_dump()
    assert given_.pop("mean") == found.mean
    assert next(iter(given_.values())) == pytest.approx(spread)


def test_a_constant_data_set_has_no_deviation_to_divide_by() -> None:
    found = data_set_normalisation([example("a", torch.full((3, 4, 5), 7.0))])
    assert set(found.model_dump().values()) == {7.0, None}


def test_each_volume_is_normalised_by_itself_where_nothing_is_given() -> None:
    some = [example("a", torch.randn(4, 5, 6) * 3 + 2), example("b", torch.randn(4, 5, 6) * 9 - 7)]
    for before, after in zip(list(some), normalised(some, Normalisation()), strict=True):
        assert float(after.volume.data.mean()) == pytest.approx(0, abs=1e-5)
        assert float(after.volume.data.std()) == pytest.approx(1, abs=1e-4)
        assert (after.run, after.volume.origin) == (before.run, before.volume.origin)


def test_a_volume_that_cannot_be_normalised_is_named() -> None:
    with pytest.raises(InputError, match=r"^Run b: "):
        normalised([example("a", torch.randn(3, 4, 5)), example("b", torch.ones(3, 4, 5))], Normalisation())
