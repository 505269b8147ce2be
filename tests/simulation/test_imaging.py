import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import starfile
import torch
from density import (
    HANDED,
    PERFECT,
    acquired,
    blobs,
    centre_of_mass,
    correlation,
    density_volume,
    placed,
    poses,
    projections,
)
from scipy import constants
from torch import Generator, Tensor

from tomosoup.core.errors import InputError
from tomosoup.simulation.microscope.imaging import (
    Field,
    contrast_transfer,
    count,
    expected_counts,
    frequencies,
    interaction,
    left_by_exposure,
    modulation_transfer,
    normalised,
    project,
)
from tomosoup.simulation.options.microscope import MicroscopeOptions
from tomosoup.simulation.options.recipe import SimulationRecipe
from tomosoup.simulation.specimen.built_in import SHAPES, VOLTS_PER_KDA, built_in

AHEAD = {"tilt_limit": (1.0, 1.0)}
"""One tilt, at 0 degrees."""
PERFECT_AHEAD = PERFECT.model_copy(update=AHEAD)


def shape_map(name: str) -> Tensor:
    return torch.from_numpy(built_in(name, voxel_size=10.0)).float()


def moved(images: Tensor, by: tuple[float, float]) -> Tensor:
    """Images shifted by (y, x) pixels."""
    ky, kx = (torch.fft.fftfreq(n) for n in images.shape[-2:])
    ramp = torch.exp(-2j * math.pi * (ky[:, None] * by[0] + kx * by[1]))
    return torch.fft.ifft2(torch.fft.fft2(images) * ramp).real


# Projection.


@pytest.mark.parametrize("name", ["handed", "beta-amylase", "thyroglobulin"])
def test_the_projection_without_tilt_is_the_potential_summed_along_z(name: str) -> None:
    recipe = SimulationRecipe(shape=(40, 47, 54), microscope=PERFECT_AHEAD)
    density = HANDED if name == "handed" else shape_map(name)
    particles = {name: placed([(21.0, -67.0, 94.0), (-33.0, 52.0, -88.0)], poses(2, seed=1))}
    (image,) = projections({name: density}, particles, recipe)
    summed = density_volume({name: density}, particles, recipe).sum(dim=0) * 10.0 * interaction(300)
    margin = (image.shape[1] - summed.shape[1]) // 2
    assert image.shape == (47, 54 + 2 * margin)
    image = image[:, margin:-margin]
    assert correlation(image, summed) > 0.99
    assert float(image.sum()) == pytest.approx(float(summed.sum()), rel=0.01)
    np.testing.assert_allclose(centre_of_mass(image.clamp(min=0)), centre_of_mass(summed), atol=0.1)


@pytest.mark.parametrize("name", SHAPES)
def test_every_projection_holds_the_whole_potential_and_no_ghosts(name: str) -> None:
    recipe = SimulationRecipe(shape=(50, 50, 50), microscope=PERFECT.model_copy(update={"tilt_step": 20.0}))
    images = projections({name: shape_map(name)}, {name: placed([(1.0, 2.0, 3.0)], poses(1, seed=6))}, recipe)
    integral = images.sum(dim=(1, 2)) * 10.0**2
    np.testing.assert_allclose(integral, interaction(300) * VOLTS_PER_KDA * SHAPES[name].mass_kda, rtol=1e-3)
    assert float(images.min()) > -0.08 * float(images.max())


@pytest.mark.parametrize(("voltage", "expected"), [(300.0, 6.53e-4), (200.0, 7.29e-4), (100.0, 9.24e-4)])
def test_the_phase_of_a_volt_and_angstrom_is_the_literatures(voltage: float, expected: float) -> None:
    assert interaction(voltage) == pytest.approx(expected, rel=0.01)
    recipe = SimulationRecipe(shape=(60, 60, 60), microscope=PERFECT_AHEAD.model_copy(update={"voltage": voltage}))
    (image,) = projections({"a": HANDED}, {"a": placed([(0, 0, 0)])}, recipe)
    assert float(image.sum()) * 10**2 == pytest.approx(expected * float(HANDED.sum()) * 10**3, rel=0.01)


def test_phase_goes_with_the_potential_and_adds_up_over_particles() -> None:
    recipe = SimulationRecipe(shape=(30, 40, 40), microscope=MicroscopeOptions(tilt_step=20.0))
    picks = placed([(20.0, -40.0, 30.0), (-30.0, 20.0, -50.0)], poses(2, seed=2))
    one, other = (placed(picks.zyx[i], picks.rotations[i : i + 1]) for i in range(2))
    both = projections({"a": HANDED}, {"a": picks}, recipe)
    each = [projections({"a": HANDED}, {"a": p}, recipe) for p in (one, other)]
    close = {"atol": 1e-5 * float(both.abs().max()), "rtol": 0}
    torch.testing.assert_close(projections({"a": 2 * HANDED}, {"a": picks}, recipe), 2 * both, **close)
    torch.testing.assert_close(each[0] + each[1], both, **close)
    apart = projections({"a": HANDED, "b": HANDED}, {"a": one, "b": other}, recipe)
    torch.testing.assert_close(apart, both, **close)
    assert float((each[0] - each[1]).abs().max()) > 0.5 * float(both.max())


def test_half_a_turn_about_the_tilt_axis_mirrors_the_projection() -> None:
    recipe = SimulationRecipe(shape=(31, 41, 45), microscope=PERFECT_AHEAD)
    turn = np.diag([-1.0, 1.0, -1.0])
    pose, place = poses(1, seed=3), np.array([[33.0, -57.0, 81.0]])
    (image,) = projections({"a": HANDED}, {"a": placed(place, pose)}, recipe)
    (turned,) = projections({"a": HANDED}, {"a": placed(place @ turn.T, turn @ pose)}, recipe)
    torch.testing.assert_close(turned, image.flip(1), atol=0.01 * float(image.max()), rtol=0)
    assert correlation(turned, image) < 0.5


def test_particles_at_the_edge_are_cut_and_those_beyond_it_unseen() -> None:
    recipe = SimulationRecipe(shape=(30, 40, 40), microscope=PERFECT_AHEAD)
    inside, edge, beyond = (
        float(projections({"a": blobs((0, 0, 0))}, {"a": placed([(0.0, y, 0.0)])}, recipe).sum())
        for y in (0.0, 200.0, 900.0)
    )
    assert edge == pytest.approx(inside / 2, rel=0.02)
    assert beyond == 0


def test_every_voxel_is_seen_at_every_tilt() -> None:
    acquisition = acquired(MicroscopeOptions(pretilt=(7.0, 7.0)))
    field = Field.of((50, 30, 40), 10.0, acquisition)
    assert field.shape[0] == 30
    reach = max(abs(x * math.cos(a) + s * z * math.sin(a)) for a in np.radians(acquisition.angles)
                for x in (-19.5, 19.5) for z in (-24.5, 24.5) for s in (-1, 1))  # fmt: skip
    assert reach <= (field.shape[1] - 1) / 2 < reach + 2


def test_a_phase_plate_shows_whole_particles_near_focus() -> None:
    microscope = PERFECT_AHEAD.model_copy(update={"defocus": (0.5, 0.5), "amplitude_contrast": 0.07})
    recipe = SimulationRecipe(shape=(31, 41, 41), microscope=microscope)
    plain = acquired(microscope)
    at = {"a": placed([(0.0, 0.0, 0.0)])}
    (seen,), (bright,) = (
        projections({"a": HANDED}, at, recipe, replace(plain, phase_shift=shift)) for shift in (0.0, 90.0)
    )
    # The mean, to which phases contribute sin(90) and almost nothing without the plate.
    assert float(bright.sum()) > 10 * float(seen.sum()) > 0


# The geometry that alignment misses.


def test_shift_errors_move_the_images_by_just_that() -> None:
    microscope = PERFECT.model_copy(update={"tilt_step": 20.0, "shift_error": 17.0})
    recipe = SimulationRecipe(shape=(30, 60, 60), microscope=microscope)
    acquisition = acquired(microscope)
    assert np.abs(acquisition.shift_errors).min() > 0.1
    still = replace(acquisition, shift_errors=np.zeros_like(acquisition.shift_errors))
    particles = {"a": placed([(20.0, -40.0, 30.0)], poses(1, seed=2))}
    images = projections({"a": HANDED}, particles, recipe, acquisition)
    expected = projections({"a": HANDED}, particles, recipe, still)
    for image, unmoved, (y, x) in zip(images, expected, acquisition.shift_errors, strict=True):
        torch.testing.assert_close(
            image, moved(unmoved, (y / 10, x / 10)), atol=0.01 * float(unmoved.max()), rtol=0, msg=f"{y}, {x}"
        )


def test_angle_errors_are_tilts_that_the_reconstruction_does_not_know() -> None:
    microscope = PERFECT.model_copy(update={"tilt_step": 20.0, "angle_error": 3.0})
    drawn = acquired(microscope)
    off = replace(drawn, rotation_errors=np.zeros(len(drawn)))
    honest = replace(off, angles=drawn.angles + drawn.angle_errors, angle_errors=np.zeros(len(drawn)))
    field, particles = Field((60, 90), 10.0), {"a": placed([(150.0, -40.0, 130.0)], poses(1, seed=2))}
    images, same = (project({"a": HANDED}, particles, a, microscope, field=field) for a in (off, honest))
    assert torch.equal(images, same)
    np.testing.assert_array_equal(off.aligned().tilt_angles, drawn.angles.astype(np.float32))
    np.testing.assert_array_equal(off.true().tilt_angles, honest.aligned().tilt_angles)


def test_rotation_errors_turn_the_images_about_their_middle() -> None:
    recipe = SimulationRecipe(shape=(30, 61, 61), microscope=PERFECT_AHEAD)
    still = acquired(PERFECT_AHEAD)
    particles = {"a": placed([(0.0, 0.0, 200.0)])}
    (image,) = projections({"a": blobs((0, 0, 0))}, particles, recipe, still)
    (turned,) = projections(
        {"a": blobs((0, 0, 0))}, particles, recipe, replace(still, rotation_errors=np.array([10.0]))
    )
    before, after = (centre_of_mass(i.clamp(min=0)) - (np.array(i.shape) - 1) / 2 for i in (image, turned))
    np.testing.assert_allclose(np.linalg.norm(after), 20.0, atol=0.05)
    angle = math.degrees(math.acos(float(before @ after) / np.linalg.norm(before) / np.linalg.norm(after)))
    assert angle == pytest.approx(10, abs=0.1)


# Contrast transfer.


def ctffind_phase(
    k: np.ndarray,
    angle: np.ndarray | float,
    *,
    defocus: float,
    recipe: MicroscopeOptions,
    astigmatism: float = 0.0,
    astigmatism_angle: float = 0.0,
) -> np.ndarray:
    """CTFFIND's chi at frequencies in 1/Å and degrees from x towards y; µm of underfocus."""
    volts = recipe.voltage * 1e3 * constants.e
    rest = constants.m_e * constants.c**2
    wavelength = constants.h * constants.c / math.sqrt(volts * (volts + 2 * rest)) * 1e10
    dz = 1e4 * (defocus + astigmatism * np.cos(2 * np.radians(angle - astigmatism_angle)))
    cs = recipe.spherical_aberration * 1e7
    chi = math.pi * wavelength * k**2 * (dz - 0.5 * wavelength**2 * k**2 * cs)
    return chi + math.asin(recipe.amplitude_contrast)


@pytest.mark.parametrize(
    ("defocus", "amplitude", "cs", "voltage"),
    [(1.0, 0.07, 2.7, 300.0), (3.0, 0.1, 0.0, 300.0), (2.0, 0.5, 20.0, 300.0), (2.0, 0.07, 2.0, 200.0)],
)
def test_contrast_transfer_is_ctffinds(defocus: float, amplitude: float, cs: float, voltage: float) -> None:
    recipe = MicroscopeOptions(amplitude_contrast=amplitude, spherical_aberration=cs, voltage=voltage)
    acquisition = replace(acquired(recipe), astigmatism=0.15, astigmatism_angle=30.0)
    (transfer,) = contrast_transfer(
        acquisition, recipe, defocus=torch.tensor([defocus]), shape=(256, 200), pixel=4.0
    ).double()
    ky, kx = np.meshgrid(np.fft.fftfreq(256, 4.0), np.fft.rfftfreq(200, 4.0), indexing="ij")
    angle = np.degrees(np.arctan2(ky, kx))
    chi = ctffind_phase(
        np.hypot(ky, kx), angle, defocus=defocus, recipe=recipe, astigmatism=0.15, astigmatism_angle=30.0
    )
    # Single precision carries phases of up to 40 radians.
    np.testing.assert_allclose(transfer, np.sin(chi), atol=2e-3)
    assert float(transfer[0, 0]) == pytest.approx(amplitude, abs=1e-6)


@pytest.mark.parametrize("height", [0.0, 1000.0, -1000.0])
def test_a_particle_nearer_to_the_source_has_less_underfocus(height: float) -> None:
    recipe = MicroscopeOptions(**AHEAD, defocus=(2.0, 2.0), defocus_error=0.0, astigmatism=(0.0, 0.0))
    acquisition = acquired(recipe)
    field, point = Field((129, 129), 5.0), {"a": blobs((0, 0, 0), sigma=0.8)}
    particles = {"a": placed([(height, 0.0, 0.0)])}
    (image,) = project(point, particles, acquisition, recipe, field=field)
    (plain,) = project(point, {"a": placed([(0, 0, 0)])}, acquired(PERFECT_AHEAD), PERFECT_AHEAD, field=field)
    assert float(image[64, 64]) > 0.1 * float(plain[64, 64]), "underfocus darkens the middle of matter"
    k = frequencies((129, 129), 5.0).double().numpy()
    ratio = (torch.fft.rfft2(image) / torch.fft.rfft2(plain)).real.double().numpy()
    near = k < 0.09
    expected = np.sin(ctffind_phase(k, 0.0, defocus=2.0 - height * 1e-4, recipe=recipe))
    assert np.abs(ratio - expected)[near].max() < 0.1
    assert np.sqrt(np.square(ratio - expected)[near].mean()) < 0.02
    other = np.sin(ctffind_phase(k, 0.0, defocus=2.0 - height * 1e-4 + 0.03, recipe=recipe))
    assert np.sqrt(np.square(ratio - other)[near].mean()) > 0.05


def tilted_defocus(zyx: tuple[float, float, float], *, tilt: float) -> tuple[float, float]:
    """Where a point of a tilted sample is seen (Å across the axis), and its underfocus by its rings."""
    recipe = MicroscopeOptions(**AHEAD, defocus=(2.5, 2.5), defocus_error=0.0, astigmatism=(0.0, 0.0))
    acquisition = replace(acquired(recipe), angles=np.array([tilt]))
    perfect = replace(acquired(PERFECT_AHEAD), angles=np.array([tilt]))
    field, point, particles = Field((129, 601), 5.0), {"a": blobs((0, 0, 0), sigma=0.8)}, {"a": placed([zyx])}
    (image,) = project(point, particles, acquisition, recipe, field=field)
    (plain,) = project(point, particles, perfect, PERFECT_AHEAD, field=field)
    # What the perfect microscope shows is off by a hundredth at these frequencies, 500 Å from its focus.
    x = int(plain.max(dim=0).values.argmax())
    part = slice(x - 40, x + 41)
    k = frequencies((129, 81), 5.0).double().numpy()
    ratio = (torch.fft.rfft2(image[:, part]) / torch.fft.rfft2(plain[:, part])).real.double().numpy()
    near = k < 0.07
    tried = np.arange(2.2, 2.8, 0.005)
    misfits = [np.square(ratio - np.sin(ctffind_phase(k, 0.0, defocus=d, recipe=recipe)))[near].mean() for d in tried]
    return (x - 300) * 5.0, float(tried[int(np.argmin(misfits))])


def test_the_two_sides_of_the_tilt_axis_have_their_own_defocus() -> None:
    # A rigid turn that brings what is high to one side brings that side's opposite up.
    above, _ = tilted_defocus((700.0, 0.0, 0.0), tilt=45.0)
    sense = math.copysign(1, above)
    assert abs(above) == pytest.approx(700 * math.sqrt(0.5), abs=5)
    for x in (700.0, -700.0):
        seen, defocus = tilted_defocus((0.0, 0.0, x), tilt=45.0)
        assert seen == pytest.approx(x * math.sqrt(0.5), abs=5)
        assert defocus == pytest.approx(2.5 + sense * x * math.sqrt(0.5) * 1e-4, abs=0.01)


def test_the_perfect_microscope_of_these_tests_transfers_everything() -> None:
    transfer = contrast_transfer(
        acquired(PERFECT_AHEAD), PERFECT_AHEAD, defocus=torch.zeros(1), shape=(64, 64), pixel=10.0
    )
    torch.testing.assert_close(transfer, torch.ones_like(transfer))


# What radiation and the detector leave.


@pytest.mark.parametrize(("voltage", "factor"), [(300.0, 1.0), (200.0, 0.8)])
def test_exposure_wears_detail_away_as_grant_and_grigorieff_measured(voltage: float, factor: float) -> None:
    recipe = MicroscopeOptions(voltage=voltage)
    acquisition = acquired(recipe)
    k = np.array([0.01, 0.02, 0.05, 0.1, 0.25])
    critical = factor * (0.24499 * k**-1.6649 + 2.8141)
    half_way = acquisition.exposure + acquisition.dose / 2
    expected = np.exp(-half_way[:, None] / (2 * critical))
    left = left_by_exposure(acquisition, recipe, torch.from_numpy(k))
    # The libraries' constants are rounded: 1 % in the exponent.
    np.testing.assert_allclose(left.log(), np.log(expected), rtol=0.01)
    at_rest = left_by_exposure(acquisition, recipe, torch.zeros(1))
    torch.testing.assert_close(at_rest, torch.ones_like(at_rest), atol=1e-5, rtol=0)


@pytest.mark.parametrize("damage", [False, True])
def test_counts_show_the_phase_worn_by_radiation_and_detector(damage: bool) -> None:
    recipe = MicroscopeOptions(damage=damage, mtf=0.5, detector_pixel=2.0)
    acquisition = acquired(recipe)
    phase = torch.zeros(len(acquisition), 40, 40)
    phase[:, 20, 20] = 0.01
    clear = expected_counts(torch.zeros_like(phase), acquisition, recipe, thickness=torch.tensor(500.0), pixel=10.0)
    seen = expected_counts(phase, acquisition, recipe, thickness=torch.tensor(500.0), pixel=10.0)
    factor = torch.fft.rfft2((1 - seen / clear) / 2) / torch.fft.rfft2(phase)
    k = torch.hypot(torch.fft.fftfreq(40, 10.0)[:, None], torch.fft.rfftfreq(40, 10.0))
    expected = 0.5 ** ((k * 2.0 / 0.5) ** 2).expand(len(acquisition), -1, -1)
    if damage:
        expected = expected * left_by_exposure(acquisition, recipe, k)
    np.testing.assert_allclose(factor.real, expected, atol=2e-3)
    np.testing.assert_allclose(factor.imag, 0, atol=2e-3)


@pytest.mark.parametrize("pixel", [1.5, 3.0])
def test_the_detectors_transfer_at_its_highest_frequency_is_the_recipes(pixel: float) -> None:
    recipe = MicroscopeOptions(mtf=0.5, detector_pixel=pixel)
    at = torch.tensor([0.0, 0.25 / pixel, 0.5 / pixel])
    np.testing.assert_allclose(modulation_transfer(recipe, at), [1.0, 0.5**0.25, 0.5], rtol=1e-5)


@pytest.fixture
def star(tmp_path: Path) -> Callable[..., Path]:
    """Writes a table to a STAR file."""

    def write(**columns: list[float]) -> Path:
        starfile.write(pd.DataFrame(columns), tmp_path / "mtf.star")
        return tmp_path / "mtf.star"

    return write


def test_a_measured_transfer_is_read_from_a_star_file(star: Callable[..., Path]) -> None:
    path = star(rlnResolutionInversePixel=[0.0, 0.1, 0.3, 0.5], rlnMtfValue=[1.0, 0.8, 0.4, 0.3])
    recipe = MicroscopeOptions(mtf_file=path, detector_pixel=2.0)
    at = torch.tensor([0.0, 0.05, 0.1, 0.15, 0.25])
    np.testing.assert_allclose(modulation_transfer(recipe, at), [1.0, 0.8, 0.6, 0.4, 0.3], atol=1e-6)


@pytest.mark.parametrize("what", ["missing", "prose", "other columns", "words"])
def test_a_file_that_holds_no_transfer_is_told_in_a_sentence(
    tmp_path: Path, star: Callable[..., Path], what: str
) -> None:
    path = tmp_path / "mtf.star"
    if what == "prose":
        path.write_text("The detector is very good.\n")
    elif what == "other columns":
        star(frequency=[0.0, 0.5], value=[1.0, 0.5])
    elif what == "words":
        path.write_text("data_\n\nloop_\n_rlnResolutionInversePixel\n_rlnMtfValue\n0.0 high\n0.5 low\n")
    with pytest.raises(InputError, match=r"mtf\.star is not a RELION table .*rlnMtfValue\.$"):
        modulation_transfer(MicroscopeOptions(mtf_file=path), torch.tensor([0.1]))


# Electrons.


def test_the_ice_passes_its_share_of_the_dose() -> None:
    recipe = MicroscopeOptions(dose=(100.0, 100.0), mean_free_path=2500.0)
    acquisition = acquired(recipe)
    phase = torch.zeros(len(acquisition), 8, 8)
    clear, iced = (
        expected_counts(phase, acquisition, recipe, thickness=torch.tensor(t), pixel=7.0) for t in (0.0, 1500.0)
    )
    assert float(clear.sum(dim=0).mean()) == pytest.approx(100 * 7.0**2, rel=1e-5)
    passed = np.exp(-1500 / (2500 * np.cos(np.radians(acquisition.angles))))
    np.testing.assert_allclose((iced / clear)[:, 3, 4], passed, rtol=1e-5)
    np.testing.assert_allclose(passed[[0, 20]], [0.301, 0.549], atol=1e-3)


def test_undetected_electrons_are_missing_from_the_counts_and_not_from_the_damage() -> None:
    phase = torch.randn(41, 24, 30, generator=Generator().manual_seed(0)) * 0.01
    recipe = MicroscopeOptions()
    whole = acquired(recipe)
    all_of_it, tenth = (
        expected_counts(phase, series, recipe, thickness=torch.tensor(500.0), pixel=10.0)
        for series in (whole, replace(whole, detected=0.1))
    )
    torch.testing.assert_close(tenth, 0.1 * all_of_it)


def test_matter_darkens_counts_by_twice_its_phase_down_to_none() -> None:
    recipe = PERFECT_AHEAD.model_copy(update={"dose": (50.0, 50.0)})
    phase = torch.zeros(1, 4, 4)
    phase[0, 1, :3] = torch.tensor([0.1, -0.2, 0.7])
    expected = expected_counts(phase, acquired(recipe), recipe, thickness=torch.tensor(0.0), pixel=1.0)
    np.testing.assert_allclose(expected[0, 1], [40.0, 70.0, 0.0, 50.0], atol=1e-4)


def test_counts_are_poissons_in_two_independent_halves() -> None:
    expected = torch.linspace(0.5, 20, 40_000).reshape(1, 200, 200)
    first, second = count(expected, random=Generator().manual_seed(3))

    def misfit(counts: Tensor, mean: Tensor) -> float:
        """Variance over mean, in deviations of itself from 1."""
        ratio = ((counts - mean) ** 2 / mean).mean()
        return float((ratio - 1) / (2 + 1 / mean).mean().sqrt() * math.sqrt(mean.numel()))

    for half in (first, second):
        assert torch.equal(half, half.round())
        assert float(half.mean()) == pytest.approx(float(expected.mean()) / 2, rel=0.01)
        assert abs(misfit(half, expected / 2)) < 4
    assert abs(misfit(first + second, expected)) < 4
    assert abs(correlation(first - expected / 2, second - expected / 2)) < 4 / math.sqrt(40_000)


def test_contrast_is_relative_to_each_images_mean() -> None:
    counts = torch.tensor([[[10.0, 20.0], [30.0, 0.0]], [[1.0, 1.0], [1.0, 5.0]]])
    contrast = normalised(counts)
    np.testing.assert_allclose(contrast[0], [[-1 / 3, 1 / 3], [1, -1]], atol=1e-6)
    np.testing.assert_allclose(contrast.mean(dim=(1, 2)), 0, atol=1e-6)


def test_a_tilt_without_electrons_is_refused() -> None:
    counts = torch.ones(3, 4, 4)
    counts[1] = 0
    with pytest.raises(InputError, match=r"Some tilts counted no electrons: raise `microscope\.dose` or `micro"):
        normalised(counts)
