"""Euler angles of other programs: their ranges, their edge cases, and a frame of reference that is ours."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tomosoup.core.errors import InputError
from tomosoup.core.types import Array
from tomosoup.data.formats.geometry.euler_angles import (
    dynamo_angles,
    flipped,
    from_dynamo,
    from_relion,
    mean_rotations,
    relion_angles,
)

BOTH = pytest.mark.parametrize(
    ("angles_of", "matrices_of"), [(relion_angles, from_relion), (dynamo_angles, from_dynamo)], ids=["relion", "dynamo"]
)
Map = Callable[[Array], Array]


def some(n: int = 200) -> Array:
    """Rotations that act on zyx vectors."""
    return Rotation.random(n, random_state=np.random.default_rng(7)).as_matrix()[:, ::-1, ::-1]


def test_flipping_axes_turns_the_same_vector_in_the_other_order() -> None:
    vector = np.array([1.0, 2.0, 3.0])
    for matrix, other in zip(some(5), flipped(some(5)), strict=True):
        np.testing.assert_allclose((other @ vector[::-1])[::-1], matrix @ vector)


@BOTH
def test_angles_are_within_the_programs_ranges_and_make_the_same_rotation(angles_of: Map, matrices_of: Map) -> None:
    angles = angles_of(some())
    assert (angles[:, 1] >= 0).all()
    assert (angles[:, 1] <= 180).all()
    assert (np.abs(angles) <= 180 + 1e-9).all()
    np.testing.assert_allclose(matrices_of(angles), some(), atol=1e-9)


@BOTH
@pytest.mark.parametrize("tilt", [0.0, 180.0])
def test_where_only_the_sum_of_two_angles_counts_the_rotation_is_right(
    angles_of: Map, matrices_of: Map, tilt: float
) -> None:
    matrices = matrices_of(np.array([[20.0, tilt, 30.0], [-170.0, tilt, 5.0]]))
    np.testing.assert_allclose(matrices_of(angles_of(matrices)), matrices, atol=1e-9)


@BOTH
def test_no_picks_have_no_angles(angles_of: Map, matrices_of: Map) -> None:
    assert angles_of(np.empty((0, 3, 3))).shape == (0, 3)
    assert matrices_of(np.empty((0, 3))).shape == (0, 3, 3)


@BOTH
def test_without_a_turn_all_angles_are_zero(angles_of: Map, matrices_of: Map) -> None:
    np.testing.assert_allclose(angles_of(np.eye(3)[None]), 0, atol=1e-12)
    np.testing.assert_allclose(matrices_of(np.zeros((1, 3))), np.eye(3)[None])


@pytest.mark.parametrize("angles_of", [relion_angles, dynamo_angles])
@pytest.mark.parametrize(
    "bad", [1.01 * np.eye(3), np.diag([1.0, 1.0, -1.0]), np.zeros((3, 3))], ids=["stretched", "mirrored", "nothing"]
)
def test_a_matrix_that_is_no_rotation_is_counted_from_one(angles_of: Map, bad: Array) -> None:
    with pytest.raises(InputError, match="orientation of pick 3 is not a rotation"):
        angles_of(np.stack([np.eye(3), np.eye(3), bad, bad]))


@BOTH
def test_a_matrix_that_was_rounded_is_still_a_rotation(angles_of: Map, matrices_of: Map) -> None:
    np.testing.assert_allclose(matrices_of(angles_of(np.round(some(), 4))), some(), atol=2e-4)


def test_relions_tilt_is_the_angle_between_the_particles_axis_and_z() -> None:
    for matrix, tilt in zip(some(20), relion_angles(some(20))[:, 1], strict=True):
        axis = matrix @ [1.0, 0.0, 0.0]  # z, in zyx
        assert np.degrees(np.arccos(axis[0])) == pytest.approx(tilt)


def test_dynamo_and_relion_tilt_by_the_same_angle() -> None:
    np.testing.assert_allclose(dynamo_angles(some())[:, 1], relion_angles(some())[:, 1])


def test_the_mean_of_a_rotation_and_its_neighbours_on_both_sides_is_itself() -> None:
    about = Rotation.from_rotvec([[0, 0, -0.3], [0, 0, 0], [0, 0, 0.3]]).as_matrix()
    matrices = about[:, None] @ some(4)
    np.testing.assert_allclose(mean_rotations(matrices), some(4), atol=1e-9)


def test_a_mean_is_never_a_mirror_image() -> None:
    opposite = Rotation.from_rotvec([[0, 0, 0], [np.pi, 0, 0], [0, np.pi, 0]]).as_matrix()[:, None]
    mean = mean_rotations(opposite)
    np.testing.assert_allclose(np.linalg.det(mean), 1)
    np.testing.assert_allclose(mean @ mean.swapaxes(1, 2), np.eye(3)[None], atol=1e-12)
