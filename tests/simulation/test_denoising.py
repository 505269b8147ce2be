"""The stand-in for denoising: what it keeps of each frequency, by its table, in 1/Å and along the right axes."""

import numpy as np
import pytest
import torch

from tomosoup.simulation.microscope.denoising import ALONG_AXIS, BAND, BRIGHTEST, GAIN, RESIDUAL, denoised

N = 48


def wave(period_vox: float, axis: int, amplitude: float = 1.0) -> torch.Tensor:
    shape = [1, 1, 1]
    shape[axis] = N
    values = amplitude * torch.cos(2 * torch.pi * torch.arange(N) / period_vox)
    return values.reshape(shape).expand(N, N, N)


def kept(axis: int, *, voxel_size: float, cycles: int = 6, stretch: float = 1.0) -> float:
    """What is left of a wave in the dark half, which levelling leaves alone, over what is left of the noise."""
    random = torch.Generator().manual_seed(0)
    noise = torch.randn(N, N, N, generator=random)
    quiet, with_wave = (
        denoised(noise + strength * wave(N / cycles, axis), voxel_size=voxel_size, stretch=stretch,
                 random=torch.Generator().manual_seed(1))
        for strength in (0.0, 1e-2)
    )  # fmt: skip
    dark = quiet < 0
    known = wave(N / cycles, axis)[dark]
    return float(((with_wave - quiet)[dark] * known).sum() / known.square().sum() / 1e-2)


def expected_gain(axis: int, *, voxel_size: float, cycles: int = 6, stretch: float = 1.0) -> float:
    k = cycles / N / voxel_size * stretch * (ALONG_AXIS if axis == 1 else 1)
    return float(np.interp(k, (np.arange(12) + 0.5) * BAND, GAIN))


@pytest.mark.parametrize("axis", [0, 2])
def test_the_tilt_axis_keeps_finer_detail_than_the_others(axis: int) -> None:
    along, across = kept(1, voxel_size=10.0, cycles=3), kept(axis, voxel_size=10.0, cycles=3)
    wanted = expected_gain(1, voxel_size=10.0, cycles=3) / expected_gain(axis, voxel_size=10.0, cycles=3)
    assert wanted > 1.15
    assert along / across == pytest.approx(wanted, rel=0.02)


def test_twice_the_stretch_is_twice_the_frequency() -> None:
    ratio = kept(2, voxel_size=10.0, stretch=2.0, cycles=3) / kept(2, voxel_size=10.0, stretch=2.0, cycles=6)
    wanted = expected_gain(2, voxel_size=10.0, cycles=6) / expected_gain(2, voxel_size=10.0, cycles=12)
    assert ratio == pytest.approx(wanted, rel=0.02)


def test_resolution_is_in_angstrom_and_not_in_voxels() -> None:
    ratio = kept(2, voxel_size=5.0, cycles=3) / kept(2, voxel_size=5.0, cycles=9)
    wanted = expected_gain(2, voxel_size=5.0, cycles=3) / expected_gain(2, voxel_size=5.0, cycles=9)
    assert ratio == pytest.approx(wanted, rel=0.02)


def test_brightness_levels_off_and_darkness_does_not() -> None:
    volume = torch.randn(32, 32, 32, generator=torch.Generator().manual_seed(0))
    volume[8:16, 8:16, 8:16] += 50
    volume[20:28, 20:28, 20:28] -= 50
    seen = denoised(volume, voxel_size=10.0, random=torch.Generator().manual_seed(1))
    assert float(seen.max()) <= BRIGHTEST * (1 + 1e-6)
    assert float(seen.min()) < -3 * BRIGHTEST


def test_the_outcome_is_in_deviations_of_the_noise_whatever_the_input_is_in() -> None:
    volume = torch.randn(32, 32, 32, generator=torch.Generator().manual_seed(0))
    one, other = (denoised(volume * s, voxel_size=10.0, random=torch.Generator().manual_seed(1)) for s in (1.0, 1e3))
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)
    assert 0.9 < float(one[one < 0].square().mean().sqrt()) < 1.15


def test_a_residue_of_noise_is_the_generators_and_as_strong_as_said() -> None:
    volume = torch.randn(32, 32, 32, generator=torch.Generator().manual_seed(0))
    one, again, other = (denoised(volume, voxel_size=10.0, random=torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    torch.testing.assert_close(one, again)
    dark = (one < 0) & (other < 0)
    difference = float((one - other)[dark].square().mean().sqrt())
    assert difference == pytest.approx(RESIDUAL * 2**0.5, rel=0.15)


def test_the_volume_that_is_given_stays_as_it_was() -> None:
    volume = torch.randn(16, 16, 16)
    before = volume.clone()
    denoised(volume, voxel_size=10.0, random=torch.Generator())
    torch.testing.assert_close(volume, before)
