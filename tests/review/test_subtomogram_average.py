"""Boxes at picks: exactly centred, in the tomogram's own units, and honest about what is outside."""

import numpy as np
import pytest
import torch

from tomosoup.core.types import Volume
from tomosoup.review.check.subtomogram_average import Boxes, contrast, cut_boxes, from_centre, joined, measured_radius

SHAPE = (40, 44, 48)
GRADIENT = np.array([3.0, -2.0, 0.5])
RAMP = np.tensordot(GRADIENT, np.indices(SHAPE), 1).astype(np.float32)


def boxes_of(values: np.ndarray, zyx_vox: list[list[float]], *, radius: float = 60.0, **options: object) -> Boxes:
    scale = options.pop("scale", (0.0, 1.0))

    def read(region: tuple[slice, slice, slice]) -> Volume:
        return Volume(torch.from_numpy(values[region]), 10.0, (0.0, 0.0, 0.0))

    return cut_boxes(read, values.shape, np.array(zyx_vox, dtype=float), radius=radius, voxel_size=10.0, scale=scale)  # type: ignore[arg-type]


@pytest.mark.parametrize("at", [[20.0, 22.0, 24.0], [20.25, 21.5, 23.75], [19.5, 21.999, 24.001]])
def test_the_pick_is_exactly_the_centre_sample(at: list[float]) -> None:
    boxes = boxes_of(RAMP, [at])
    m = boxes.data.shape[1]
    assert m % 2 == 1
    assert boxes.data[0, m // 2, m // 2, m // 2] == pytest.approx(GRADIENT @ at, rel=1e-5)


@pytest.mark.parametrize("radius", [30.0, 60.0, 200.0])
def test_a_box_reaches_two_radii_and_steps_are_in_angstrom(radius: float) -> None:
    boxes = boxes_of(RAMP, [[20.0, 22.0, 24.0]], radius=radius)
    half = boxes.data.shape[1] // 2
    assert 2 * radius <= half * boxes.step < 2 * radius + boxes.step
    assert boxes.step == 10 * max(1, round(radius / 10 / 7))
    assert boxes.distance[half, half, half] == 0
    assert boxes.distance[half, half, 0] == pytest.approx(half * boxes.step)


def test_samples_of_large_particles_are_means_of_voxels_at_the_same_place() -> None:
    boxes = boxes_of(RAMP, [[19.7, 22.1, 24.4]], radius=100.0)  # bins of 1, else of 2
    large = boxes_of(RAMP, [[19.7, 22.1, 24.4]], radius=150.0)
    assert large.step == 20.0
    for one in (boxes, large):
        m = one.data.shape[1] // 2
        there = one.there[0, m, m, m + 1]
        assert there
        assert one.data[0, m, m, m + 1] == pytest.approx(GRADIENT @ [19.7, 22.1, 24.4 + one.step / 10], rel=1e-5)


def test_values_are_in_the_tomograms_standard_deviations() -> None:
    plain, scaled = (boxes_of(RAMP, [[20.0, 22.0, 24.0]], scale=s) for s in ((0.0, 1.0), (5.0, 2.0)))
    np.testing.assert_allclose(scaled.data[scaled.there], (plain.data[plain.there] - 5) / 2, rtol=1e-4, atol=1e-4)


def test_what_is_outside_the_tomogram_is_not_there_and_zero() -> None:
    boxes = boxes_of(np.ones(SHAPE, np.float32), [[0.0, 22.0, 24.0], [-500.0, 0.0, 0.0]])
    half = boxes.data.shape[1] // 2
    assert not boxes.there[0, :half].any()
    assert boxes.there[0, half, half, half]
    assert not boxes.there[1].any()
    assert (boxes.data[~boxes.there] == 0).all()
    np.testing.assert_allclose(boxes.data[boxes.there], 1, rtol=1e-5)


def test_a_value_that_is_no_number_makes_only_its_neighbourhood_unknown() -> None:
    values = np.ones(SHAPE, np.float32)
    values[20, 22, 26] = np.nan
    boxes = boxes_of(values, [[20.0, 22.0, 24.0]])
    assert np.isfinite(boxes.data).all()
    assert 1 <= (~boxes.there).sum() <= 8


def test_an_average_counts_only_the_boxes_that_are_there() -> None:
    data = np.stack([np.full((3, 3, 3), 4.0), np.zeros((3, 3, 3))]).astype(np.float32)
    there = np.stack([np.ones((3, 3, 3), bool), np.zeros((3, 3, 3), bool)])
    there[1, 0] = True
    average = Boxes(data, there, 10.0, 10.0).average()
    np.testing.assert_allclose(average[0], 2.0)
    np.testing.assert_allclose(average[1:], 4.0)


def test_an_average_by_weights_is_that_of_boxes_taken_so_often() -> None:
    data = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
    boxes = Boxes(data, np.ones_like(data, bool), 10.0, 10.0)
    often = np.array([[1, 0, 2, 1], [0, 0, 0, 4]], np.float32)
    np.testing.assert_allclose(boxes.average(often)[0], (data[0] + 2 * data[2] + data[3]) / 4, rtol=1e-5)
    np.testing.assert_allclose(boxes.average(often)[1], data[3], rtol=1e-5)


def ball(radius: float, m: int = 25, n: int = 6, shift: float = 0.0) -> Boxes:
    """Boxes of step 10 Å with a dark soft-edged ball of `radius` Å on ground of 0.5."""
    distance = from_centre(m, [0.0, 0.0, shift]) * 10.0
    one = 0.5 - np.clip((radius - distance) / 10 + 0.5, 0, 1)
    noise = np.random.default_rng(0).normal(scale=1e-3, size=(n, m, m, m))
    data = (one + noise).astype(np.float32)
    return Boxes(data, np.ones_like(data, bool), 10.0, radius)


def test_the_contrast_is_that_of_picks_against_their_surroundings() -> None:
    value, error = contrast(ball(60.0))
    assert -1.0 < value < -0.9  # the edge is soft
    assert 0 < error < 0.01


def test_a_single_box_has_no_known_contrast() -> None:
    assert contrast(ball(60.0, n=1)) == (0.0, np.inf)


@pytest.mark.parametrize("radius", [40.0, 60.0, 80.0])
def test_the_radius_of_a_ball_is_measured_about_its_own_centre(radius: float) -> None:
    tenth = radius + 10 * (0.5 - 0.1) / 0.5  # half is left at the radius, nothing a sample further
    assert measured_radius(ball(radius), np.zeros(3)) == pytest.approx(tenth, abs=1.5)
    assert measured_radius(ball(radius, shift=1.5), np.array([0.0, 0.0, 15.0])) == pytest.approx(tenth, abs=1.5)


def test_where_nothing_stands_no_radius_is_measured() -> None:
    zeros = np.zeros((3, 9, 9, 9), np.float32)
    assert measured_radius(Boxes(zeros, np.ones_like(zeros, bool), 10.0, 20.0), np.zeros(3)) is None


def test_boxes_of_several_tomograms_are_cut_to_the_smallest_about_their_centres() -> None:
    both = joined([ball(60.0, m=25, n=2), ball(60.0, m=21, n=3)])
    assert both.data.shape == (5, 21, 21, 21)
    assert both.there.shape == both.data.shape
    np.testing.assert_allclose(both.data[0], both.data[2], atol=0.02)


def test_four_times_as_many_boxes_halve_the_error_of_the_contrast() -> None:
    random = np.random.default_rng(0)
    boxes = boxes_of(random.normal(size=SHAPE).astype(np.float32), random.uniform(12, 28, (40, 3)).tolist())
    contrasts, errors = zip(*(contrast(joined([boxes] * n)) for n in (1, 4)), strict=True)
    assert contrasts[0] == pytest.approx(contrasts[1])
    assert errors[1] == pytest.approx(errors[0] / 2, rel=0.02)
