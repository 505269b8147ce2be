"""Amplitude spectra: measured in 1/Å whatever the voxels, given to other tomograms, without harm by gold or margins."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from tomosoup.core.types import Volume
from tomosoup.simulation.spectrum import FREQUENCIES, LARGEST, spectrum, with_spectrum


def radial(shape: tuple[int, ...], voxel_size: float) -> Tensor:
    """The frequency (1/Å) of each number of `rfftn`."""
    z, y, x = shape
    along = torch.fft.fftfreq(z)[:, None, None], torch.fft.fftfreq(y)[:, None], torch.fft.rfftfreq(x)
    return (along[0] ** 2 + along[1] ** 2 + along[2] ** 2).sqrt() / voxel_size


def reddened(volume: Volume) -> Volume:
    """The volume as a program might make it that weights low frequencies more."""
    return filtered(volume, torch.exp(-60 * radial(volume.shape, volume.voxel_size)))


def below_nyquist(volume: Volume) -> Tensor:
    """Without the corners of the spectrum, beyond the highest frequency along an axis."""
    return filtered(volume, (radial(volume.shape, 1.0) < 0.5).float()).data


def filtered(volume: Volume, factor: Tensor) -> Volume:
    return Volume(torch.fft.irfftn(torch.fft.rfftn(volume.data) * factor, s=volume.shape), volume.voxel_size)


def noise(*shape: int, voxel_size: float = 10.0, seed: int = 0) -> Volume:
    return Volume(torch.randn(shape, generator=torch.Generator().manual_seed(seed)), voxel_size)


def correlation(one: Tensor, other: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1])


@pytest.mark.parametrize("voxel_size", [7.0, 10.0, 14.0])
def test_a_wave_shows_at_its_frequency_whatever_the_voxels(voxel_size: float) -> None:
    x = torch.arange(100) * voxel_size
    wave = torch.sin(2 * math.pi * x / 80).expand(100, 100, 100).contiguous()
    found = spectrum(Volume(wave + 1e-3 * noise(100, 100, 100).data, voxel_size))
    assert FREQUENCIES[int(np.nanargmax(found))] == pytest.approx(1 / 80)
    assert np.array_equal(np.isfinite(found), 0.5 / voxel_size >= FREQUENCIES)


def test_the_slope_of_a_spectrum_is_that_of_the_filter() -> None:
    change = spectrum(reddened(noise(96, 128, 128))) - spectrum(noise(96, 128, 128))
    assert np.polyfit(FREQUENCIES, change, 1)[0] == pytest.approx(-60, rel=0.03)


def test_a_filtered_tomogram_becomes_what_it_was() -> None:
    volume = noise(70, 150, 130)
    changed = reddened(volume)
    assert correlation(changed.data, below_nyquist(volume)) < 0.9
    made = with_spectrum(changed, spectrum(noise(96, 128, 128, seed=1)))
    assert correlation(below_nyquist(made), below_nyquist(volume)) > 0.99
    assert (made.voxel_size, made.origin) == (volume.voxel_size, volume.origin)


def test_the_grey_values_keep_their_scale_and_the_given_volume_its_values() -> None:
    volume = Volume(3e-6 * noise(40, 64, 50).data + 2e-5, 10.0)
    before = volume.data.clone()
    made = with_spectrum(volume, -50 * FREQUENCIES)
    assert float(made.data.mean()) == pytest.approx(2e-5, rel=1e-3)
    assert float(made.data.std()) == pytest.approx(3e-6, rel=0.02)
    assert torch.equal(volume.data, before)
    assert not torch.allclose(made.data, before, rtol=0.01)


def test_gold_and_empty_margins_do_not_count() -> None:
    volume = noise(128, 192, 192)
    spoiled = volume.data.clone()
    spoiled[:, :, 150:] = 0
    spoiled[10:30, 20:40, 20:40] = -200
    assert spectrum(Volume(spoiled[:64, :64, :64], 10.0)).max() > spectrum(volume).max() + 5  # gold alone
    assert spectrum(Volume(spoiled, 10.0)) == pytest.approx(spectrum(volume), abs=0.2)


def test_a_gap_in_the_spectrum_stays() -> None:
    volume, frequency = noise(96, 128, 128), radial((96, 128, 128), 10.0)
    transfer = (1 - 0.9 * torch.exp(-(((frequency - 0.02) / 0.002) ** 2))) * torch.exp(-60 * frequency)
    seen = filtered(volume, transfer)
    expected = spectrum(seen) - spectrum(volume) + 60 * FREQUENCIES
    found = spectrum(with_spectrum(seen, spectrum(volume))) - spectrum(volume)
    assert np.ptp(expected) > 0.8
    np.testing.assert_allclose(found - found.mean(), expected - expected.mean(), atol=0.25)


def test_a_frequency_without_signal_is_not_raised_without_limit() -> None:
    volume = noise(64, 64, 64)
    lowpassed = filtered(volume, (radial(volume.shape, 10.0) < 0.03).float())
    change = spectrum(with_spectrum(lowpassed, spectrum(volume))) - spectrum(lowpassed)
    assert change[-5:].max() - change[:10].mean() <= 2 * math.log(LARGEST) + 1


def test_opposite_faces_do_not_mix() -> None:
    data = torch.zeros(64, 64, 64)
    data[:6] = noise(6, 64, 64).data
    made = with_spectrum(Volume(data, 10.0), -100 * FREQUENCIES)
    assert float(made.data[-3:].std()) < 0.02 * float(made.data[:6].std())


@pytest.mark.parametrize("shape", [(1, 80, 70), (20, 9, 11), (1, 1, 1)])
def test_any_size_keeps_it(shape: tuple[int, int, int]) -> None:
    assert with_spectrum(noise(*shape), -10 * FREQUENCIES).shape == shape


def test_equal_voxels_stay() -> None:
    volume = Volume(torch.full((20, 20, 20), 7.0), 10.0)
    assert np.isnan(spectrum(volume)).all()
    assert with_spectrum(volume, -10 * FREQUENCIES) is volume
