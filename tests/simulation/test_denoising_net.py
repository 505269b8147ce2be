"""The denoising net: any size, by pieces as in one go, in the scale of the tomogram, on voxels of another size."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tomosoup.core.errors import InputError
from tomosoup.core.types import Volume
from tomosoup.simulation.denoising import apply
from tomosoup.simulation.denoising.apply import denoise, denoise_volume
from tomosoup.simulation.denoising.net import DenoisingNet
from tomosoup.simulation.denoising.weights import SHIPPED, Denoiser, shipped_denoiser
from tomosoup.simulation.options.recipe import SimulationRecipe
from tomosoup.simulation.simulate import simulate_run
from tomosoup.simulation.spectrum import FREQUENCIES, with_spectrum


@pytest.fixture
def net() -> DenoisingNet:
    torch.manual_seed(1)
    made = DenoisingNet((4, 6, 8)).requires_grad_(False)
    for bias in (p for p in made.parameters() if p.ndim == 1):
        torch.nn.init.normal_(bias, std=0.3)  # at 0, so many maps would be 0 that seams hide
    return made


def standardised(volume: Tensor) -> Tensor:
    return (volume - volume.mean()) / volume.std()


@pytest.mark.parametrize("shape", [(8, 8, 8), (13, 22, 9), (1, 40, 17), (24, 16, 30)])
def test_a_tomogram_of_any_size_keeps_it(net: DenoisingNet, shape: tuple[int, int, int]) -> None:
    assert denoise(net, torch.randn(shape)).shape == shape


def test_slabs_are_what_the_whole_net_gives(net: DenoisingNet, monkeypatch: pytest.MonkeyPatch) -> None:
    volume = torch.randn(64, 24, 16)
    expected = net(standardised(volume)[None, None])[0, 0] * volume.std() + volume.mean()
    for planes in (2, 6, 10, 100):
        monkeypatch.setattr(apply, "AT_ONCE", planes * 12 * 8)
        torch.testing.assert_close(denoise(net, volume), expected, atol=1e-5, rtol=1e-4)


def test_the_result_is_in_the_scale_of_the_tomogram(net: DenoisingNet) -> None:
    volume = torch.randn(16, 16, 16)
    plain = denoise(net, volume)
    torch.testing.assert_close(denoise(net, 1e-6 * volume + 1e-5), 1e-6 * plain + 1e-5, atol=1e-10, rtol=1e-3)


@pytest.mark.parametrize("voxel_size", [10.0, 8.0])
def test_less_strength_leaves_as_much_of_the_tomogram(net: DenoisingNet, voxel_size: float) -> None:
    volume = Volume(torch.randn(16, 24, 16), voxel_size)
    given = volume.data.clone()
    whole, most, none = (
        denoise_volume(Denoiser(net, 10.0, "nothing", strength=strength), volume).data for strength in (1.0, 0.7, 0.0)
    )
    torch.testing.assert_close(most, 0.7 * whole + 0.3 * given)
    torch.testing.assert_close(none, given)
    assert torch.equal(volume.data, given)


@pytest.mark.parametrize("voxel_size", [10.0, 8.0])
def test_a_denoiser_with_a_spectrum_sees_a_tomogram_of_that_spectrum(net: DenoisingNet, voxel_size: float) -> None:
    volume, target = Volume(torch.randn(40, 48, 40), voxel_size), tuple(-60 * FREQUENCIES)
    plain = Denoiser(net, 10.0, "nothing", strength=0.9)
    made = denoise_volume(replace(plain, spectrum=target), volume).data
    torch.testing.assert_close(made, denoise_volume(plain, with_spectrum(volume, target)).data)
    assert not torch.allclose(made, denoise_volume(plain, volume).data, rtol=0.1)


def test_programs_that_weight_frequencies_differently_give_the_same_denoised_tomogram() -> None:
    """A filter of all frequencies changes little of what the bundled net makes, without its spectrum a lot."""
    density = torch.randn(48, 64, 64)
    frequency = (torch.fft.fftfreq(48)[:, None, None] ** 2 + torch.fft.fftfreq(64)[:, None] ** 2
                 + torch.fft.rfftfreq(64) ** 2).sqrt() / 10  # fmt: skip
    given, other = (
        Volume(torch.fft.irfftn(torch.fft.rfftn(density) * factor * (frequency < 0.05), s=density.shape), 10.0)
        for factor in (torch.exp(-60 * frequency), frequency.sqrt())
    )
    with_it, without = (
        [denoise_volume(replace(shipped_denoiser(), spectrum=spectrum), volume).data for volume in (given, other)]
        for spectrum in (shipped_denoiser().spectrum, None)
    )
    inner = (slice(8, -8),) * 3
    alike, unlike = (
        float(torch.corrcoef(torch.stack([made[inner].flatten() for made in pair]))[0, 1])
        for pair in (with_it, without)
    )
    assert alike > 0.95
    assert unlike < 0.8


def test_the_tomogram_that_is_given_stays_as_it_was(net: DenoisingNet) -> None:
    volume = torch.randn(16, 16, 16)
    before = volume.clone()
    denoise(net, volume)
    assert torch.equal(volume, before)


def test_a_voxel_is_changed_by_its_surroundings_only(net: DenoisingNet) -> None:
    near, far = torch.randn(2, 1, 1, 64, 16, 128).unbind()
    far[..., :80] = near[..., :80]
    difference = (net(near) - net(far)).abs().amax(dim=(0, 1, 2, 3))
    assert float(difference[: 80 - 56].max()) < 1e-5
    assert float(difference[80:].min()) > 1e-4


def lowpass_net() -> DenoisingNet:
    """A net that gives each group of 2 x 2 x 2 voxels their mean where that is above 0."""
    net = DenoisingNet((1, 1, 1)).requires_grad_(False)
    for weight in net.parameters():
        weight.zero_()
    net.down[0][0].weight[:, :, 1, 1, 1] = 1 / 8
    for convolution in (net.down[0][2], net.up[0][0], net.up[0][2]):
        convolution.weight[:, :, 1, 1, 1] = 1
    net.head.weight.fill_(1)
    return net


@pytest.mark.parametrize("voxel_size", [6.0, 10.0, 14.0])
def test_a_tomogram_of_another_voxel_size_keeps_grid_and_positions(voxel_size: float) -> None:
    shape = (20, 56, 60)
    x = torch.arange(shape[2]) * voxel_size
    # A wave of 160 Å, so long that halved resolution blurs it little.
    wave = (torch.sin(2 * math.pi * x / 160) + 2).expand(shape).contiguous()
    volume = Volume(wave, voxel_size)
    said: list[str] = []
    made = denoise_volume(Denoiser(lowpass_net(), 10.0, "nothing"), volume, log=said.append)
    assert (made.data.shape, made.voxel_size, made.origin) == (shape, voxel_size, volume.origin)
    assert len(said) == (voxel_size != 10.0)
    # What is above the mean is left, where it was: pairs of voxels have one value, so it is not exact.
    inner = made.data[10, 28, 12:48] - 2
    known = wave[10, 28, 12:48] - 2
    assert float((inner - known)[known > 0.2].abs().max()) < 0.45


def test_voxels_that_cannot_be_right_are_refused(net: DenoisingNet) -> None:
    with pytest.raises(InputError, match="voxel_size"):
        denoise_volume(Denoiser(net, 10.0, "nothing"), Volume(torch.randn(16, 16, 16), 0.1))


SEEN_WHOLE = {
    "tilt_limit": (78, 78),
    "dose": (1e5, 1e5),
    "detected": (1, 1),
    "damage": False,
    "mean_free_path": 1e6,
}


@pytest.fixture(scope="module")
def contest() -> SimulationRecipe:
    recipe = SimulationRecipe.read("contest")
    options = recipe.reconstruction.model_copy(update={"tomo_types": ("ctfdeconvolved",), "half_sets": True})
    return recipe.model_copy(update={"shape": (48, 96, 96), "reconstruction": options})


@pytest.fixture(scope="module")
def unseen(contest: SimulationRecipe) -> dict[str, Volume]:
    return simulate_run(contest, seed=99).volumes


def test_the_bundled_denoiser_predicts_the_other_half_of_a_run_that_it_has_not_seen(unseen: dict[str, Volume]) -> None:
    one, other = (unseen[f"ctfdeconvolved-half{i}"].data for i in (1, 2))
    denoiser = shipped_denoiser()
    assert denoiser.voxel_size == 10.0
    raw, made = (float((half - other).square().mean()) for half in (one, denoise(denoiser.net, one)))
    # The other half has variance 1: without any signal 1 is the best, and the raw half has 2.
    assert made < 0.98
    assert made < 0.6 * raw


def in_the_wedge(volume: torch.Tensor) -> torch.Tensor:
    """The part of a tomogram at frequencies that tilts to 48 degrees do not show, without the lowest ones."""
    z, y, x = volume.shape
    kz, _, kx = torch.meshgrid(torch.fft.fftfreq(z), torch.fft.fftfreq(y), torch.fft.rfftfreq(x), indexing="ij")
    unseen = (kz.abs() > 1.3 * kx) & (kz.abs() > 0.03)
    return torch.fft.irfftn(torch.fft.rfftn(volume - volume.mean()) * unseen, s=volume.shape)


def test_the_other_bundled_network_fills_in_the_wedge(contest: SimulationRecipe, unseen: dict[str, Volume]) -> None:
    microscope = contest.microscope.model_copy(update=SEEN_WHOLE)
    whole = simulate_run(contest.model_copy(update={"microscope": microscope}), seed=99).volumes["ctfdeconvolved"].data
    given = unseen["ctfdeconvolved"].data
    made = [given, *(denoise(shipped_denoiser(name).net, given) for name in ("denoiser", "wedge"))]
    likeness = [
        float(torch.corrcoef(torch.stack([in_the_wedge(whole), in_the_wedge(v)]).flatten(1))[0, 1]) for v in made
    ]
    assert likeness == sorted(likeness)
    amounts = [float(in_the_wedge(v).std() / v.std()) for v in (whole, *made)]
    assert amounts[3] == pytest.approx(amounts[0], rel=0.2)
    assert max(amounts[1:3]) < 0.5 * amounts[0]


def test_the_bundled_networks_are_small() -> None:
    assert all((SHIPPED / f"{name}.safetensors").stat().st_size < 1e6 for name in ("denoiser", "wedge"))
