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
