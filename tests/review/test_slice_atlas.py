"""A tomogram made small for a page: means of voxels, where they were, in all of the greys."""

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image

from tomosoup.core.types import Volume
from tomosoup.review.report.slice_atlas import atlas, binned, binning, in_greys


def volume(shape: tuple[int, int, int]) -> Volume:
    return Volume(torch.rand(shape, generator=torch.Generator().manual_seed(0)), 10.0, (5.0, -5.0, 100.0))


@pytest.mark.parametrize("factor", [1, 2, 3, 5])
def test_each_voxel_is_the_mean_of_those_it_replaces(factor: int) -> None:
    source = volume((7, 11, 13))
    small = binned(source, factor)
    expected = torch.nn.functional.avg_pool3d(source.data[None, None], factor)[0, 0]
    torch.testing.assert_close(small.data, expected)


@pytest.mark.parametrize("factor", [2, 3])
def test_a_density_stays_at_its_position(factor: int) -> None:
    data = torch.zeros(12, 12, 12)
    data[6, 6:9, 3:5] = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])

    def centre(v: Volume) -> np.ndarray:
        grid = v.to_angstrom(np.moveaxis(np.indices(v.shape), 0, -1))
        return (grid * v.data.numpy()[..., None]).sum((0, 1, 2)) / v.data.sum().item()

    source = Volume(data, 10.0, (5.0, -5.0, 100.0))
    np.testing.assert_allclose(centre(binned(source, factor)), centre(source), atol=10 * (factor - 1) / 2)
    blocks = Volume(data.new_ones(12, 12, 12), 10.0, (5.0, -5.0, 100.0))
    np.testing.assert_allclose(centre(binned(blocks, factor)), centre(blocks))


def test_a_volume_thinner_than_the_factor_is_averaged_over_all_of_it() -> None:
    source = volume((2, 12, 12))
    small = binned(source, 4)
    assert small.shape == (1, 3, 3)
    torch.testing.assert_close(small.data[0, 0, 0], source.data[:, :4, :4].mean())
    assert small.origin[0] == pytest.approx(5.0 + 10.0 / 2)


@pytest.mark.parametrize("shape", [(10, 100, 120), (200, 30, 30), (1, 500, 500)])
def test_one_step_less_of_binning_would_not_fit(shape: tuple[int, int, int]) -> None:
    voxels = 20_000
    factor = binning(shape, voxels=voxels)
    left = [math.prod(max(1, n // f) for n in shape) for f in (factor, factor - 1 or 1)]
    assert left[0] <= voxels
    assert factor == 1 or left[1] > voxels


def test_a_volume_that_fits_is_not_binned_and_the_smallest_page_holds_a_voxel() -> None:
    assert binning((4, 5, 6), voxels=120) == 1
    assert binning((4, 5, 6), voxels=119) == 2
    assert binning((4, 5, 6), voxels=1) == 4


def test_greys_reach_from_black_to_white_whatever_the_scale() -> None:
    values = volume((8, 20, 20)).data
    one, other = (in_greys(Volume(values * a + b, 10.0, (0.0, 0.0, 0.0))) for a, b in ((1.0, 0.0), (1e4, -300.0)))
    assert (one.min(), one.max()) == (0, 255)
    assert np.abs(one.astype(int) - other).max() <= 1


def test_a_few_outliers_take_no_greys_from_the_rest() -> None:
    values = volume((10, 50, 50)).data
    outliers = values.clone()
    outliers[0, 0, :5] = 1e6
    plain, changed = (in_greys(Volume(v, 10.0, (0.0, 0.0, 0.0))) for v in (values, outliers))
    assert np.abs(plain[1:].astype(int) - changed[1:]).max() <= 2
    assert (changed[0, 0, :5] == 255).all()


@pytest.mark.parametrize("shape", [(7, 10, 40), (7, 40, 10), (1, 9, 9), (3, 5, 200)])
def test_all_slices_are_in_the_picture_and_it_is_nearly_square(shape: tuple[int, int, int]) -> None:
    made = atlas(volume(shape), voxels=10**6)
    width, height = Image.open(io.BytesIO(made.jpeg)).size
    rows = math.ceil(shape[0] / made.columns)
    assert (height, width) == (rows * shape[1], made.columns * shape[2])
    assert made.shape == shape
    assert (made.voxel_size, made.origin) == (10.0, (5.0, -5.0, 100.0))
