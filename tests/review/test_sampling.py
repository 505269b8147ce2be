"""What a check reads of a tomogram: grey values from face to face, picks inside it."""

import numpy as np
import pytest
from scipy import stats

from tomosoup.data.tomogram import Tomogram
from tomosoup.review.check.sampling import BLOCK, GreyValues, grey_values, within

RANDOM = np.random.default_rng(0)


def tomogram(values: np.ndarray) -> Tomogram:
    return Tomogram("r", "denoised", 10.0, (0.0, 0.0, 0.0), values.astype(np.float32))


def test_statistics_of_a_small_tomogram_are_those_of_all_its_voxels() -> None:
    values = RANDOM.gamma(2.0, 3.0, (20, 40, 50))
    grey = grey_values(tomogram(values))
    assert grey.mean == pytest.approx(values.mean(), rel=1e-5)
    assert grey.standard_deviation == pytest.approx(values.std(), rel=1e-5)
    assert grey.skewness == pytest.approx(stats.skew(values.flatten()), rel=1e-4)
    assert (grey.lowest, grey.highest) == pytest.approx((values.min(), values.max()))
    assert grey.bad == 0
    assert grey.usable


@pytest.mark.parametrize("corner", [0, -1])
def test_a_large_tomogram_is_sampled_up_to_its_faces(corner: int) -> None:
    values = np.zeros([3 * n + 7 for n in BLOCK], dtype=np.float32)
    values[corner, corner, corner] = 5
    assert grey_values(tomogram(values)).highest == 5


def test_a_large_tomogram_is_not_read_whole() -> None:
    shape = tuple(4 * n for n in BLOCK)

    class Counted:
        read = 0

        def __init__(self) -> None:
            self.shape = shape

        def __getitem__(self, region: tuple[slice, ...]) -> np.ndarray:
            part = np.ones([len(range(*r.indices(n))) for r, n in zip(region, shape, strict=True)])
            Counted.read += part.size
            return part

    grey_values(Tomogram("r", "denoised", 10.0, (0.0, 0.0, 0.0), Counted()))
    assert Counted.read == 27 * np.prod(BLOCK)


def test_values_that_are_no_numbers_are_counted_and_left_out() -> None:
    values = RANDOM.normal(size=(10, 10, 10)).astype(np.float32)
    good = values.flatten()[30:]
    values.reshape(-1)[:10], values.reshape(-1)[10:20], values.reshape(-1)[20:30] = np.nan, np.inf, -np.inf
    grey = grey_values(tomogram(values))
    assert grey.bad == pytest.approx(0.03)
    assert grey.mean == pytest.approx(good.mean(), abs=1e-6)
    assert not grey.usable


def test_a_tomogram_without_a_number_has_no_statistics_and_is_not_usable() -> None:
    grey = grey_values(tomogram(np.full((4, 4, 4), np.nan)))
    assert grey.bad == 1
    assert not grey.usable


def test_a_tomogram_of_one_grey_is_not_usable_and_all_at_its_end() -> None:
    grey = grey_values(tomogram(np.full((4, 4, 4), 7.0)))
    assert grey == GreyValues(7.0, 0.0, 0.0, 0.0, 7.0, 7.0, 1.0)
    assert not grey.usable


@pytest.mark.parametrize("sign", [1, -1])
def test_values_that_are_cut_off_at_either_end_are_seen(sign: int) -> None:
    values = sign * np.minimum(RANDOM.normal(size=(20, 20, 20)), 0.5)
    assert grey_values(tomogram(values)).at_ends == pytest.approx((np.abs(values - sign * 0.5) < 1e-9).mean(), abs=1e-6)


def test_a_voxel_reaches_half_a_voxel_to_every_side() -> None:
    zyx_vox = np.array([[-0.5, 0, 0], [-0.51, 0, 0], [3.5, 4.5, 5.5], [3.5, 4.5, 5.51], [3.5, 4.51, 5.5]])
    np.testing.assert_array_equal(within(zyx_vox, (4, 5, 6)), [True, False, True, False, False])
