import numpy as np
import pytest
import torch

from tomosoup.core.errors import InputError
from tomosoup.core.types import Picks, Species, Volume


def test_angstrom_and_voxels_are_inverse_of_each_other() -> None:
    volume = Volume(torch.zeros(4, 5, 6), 10.012, (-5.006, 3.0, 0.0))
    zyx = np.random.default_rng(0).uniform(-100, 100, (20, 3))
    np.testing.assert_allclose(volume.to_angstrom(volume.to_voxel(zyx)), zyx, atol=1e-9)
    np.testing.assert_allclose(volume.to_angstrom([0, 0, 0]), volume.origin)


def test_a_threshold_keeps_the_orientations_of_what_it_keeps() -> None:
    picks = Picks(np.arange(9.0).reshape(3, 3), np.array([0.1, 0.9, 0.5]), np.arange(27.0).reshape(3, 3, 3))
    kept = picks.above(0.5)
    np.testing.assert_array_equal(kept.score, [0.9, 0.5])
    assert kept.rotations is not None
    np.testing.assert_array_equal(kept.rotations, np.arange(9.0, 27.0).reshape(2, 3, 3))


def test_picks_of_the_wrong_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(n, 3\) with one score each"):
        Picks(np.zeros((2, 3)), np.zeros(3))
    with pytest.raises(ValueError, match="rotations must be"):
        Picks(np.zeros((2, 3)), np.zeros(2), np.zeros((2, 4, 4)))


def test_a_species_without_a_size_is_refused() -> None:
    with pytest.raises(InputError, match="radius of 'dot'"):
        Species("dot", 0.0)


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.float64, ">f4", bool])
def test_an_array_of_any_real_numbers_becomes_a_volume(dtype: object) -> None:
    array = (np.arange(2 * 3 * 4).reshape(2, 3, 4) % 2).astype(dtype)
    volume = Volume(array, 10.0)
    assert volume.data.dtype == torch.float32
    np.testing.assert_array_equal(volume.data.numpy(), array.astype(float))
    array[0, 0, 0] = 1
    assert volume.data[0, 0, 0] == 0  # a copy


@pytest.mark.parametrize("array", [np.zeros((4, 4)), np.zeros((2, 2, 2), complex), np.full((2, 2, 2), "a"), 3.0])
def test_what_is_no_volume_of_real_numbers_is_refused_in_a_sentence(array: object) -> None:
    with pytest.raises(InputError, match=r"Expected a volume \(z, y, x\) of real numbers, got an array of shape"):
        Volume(array, 10.0)


@pytest.mark.parametrize("size", [0.0, -1.0, float("nan"), float("inf")])
def test_a_voxel_size_that_none_can_have_is_refused(size: float) -> None:
    with pytest.raises(InputError, match="Expected the voxel size in Å"):
        Volume(torch.zeros(2, 2, 2), size)


def test_without_another_origin_a_volume_is_in_the_frame_of_copick() -> None:
    """The centre of voxel 0 is half a voxel from the corner, where positions count from."""
    np.testing.assert_allclose(Volume(torch.zeros(2, 3, 4), 13.48).to_angstrom([1, 2, 0]), [20.22, 33.7, 6.74])
    assert Volume(torch.zeros(2, 3, 4), 13.48, (0.0, 0.0, 0.0)).origin == (0.0, 0.0, 0.0)
