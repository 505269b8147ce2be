import json
import math

import numpy as np
import pytest
from density import acquired

from tomosoup.simulation.microscope.tilt_series import draw_acquisition, taking_order, tilt_angles
from tomosoup.simulation.options.microscope import MicroscopeOptions


def test_dose_symmetric_tilts_are_taken_in_hagens_order() -> None:
    angles = tilt_angles(15, 3)
    taken = angles[taking_order(angles, "dose-symmetric")]
    assert taken.tolist() == [0, 3, -3, -6, 6, 9, -9, -12, 12, 15, -15]
    assert angles[taking_order(angles, "one-way")].tolist() == angles.tolist()


@pytest.mark.parametrize("pretilt", [0.0, -9.3, 12.0])
@pytest.mark.parametrize("order", ["dose-symmetric", "one-way"])
def test_exposure_rises_by_a_tilts_dose_in_the_order_of_taking(order: str, pretilt: float) -> None:
    recipe = MicroscopeOptions(order=order, pretilt=(pretilt, pretilt), dose=(82.0, 82.0))
    acquisition = acquired(recipe)
    assert len(acquisition) == 41
    np.testing.assert_allclose(acquisition.angles, pretilt + np.arange(-60, 61, 3))
    assert acquisition.dose == pytest.approx(2.0)
    in_time = acquisition.angles[np.argsort(acquisition.exposure)] - pretilt
    np.testing.assert_allclose(np.sort(acquisition.exposure), 2.0 * np.arange(41))
    started = [0, 3, -3, -6, 6] if order == "dose-symmetric" else [-60, -57, -54, -51, -48]
    np.testing.assert_allclose(in_time[:5], started, atol=1e-9)
    np.testing.assert_allclose(in_time[-2:], [-60, 60] if order == "dose-symmetric" else [57, 60], atol=1e-9)


def test_each_value_of_a_series_is_drawn_from_its_range() -> None:
    recipe = MicroscopeOptions(
        tilt_limit=(40.0, 60.0), pretilt=(-10.0, 10.0), dose=(60.0, 120.0), defocus=(2.0, 4.0), astigmatism=(0.05, 0.1),
        detected=(0.2, 0.5),
    )  # fmt: skip
    series = [acquired(recipe, seed=seed) for seed in range(200)]
    for values, low, high in [
        ([s.angles.max() - s.angles.min() for s in series], 78.0, 120.0),
        ([s.angles.mean() for s in series], -10.0, 10.0),
        ([s.dose * len(s) for s in series], 60.0, 120.0),
        ([s.defocus.mean() for s in series], 1.9, 4.1),
        ([s.astigmatism for s in series], 0.05, 0.1),
        ([s.detected for s in series], 0.2, 0.5),
        ([s.astigmatism_angle for s in series], 0.0, 180.0),
    ]:
        assert min(values) >= low - 1e-9
        assert max(values) <= high + 1e-9
        assert max(values) - min(values) > 0.85 * (high - low)
    departures = np.concatenate([s.defocus - s.defocus.mean() for s in series])
    assert 0.15 < np.ptp(departures) < 0.25


def test_errors_of_alignment_have_the_recipes_deviation() -> None:
    recipe = MicroscopeOptions(tilt_step=0.1, shift_error=4.0, angle_error=0.3)
    acquisition = acquired(recipe, seed=1)
    n = len(acquisition)
    for errors, deviation in [
        (acquisition.shift_errors, 4.0),
        (acquisition.angle_errors, 0.3),
        (acquisition.rotation_errors, 0.3),
    ]:
        assert len(errors) == n == 1201
        assert errors.std() == pytest.approx(deviation, rel=0.1)
        assert errors.mean() == pytest.approx(0, abs=4 * deviation / math.sqrt(n))


def test_a_runs_errors_of_alignment_grow_together() -> None:
    options = {"shift_error": 4.0, "angle_error": 0.3}
    recipe = MicroscopeOptions(**options, alignment_errors=(0.5, 2.0))
    factors = []
    for seed in range(50):
        drawn, plain = (acquired(r, seed=seed) for r in (recipe, MicroscopeOptions(**options)))
        ratios = drawn.shift_errors / plain.shift_errors
        np.testing.assert_allclose(ratios, ratios[0, 0])
        np.testing.assert_allclose(drawn.angle_errors, ratios[0, 0] * plain.angle_errors)
        np.testing.assert_allclose(drawn.rotation_errors, ratios[0, 0] * plain.rotation_errors)
        np.testing.assert_array_equal(drawn.defocus, plain.defocus)
        factors.append(ratios[0, 0])
    assert 0.5 <= min(factors) < 0.7
    assert 1.8 < max(factors) <= 2.0


def test_options_that_are_off_draw_nothing() -> None:
    after = {}
    for name, options in {"off": {}, "on": {"detected": (0.5, 0.5)}}.items():
        random = np.random.default_rng(3)
        draw_acquisition(MicroscopeOptions.model_validate(options), random=random)
        after[name] = random.random()
    random = np.random.default_rng(3)
    # Tilt limit, pretilt, dose, defocus, its 41 errors, astigmatism and its angle; then the errors of alignment.
    random.random(3 + 1 + 41 + 2)
    random.standard_normal(4 * 41)
    assert after["off"] == random.random() != after["on"]


def test_so_many_runs_have_a_phase_plate() -> None:
    recipe = MicroscopeOptions(phase_plate=0.3, phase_shift=(70.0, 110.0))
    shifts = np.array([acquired(recipe, seed=seed).phase_shift for seed in range(200)])
    plates = shifts[shifts > 0]
    assert 0.2 < len(plates) / 200 < 0.4
    assert 70 <= plates.min() < 75
    assert 105 < plates.max() <= 110
    assert acquired(MicroscopeOptions()).phase_shift == 0.0


@pytest.mark.parametrize(("limit", "step", "number"), [(60.0, 3.0, 41), (59.9, 3.0, 39), (0.3, 0.1, 7), (2.0, 3.0, 1)])
def test_tilts_are_a_step_apart_about_0_within_their_limit(limit: float, step: float, number: int) -> None:
    angles = tilt_angles(limit, step)
    assert len(angles) == number
    np.testing.assert_allclose(angles, -angles[::-1])
    np.testing.assert_allclose(np.diff(angles), step)
    assert angles.max() <= limit + 1e-9


def test_a_series_tells_itself_as_json() -> None:
    acquisition = acquired(MicroscopeOptions(tilt_step=20.0, shift_error=3.0))
    told = json.loads(json.dumps(acquisition.as_metadata()))
    assert told["angles"] == [-60, -40, -20, 0, 20, 40, 60]
    np.testing.assert_array_equal(told["shift_errors"], acquisition.shift_errors)
    assert told["astigmatism_angle"] == acquisition.astigmatism_angle
