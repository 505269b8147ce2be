from dataclasses import replace
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import torch
from density import (
    HANDED,
    PERFECT,
    acquired,
    blobs,
    centre_of_mass,
    correlation,
    density_volume,
    peak_near,
    placed,
    poses,
    projections,
)
from torch import Generator, Tensor
from torch_reconstruct_tomogram import reconstruct_tomogram
from torch_tilt_series import TiltSeries

from tomosoup.simulation.microscope.denoising import BRIGHTEST, denoised
from tomosoup.simulation.microscope.imaging import (
    Field,
    contrast_transfer,
    count,
    expected_counts,
    frequencies,
    normalised,
)
from tomosoup.simulation.microscope.reconstruction import (
    Processing,
    dose_weights,
    draw_processing,
    filtered,
    image_weights,
    lowpass,
    ramp_filter,
    reconstruct,
    wiener,
)
from tomosoup.simulation.options.microscope import MicroscopeOptions, ReconstructionOptions
from tomosoup.simulation.options.recipe import SimulationRecipe


def empty_images(recipe: SimulationRecipe, *, seed: int = 0) -> Tensor:
    """The contrast of a sample of clear ice."""
    acquisition = acquired(recipe.microscope)
    field = Field.of(recipe.shape, recipe.voxel_size, acquisition)
    phase = torch.zeros(len(acquisition), *field.shape)
    expected = expected_counts(
        phase, acquisition, recipe.microscope, thickness=torch.tensor(0.0), pixel=recipe.voxel_size
    )
    return normalised(sum(count(expected, random=Generator().manual_seed(seed))))


def power(volume: Tensor, at: float) -> float:
    """Power of a cube about a frequency in cycles per voxel."""
    spectrum = torch.fft.fftn(volume).abs() ** 2
    axes = torch.meshgrid(*(torch.fft.fftfreq(n) for n in volume.shape), indexing="ij")
    k = torch.stack(axes).norm(dim=0)
    return float(spectrum[(k - at).abs() < 0.02].mean())


# Places and orientations.


@pytest.mark.parametrize("offset", [(0, 0, 0), (4, -3, 2)], ids=["middle", "arm"])
@pytest.mark.parametrize("shape", [(32, 56, 48), (33, 55, 49), (31, 48, 57)], ids=str)
@pytest.mark.parametrize("pretilt", [0.0, 12.0])
def test_a_point_is_reconstructed_where_its_pose_puts_it(
    shape: tuple[int, int, int], offset: tuple[int, int, int], pretilt: float
) -> None:
    microscope = PERFECT.model_copy(update={"pretilt": (pretilt, pretilt)})
    recipe = SimulationRecipe(shape=shape, voxel_size=8.0, microscope=microscope)
    fractions = [(0.34, 0.24, 0.77), (0.63, 0.71, 0.7), (0.55, 0.3, 0.25), (0.4, 0.74, 0.22)]
    places, rotations = np.array(fractions) * shape, poses(4, seed=3)
    about_centre = placed((places - (np.array(shape) - 1) / 2) * 8.0, rotations)
    images = projections({"a": blobs(offset)}, {"a": about_centre}, recipe)
    volume = reconstruct(images, acquired(microscope).aligned(), shape)
    expected = places + rotations @ np.array(offset)
    found = [peak_near(volume, place) for place in expected]
    np.testing.assert_allclose(found, expected, atol=0.2)


def test_errors_of_alignment_blur_a_point_that_their_knowledge_makes_sharp() -> None:
    shape, place = (33, 55, 49), np.array([11.0, 20.0, 36.0])
    microscope = PERFECT.model_copy(update={"shift_error": 12.0, "angle_error": 1.0})
    recipe = SimulationRecipe(shape=shape, microscope=microscope)
    acquisition = acquired(microscope)
    about_centre = {"a": placed((place - (np.array(shape) - 1) / 2) * 10.0)}
    images = projections({"a": blobs((0, 0, 0))}, about_centre, recipe, acquisition)
    blurred = reconstruct(images, acquisition.aligned(), shape)
    # Put back by the shifts that were drawn (pixels of 10 Å), and reconstructed at the angles that were.
    ky, kx = torch.fft.fftfreq(images.shape[1])[:, None], torch.fft.rfftfreq(images.shape[2])
    y, x = (torch.tensor(-acquisition.shift_errors[:, i, None, None] / 10).float() for i in range(2))
    back = filtered(images, torch.exp(-2j * torch.pi * (ky * y + kx * x)))
    known = replace(acquisition, angles=acquisition.angles + acquisition.angle_errors)
    sharp = reconstruct(back, known.aligned(), shape)
    np.testing.assert_allclose(peak_near(blurred, place), place, atol=1.0)
    np.testing.assert_allclose(peak_near(sharp, place), place, atol=0.2)
    assert float(sharp.max()) > 1.15 * float(blurred.max())


def test_a_point_of_the_density_volume_is_where_its_pose_puts_it() -> None:
    recipe = SimulationRecipe(shape=(33, 40, 46), voxel_size=8.0)
    rotation = poses(1, seed=4)
    place = np.array([15.3, 18.8, 24.6])
    about_centre = placed((place - (np.array(recipe.shape) - 1) / 2) * 8.0, rotation)
    volume = density_volume({"a": blobs((4, -3, 2))}, {"a": about_centre}, recipe)
    np.testing.assert_allclose(centre_of_mass(volume), place + rotation[0] @ (4, -3, 2), atol=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_a_reconstructed_particle_has_its_stored_rotation_and_hand(seed: int) -> None:
    microscope = PERFECT.model_copy(update={"tilt_limit": (89.0, 89.0)})
    recipe = SimulationRecipe(shape=(41, 41, 41), microscope=microscope)
    pose = poses(1, seed=seed)
    at_centre = placed([(3.0, -4.0, 2.0)], pose)
    images = projections({"a": HANDED}, {"a": at_centre}, recipe)
    volume = reconstruct(images, acquired(microscope).aligned(), recipe.shape)

    def likeness(density: Tensor, rotation: np.ndarray) -> float:
        return correlation(volume, density_volume({"a": density}, {"a": placed(at_centre.zyx, rotation)}, recipe))

    truth = likeness(HANDED, pose)
    mirrored = [HANDED.flip(axes) for axes in [(0,), (1,), (2,), (0, 1, 2)]]
    wrong = [likeness(HANDED, pose.transpose(0, 2, 1)), *(likeness(mirror, pose) for mirror in mirrored)]
    assert truth > 0.95
    assert max(wrong) < truth - 0.2


def test_back_projection_agrees_with_torch_reconstruct_tomogram(tmp_path: Path) -> None:
    recipe = SimulationRecipe(shape=(31, 49, 47), microscope=PERFECT)
    zyx = [(20.0, -65.0, 84.0), (-33.0, 52.0, -88.0), (5.0, 91.0, 63.0)]
    images = projections({"a": HANDED}, {"a": placed(zyx, poses(3, seed=5))}, recipe)
    assert all(n % 2 for n in images.shape[1:]), "only odd sizes have the same centre in both"
    path = tmp_path / "tilts.mrc"
    mrcfile.write(path, images.numpy())
    ours = acquired(PERFECT).aligned()
    n = len(images)
    series = TiltSeries(ours.tilt_angles, torch.zeros(n), torch.zeros(n, 2), image_path=path, pixel_spacing=10.0)
    theirs = reconstruct_tomogram(series, recipe.shape, 32, batch_size=1, preprocess=False)
    mine = reconstruct(images, ours, recipe.shape)
    inner = (slice(4, -4),) * 3
    a, b = (v[inner] - v[inner].mean() for v in (mine, theirs))
    assert correlation(a, b) > 0.9
    crossed = torch.fft.ifftn(torch.fft.fftn(a).conj() * torch.fft.fftn(b)).real
    assert np.unravel_index(int(crossed.argmax()), crossed.shape) == (0, 0, 0)
    # Nor half a voxel: the peak is as high on one side as on the other.
    for axis in range(3):
        ahead, behind = (float(crossed.roll(by, axis)[0, 0, 0] / crossed[0, 0, 0]) for by in (-1, 1))
        assert ahead == pytest.approx(behind, abs=0.03)


def test_no_power_in_the_missing_wedge() -> None:
    recipe = SimulationRecipe(shape=(64, 64, 64), microscope=MicroscopeOptions(tilt_limit=(45.0, 45.0)))
    volume = reconstruct(empty_images(recipe), acquired(recipe.microscope).aligned(), recipe.shape)
    window = torch.hann_window(64)
    spectrum = (torch.fft.fftn(volume * window[:, None, None] * window).abs() ** 2).mean(dim=1)
    kz, kx = torch.meshgrid(torch.fft.fftfreq(64), torch.fft.fftfreq(64), indexing="ij")
    angle = torch.rad2deg(torch.atan2(kz.abs(), kx.abs()))
    ring = (torch.hypot(kz, kx) > 0.1) & (torch.hypot(kz, kx) < 0.4)
    inside, outside = spectrum[ring & (angle > 55)].mean(), spectrum[ring & (angle < 40)].mean()
    assert float(inside) < 0.02 * float(outside)


# Filters.


@pytest.mark.parametrize("power", [0.0, 0.6, 1.0])
def test_the_ramp_weighs_waves_across_the_axis_by_a_power_of_their_frequency_and_leaves_those_along_it(
    power: float,
) -> None:
    x = torch.arange(128.0)
    middle = slice(40, 88)
    for k in (0.125, 0.25, 0.375):
        wave = torch.cos(2 * torch.pi * k * x).expand(1, 5, -1)
        ratio = ramp_filter(wave, power=power)[..., middle].norm() / wave[..., middle].norm()
        assert float(ratio) == pytest.approx((2 * k) ** power, rel=0.05)
    lines = torch.randn(1, 5, 1, generator=Generator().manual_seed(0)) * torch.cos(torch.pi * x / 2)
    filtered_lines = ramp_filter(lines, power=power)
    heights = lines[:, :, :1]
    torch.testing.assert_close(filtered_lines * heights[:, :1], filtered_lines[:, :1] * heights, rtol=0, atol=1e-6)


@pytest.mark.parametrize("resolution", [30.0, 40.0])
def test_the_low_pass_halves_amplitudes_at_its_resolution(resolution: float) -> None:
    kept = lowpass(torch.tensor([0.0, 0.5 / resolution, 1 / resolution, 2 / resolution]), resolution)
    np.testing.assert_allclose(kept, [1.0, 0.5**0.25, 0.5, 0.5**4], rtol=1e-5)
    noise = torch.randn(2, 32, 64, generator=Generator().manual_seed(0))
    k = frequencies((32, 64), 10.0)
    ratio = (torch.fft.rfft2(filtered(noise, lowpass(k, resolution))) / torch.fft.rfft2(noise))[0]
    by_row, by_column = torch.fft.fftfreq(32, 10.0), torch.fft.rfftfreq(64, 10.0)
    for y, x in [(8, 0), (0, 16), (-8, 0), (8, 16)]:
        square = float(by_row[y] ** 2 + by_column[x] ** 2) * resolution**2
        assert complex(ratio[y, x]) == pytest.approx(0.5**square, abs=1e-3)


def test_the_processing_is_drawn_from_its_ranges() -> None:
    recipe = ReconstructionOptions(
        lowpass=(30.0, 60.0), stretch=(0.9, 1.2), ramp=(0.5, 1.0), sampled_at=(7.0, 15.0), denoising=(0.6, 0.9)
    )
    drawn = [draw_processing(recipe, random=np.random.default_rng(seed)) for seed in range(100)]
    ranges = {
        "lowpass": (30, 60),
        "stretch": (0.9, 1.2),
        "ramp": (0.5, 1.0),
        "sampled_at": (7.0, 15.0),
        "denoising": (0.6, 0.9),
    }
    for name, (low, high) in ranges.items():
        values = [getattr(one, name) for one in drawn]
        assert low <= min(values) < max(values) <= high
        assert max(values) - min(values) > 0.9 * (high - low)
    assert draw_processing(ReconstructionOptions(), random=np.random.default_rng(0)).lowpass is None


@pytest.mark.parametrize("order", ["dose-symmetric", "one-way"])
def test_dose_weights_keep_the_noise_and_trust_fresh_tilts_with_detail(order: str) -> None:
    recipe = MicroscopeOptions(order=order)
    acquisition = acquired(recipe)
    k = frequencies((24, 30), 10.0)
    weights = dose_weights(acquisition, recipe, k)
    torch.testing.assert_close(weights.square().mean(dim=0), torch.ones_like(k))
    in_time = weights[torch.from_numpy(np.argsort(acquisition.exposure))]
    detailed = k > 0.005
    assert bool((in_time.diff(dim=0)[:, detailed] < 0).all())
    fresh_over_worn = in_time[0] / in_time[-1]
    assert float(fresh_over_worn[0, 0]) == pytest.approx(1, abs=1e-3)
    by_frequency = fresh_over_worn.flatten()[k.flatten().argsort()]
    assert bool((by_frequency.diff() > -1e-3).all())
    finest = float(k.max())
    critical = 0.24499 * finest**-1.6649 + 2.8141
    assert float(by_frequency[-1]) == pytest.approx(np.exp(np.ptp(acquisition.exposure) / (2 * critical)), rel=0.02)


@pytest.mark.parametrize("power", [0.0, 1.0, 2.5])
def test_tilt_weights_fall_with_the_cosine_about_a_mean_of_1(power: float) -> None:
    acquisition = acquired(MicroscopeOptions(pretilt=(8.0, 8.0)))
    recipe = ReconstructionOptions(tilt_weighting=power, dose_weighting=False)
    k = frequencies((8, 10), 10.0)
    weights = image_weights(acquisition, MicroscopeOptions(), recipe, Processing(None, 1.0), k)
    assert weights.shape == (len(acquisition), *k.shape)
    assert float(weights[:, 2, 3].mean()) == pytest.approx(1)
    expected = np.cos(np.radians(acquisition.angles)) ** power
    np.testing.assert_allclose(weights[:, 2, 3] / weights[20, 2, 3], expected / expected[20], rtol=1e-5)


def test_the_high_pass_keeps_half_of_its_length_and_nothing_of_the_mean() -> None:
    recipe = ReconstructionOptions(highpass=400.0, dose_weighting=False)
    k = torch.tensor([[0.0, 1 / 800, 1 / 400, 1 / 20]])
    weights = image_weights(acquired(MicroscopeOptions()), MicroscopeOptions(), recipe, Processing(None, 1.0), k)
    np.testing.assert_allclose(weights[7, 0], [0.0, 1 - 0.5**0.25, 0.5, 1.0], atol=1e-5)


def test_larger_voxels_lose_the_frequencies_that_they_cannot_hold() -> None:
    k = torch.tensor([[0.0, 1 / 100, 1 / 33, 1 / 30, 1 / 28, 1 / 20]])
    recipe = ReconstructionOptions(dose_weighting=False)
    at_15 = Processing(None, 1.0, sampled_at=15.0)
    weights = image_weights(acquired(MicroscopeOptions()), MicroscopeOptions(), recipe, at_15, k)
    np.testing.assert_allclose(weights[3, 0], [1.0, 1.0, 1.0, 0.5, 0.0, 0.0], atol=1e-5)


def test_weights_of_exposure_tilt_and_resolution_multiply() -> None:
    microscope, k = MicroscopeOptions(), frequencies((24, 30), 10.0)
    acquisition, blurry = acquired(microscope), Processing(35.0, 1.0)
    recipe = ReconstructionOptions(tilt_weighting=1.5)
    alone = image_weights(
        acquisition, microscope, recipe.model_copy(update={"dose_weighting": False}), Processing(None, 1.0), k
    )
    expected = alone * dose_weights(acquisition, microscope, k) * lowpass(k, 35.0)
    torch.testing.assert_close(image_weights(acquisition, microscope, recipe, blurry, k), expected)
    spared = image_weights(acquisition, microscope.model_copy(update={"damage": False}), recipe, blurry, k)
    torch.testing.assert_close(spared, alone * lowpass(k, 35.0))


def test_wiener_brings_back_what_contrast_transfer_took() -> None:
    microscope = MicroscopeOptions(defocus=(3.0, 3.0), defocus_error=0.3, tilt_step=20.0)
    recipe = SimulationRecipe(shape=(20, 60, 60), voxel_size=6.0, microscope=microscope)
    particles = {"a": placed([(0.0, -80.0, 60.0), (0.0, 80.0, -60.0)], poses(2, seed=1))}
    images = projections({"a": HANDED}, particles, recipe)
    perfect = recipe.model_copy(update={"microscope": PERFECT.model_copy(update={"tilt_step": 20.0})})
    truth = projections({"a": HANDED}, particles, perfect)
    shape = (images.shape[1], images.shape[2])
    undo = wiener(acquired(microscope), microscope, ReconstructionOptions(snr=100.0), shape=shape, pixel=6.0)
    assert bool(torch.isfinite(undo).all())
    restored = filtered(images, undo)
    for seen, better, true in zip(images, restored, truth, strict=True):
        assert correlation(better, true) > max(correlation(seen, true) + 0.1, 0.85)


@pytest.mark.parametrize("snr", [0.1, 0.3, 10.0])
def test_wiener_is_one_where_transfer_is_and_nought_at_its_zeros(snr: float) -> None:
    microscope = MicroscopeOptions(defocus=(3.0, 3.0), defocus_error=0.0, astigmatism=(0.0, 0.0))
    undo = wiener(acquired(microscope), microscope, ReconstructionOptions(snr=snr), shape=(2, 8192), pixel=4.0)
    assert bool(torch.isfinite(undo).all())
    row = undo[0, 0]
    assert float(row.abs().min()) < 0.1
    # x (1 + 1/snr) / (x² + 1/snr) is at most this, where x² = 1/snr, and 1 at x = 1.
    limit = (1 + 1 / snr) / (2 * snr**-0.5) if snr > 1 else 1.0
    assert float(row.abs().max()) == pytest.approx(limit, rel=0.02)


def test_wiener_with_a_falling_ratio_leaves_low_frequencies_and_weakens_high_ones() -> None:
    microscope = MicroscopeOptions(defocus=(3.0, 3.0), defocus_error=0.0, astigmatism=(0.0, 0.0))
    shape, length = (2, 8192), 90.0
    flat, falling = (
        wiener(
            acquired(microscope), microscope, ReconstructionOptions(snr=20.0, snr_falloff=by), shape=shape, pixel=4.0
        )
        for by in (0.0, length)
    )
    transfer = contrast_transfer(acquired(microscope), microscope, defocus=torch.tensor([3.0]), shape=shape, pixel=4.0)[
        0, 0
    ]
    k = frequencies(shape, 4.0)[0]
    noise = torch.exp(length * k) / 20
    torch.testing.assert_close(falling[0, 0], transfer / (transfer**2 + noise) * (1 + 1 / 20), rtol=1e-4, atol=1e-5)
    assert float(falling[0, 0, 0]) == pytest.approx(float(flat[0, 0, 0]))
    fine = k > 1 / 40
    assert bool((falling[0, 0, fine].abs() <= flat[0, 0, fine].abs()).all())


# Denoising.


def white(shape: tuple[int, int, int] = (48, 48, 48), *, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=Generator().manual_seed(seed))


def test_denoising_keeps_what_is_coarse() -> None:
    volume = denoised(white((64, 64, 64)), voxel_size=10.0, random=Generator().manual_seed(1))
    kept = {at: power(volume, at) for at in (0.15, 0.3, 0.42, 0.48)}
    # 0.01 by what is kept of each frequency; levelling off the bright side brings overtones.
    assert kept[0.42] < 0.03 * kept[0.15]
    assert kept[0.48] < 0.02 * kept[0.15]
    assert kept[0.3] < 0.5 * kept[0.15]
    assert kept[0.15] < 0.5 * power(volume, 0.03)


def test_denoising_is_the_same_with_the_same_seed() -> None:
    one, same, other = (denoised(white(), voxel_size=10.0, random=Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(one, same)
    assert 0.8 < correlation(one, other) < 0.999


@pytest.mark.parametrize("axis", range(3))
def test_denoising_keeps_the_same_resolution_at_another_voxel_size(axis: int) -> None:
    kept = {}
    for voxel_size in (10.0, 5.0):
        n = round(480 / voxel_size)
        bare = white((n, n, n), seed=3)
        for wavelength in (60.0, 30.0):
            wave = 0.03 * torch.sin(2 * torch.pi * torch.arange(n) * voxel_size / wavelength)
            wave = wave.reshape([n if i == axis else 1 for i in range(3)])
            seen, without = (
                denoised(v, voxel_size=voxel_size, random=Generator().manual_seed(1)) for v in (bare + wave, bare)
            )
            kept[voxel_size, wavelength] = float((wave * (seen - without)).mean())
    ratios = [kept[v, 60.0] / kept[v, 30.0] for v in (10.0, 5.0)]
    assert ratios[0] > 1.5
    assert ratios[1] == pytest.approx(ratios[0], rel=0.1)


def test_denoised_tomograms_keep_finer_detail_along_the_tilt_axis() -> None:
    noise = torch.randn(32, 64, 64, generator=torch.Generator().manual_seed(0))
    smooth = denoised(noise, voxel_size=10.0, random=torch.Generator().manual_seed(1))
    power = torch.fft.fftn(smooth).abs().square()
    frequency = torch.fft.fftfreq(64).abs()  # 1 / voxel
    band, slow = (frequency > 0.3) & (frequency < 0.45), frequency < 0.06
    along_y, along_x = (power[:2][:, one][:, :, other].mean() for one, other in ((band, slow), (slow, band)))
    assert along_y > 1.3 * along_x


def test_stretch_makes_denoised_tomograms_blurrier() -> None:
    plain, blurry = (
        denoised(white(), voxel_size=10.0, random=Generator().manual_seed(1), stretch=stretch) for stretch in (1.0, 1.5)
    )
    coarse, fine = 0.04, 0.25
    assert power(blurry, fine) / power(blurry, coarse) < 0.5 * power(plain, fine) / power(plain, coarse)


def test_denoising_levels_the_bright_side_off_and_not_the_dark() -> None:
    volume = white()
    volume[20:28, 10:18, 10:18] += 30
    volume[20:28, 30:38, 30:38] -= 30
    result = denoised(volume, voxel_size=10.0, random=Generator().manual_seed(1))
    assert 0.95 * BRIGHTEST < float(result.max()) <= 1.0001 * BRIGHTEST
    assert float(result.min()) < -4 * BRIGHTEST


def test_denoising_puts_some_power_into_the_missing_wedge() -> None:
    recipe = SimulationRecipe(shape=(48, 48, 48), microscope=MicroscopeOptions(tilt_limit=(45.0, 45.0)))
    volume = reconstruct(empty_images(recipe), acquired(recipe.microscope).aligned(), recipe.shape)
    kz, _, kx = torch.meshgrid(*(torch.fft.fftfreq(48) for _ in range(3)), indexing="ij")
    along_z = (kz.abs() > 0.1) & (kz.abs() < 0.2) & (kx.abs() < 0.02)
    along_x = (kx.abs() > 0.1) & (kx.abs() < 0.2) & (kz.abs() < 0.02)

    def in_wedge(data: Tensor) -> float:
        window = torch.hann_window(48)
        spectrum = torch.fft.fftn(data * window[:, None, None] * window).abs() ** 2
        return float(spectrum[along_z].mean() / spectrum[along_x].mean())

    after = in_wedge(denoised(volume, voxel_size=10.0, random=Generator().manual_seed(1)))
    assert in_wedge(volume) < 0.01
    assert 0.015 < after < 0.3
