"""Matched filters find a known template, and whitened noise is white."""

import numpy as np
import torch
from density import HANDED, acquired, correlation, placed, poses

from tomosoup.inference.readout.matched_filter import Searched, Whitening, highest_signal_near, signal_peaks
from tomosoup.simulation.microscope.footprint import footprint, seen_at
from tomosoup.simulation.microscope.imaging import Field, expected_counts, frequencies, normalised, project
from tomosoup.simulation.microscope.reconstruction import Processing, filtered, image_weights, reconstruct
from tomosoup.simulation.options.microscope import MicroscopeOptions, ReconstructionOptions
from tomosoup.simulation.options.recipe import SimulationRecipe

SIDE = 16


def coloured(shape: tuple[int, int, int]) -> torch.Tensor:
    """Noise that is correlated along x."""
    noise = torch.randn(*shape)
    return noise + 0.8 * noise.roll(1, dims=2) + 0.4 * noise.roll(2, dims=2)


def test_the_footprint_of_a_particle_is_what_a_tomogram_of_it_alone_holds() -> None:
    microscope = MicroscopeOptions(tilt_limit=(45, 45), tilt_step=9, shift_error=6, angle_error=0.5)
    recipe, processing, shape = (
        ReconstructionOptions(highpass=700, tilt_weighting=2),
        Processing(40.0, 1.0),
        (48, 80, 96),
    )
    acquisition, rotation, position = acquired(microscope), poses(1, 0), np.array([43.0, -113.0, 206.0])
    field = Field.of(shape, 10.0, acquisition)
    phase = project({"it": HANDED}, {"it": placed(position, rotation)}, acquisition, microscope, field=field)
    seen = normalised(expected_counts(phase, acquisition, microscope, thickness=torch.tensor(900.0), pixel=10.0))
    weights = image_weights(acquisition, microscope, recipe, processing, frequencies(field.shape, 10.0))
    whole = reconstruct(filtered(seen, weights), acquisition.aligned(), shape)
    at = position / 10 + (np.array(shape) - 1) / 2
    corner = np.round(at - (40 - 1) / 2).astype(int)
    alone = footprint(
        HANDED, rotation[0], (at - corner - (40 - 1) / 2) * 10,
        recipe=SimulationRecipe(microscope=microscope, reconstruction=recipe), processing=processing, side=40,
        acquisition=seen_at(acquisition, position),
    )  # fmt: skip
    central = slice(10, 30)
    there = whole[tuple(slice(c + 10, c + 30) for c in corner)]
    assert correlation(there, alone[central, central, central]) > 0.99
    torch.testing.assert_close(there.std(), alone[central, central, central].std(), rtol=0.05, atol=0)


def test_whitened_noise_is_white() -> None:
    volume = coloured((32, 96, 96))
    white = Whitening.of(volume, side=SIDE, random=np.random.default_rng(0)).tomogram(volume)[8:-8, 8:-8, 8:-8]
    assert abs(float(white.std()) - 1) < 0.1
    assert correlation(volume[..., 1:], volume[..., :-1]) > 0.5
    assert abs(correlation(white[..., 1:], white[..., :-1])) < 0.1


def test_the_signal_of_a_template_is_highest_at_its_position_and_equals_its_norm() -> None:
    volume, template = coloured((32, 64, 64)), torch.zeros(SIDE, SIDE, SIDE)
    template[5:11, 6:10, 4:12] = 1.5
    corner = np.array([9, 21, 30])
    volume[tuple(slice(c, c + SIDE) for c in corner)] += template
    whitening = Whitening.of(volume, side=SIDE, random=np.random.default_rng(0))
    white, known = whitening.tomogram(volume), whitening.template(template)
    positions, signal = signal_peaks(Searched.of(white, reach=SIDE).response(known), half_vox=3, floor=4.0)
    norm = float(torch.linalg.vector_norm(known))
    assert norm > 8
    np.testing.assert_array_equal(positions[signal.argmax()], corner + SIDE // 2)
    assert abs(signal.max() - norm) < 3
    assert abs(highest_signal_near(white, known, corner + 2, radius_vox=4) - signal.max()) < 1e-3
    assert highest_signal_near(white, known, corner + 4, radius_vox=2) < signal.max() - 1


def test_no_farther_than_the_radius_is_looked() -> None:
    white, template = torch.zeros(40, 40, 40), torch.zeros(SIDE, SIDE, SIDE)
    template[7:9, 7:9, 7:9] = 1.0
    corner = np.array([12, 12, 12])
    white[tuple(slice(c, c + SIDE) for c in corner)] += template
    norm = float(torch.linalg.vector_norm(template))
    within, beyond = corner + np.array([0, 3, 0]), corner + np.array([0, 3, 2])  # of one cube, not of one ball
    assert abs(highest_signal_near(white, template, within, radius_vox=3) - norm) < 1e-4
    assert highest_signal_near(white, template, beyond, radius_vox=3) < 0.6 * norm


def test_the_border_of_a_tomogram_is_searched_too() -> None:
    white, template = torch.zeros(16, 32, 32), torch.ones(SIDE, SIDE, SIDE)
    white[:8, :8, :8] = 1.0
    signal = highest_signal_near(white, template, np.full(3, -8.0), radius_vox=0)
    assert abs(signal - 512 / 64) < 1e-3  # 8³ voxels over the norm of 16³
    assert abs(float(Searched.of(white, reach=SIDE).response(template)[0, 0, 0]) - signal) < 1e-3
