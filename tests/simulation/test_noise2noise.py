"""Training on half-sets: which voxels are shown, what is learnt, resuming, and the file of the weights."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.ndimage import gaussian_filter

from tomosoup.core.errors import InputError
from tomosoup.data.tomogram import Tomogram
from tomosoup.simulation.denoising import noise2noise
from tomosoup.simulation.denoising.half_sets import HalfSetCrops, Pair
from tomosoup.simulation.denoising.noise2noise import identity_of, learning_rate, train_denoiser
from tomosoup.simulation.denoising.options import Noise2NoiseOptions
from tomosoup.simulation.denoising.weights import KEY, read_denoiser
from tomosoup.simulation.spectrum import FREQUENCIES

SHAPE = (20, 50, 40)
TINY = Noise2NoiseOptions(updates=6, crop=16, widths=(2, 2, 2), report_every=4, warmup=1)


def tomogram(array: np.ndarray, name: str = "half1") -> Tomogram:
    return Tomogram("run", name, 10.0, (5.0, 5.0, 5.0), array)


def pair(one: np.ndarray, other: np.ndarray) -> Pair:
    return tomogram(one), tomogram(other, "half2")


def noisy_pair(seed: int = 0) -> Pair:
    random = np.random.default_rng(seed)
    signal = gaussian_filter(random.normal(size=SHAPE), 3)
    one, other = (signal / signal.std() + random.normal(size=SHAPE) for _ in range(2))
    return pair(one, other)


# Crops.


def along(axis: int) -> np.ndarray:
    """The index along an axis, standardised, so that a crop tells where it is from."""
    values = np.indices(SHAPE)[axis].astype(float)
    return (values - values.mean()) / values.std(ddof=1)


def crops(one: np.ndarray, other: np.ndarray, *, batches: int = 20) -> tuple[torch.Tensor, torch.Tensor]:
    source = HalfSetCrops([pair(one, other)], 16)
    shown, wanted = zip(*(source.batch(i, 2) for i in range(batches)), strict=True)
    return torch.cat(shown), torch.cat(wanted)


def test_both_halves_of_a_crop_are_from_the_same_place() -> None:
    one = np.random.default_rng(0).normal(size=SHAPE)
    shown, wanted = crops(one, one)
    assert torch.equal(shown, wanted)
    assert len(torch.unique(shown[:, 0, 0, 0, 0])) > 10


def test_either_half_is_the_input() -> None:
    shown, wanted = (part.diff(dim=4).abs().amax(dim=(1, 2, 3, 4)) > 0 for part in crops(along(2), along(0)))
    assert torch.equal(shown, ~wanted)
    assert 5 < int(shown.sum()) < 35


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_crops_are_flipped_and_never_turned(axis: int) -> None:
    shown, _ = crops(along(axis), along(axis))
    for other in {0, 1, 2} - {axis}:
        assert float(shown.diff(dim=2 + other).abs().max()) < 1e-6
    rises = (shown.diff(dim=2 + axis) > 0).all(dim=(1, 2, 3, 4))
    assert 5 < int(rises.sum()) < 35


def test_held_out_crops_are_not_trained_on() -> None:
    y = along(1)
    source = HalfSetCrops([pair(y, y)], 16)
    trained = torch.cat([source.batch(i, 4)[0] for i in range(50)])
    assert float(trained.max()) == pytest.approx(y[0, SHAPE[1] - 17, 0])
    assert float(source.held_out.min()) == pytest.approx(y[0, SHAPE[1] - 16, 0])


def test_halves_are_standardised_by_themselves() -> None:
    one = np.random.default_rng(0).normal(size=SHAPE)
    shown, wanted = crops(one, 1e-2 * one + 1)
    torch.testing.assert_close(shown, wanted, atol=1e-3, rtol=1e-3)


def test_targets_are_always_the_second_and_scaled_so_that_the_first_is_they_and_noise() -> None:
    random = np.random.default_rng(0)
    clean = gaussian_filter(random.normal(size=SHAPE), 2)
    clean /= clean.std()
    source = HalfSetCrops([pair(clean + 2 * random.normal(size=SHAPE), clean)], 16, targets=True)
    shown, wanted = (torch.cat(part) for part in zip(*(source.batch(i, 2) for i in range(40)), strict=True))
    rough = [float(part.diff(dim=4).square().mean()) for part in (shown, wanted)]
    assert rough[0] > 10 * rough[1]
    slope = float((shown * wanted).sum() / wanted.square().sum())
    assert slope == pytest.approx(1.0, abs=0.1)


def test_tomograms_smaller_than_crops_are_refused() -> None:
    small = np.zeros((20, 31, 40))
    with pytest.raises(InputError, match="`crop`"):
        HalfSetCrops([pair(small, small)], 16)


# Training.


def test_the_net_learns_the_signal_and_not_the_noise() -> None:
    options = Noise2NoiseOptions(updates=60, crop=16, batch_size=8, widths=(8, 8, 8), warmup=5, learning_rate=5e-3)
    made = train_denoiser([noisy_pair(i) for i in range(2)], options)
    assert made.error is not None
    assert made.raw_error == pytest.approx(1.0, abs=0.25)  # half of each variance is noise, and there are two
    assert made.error < 0.75


def test_a_stopped_training_resumes_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise2noise, "STORED_EVERY", 2)
    whole = train_denoiser([noisy_pair()], TINY)

    def stop(_: str, done: int, __: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_denoiser([noisy_pair()], TINY, state=tmp_path / "state", progress=stop)
    begun: list[int] = []
    resumed = train_denoiser(
        [noisy_pair()], TINY, state=tmp_path / "state", progress=lambda *said: begun.append(said[1])
    )
    assert begun[0] == 4
    assert resumed.metadata() == whole.metadata()
    for name, weight in whole.net.state_dict().items():
        assert torch.equal(weight, resumed.net.state_dict()[name]), name


def test_another_projects_halves_of_the_same_names_are_another_training() -> None:
    one, two = noisy_pair(0)
    inverted = replace(one, inverted=True), replace(two, inverted=True)
    first, again, other, turned = (
        identity_of([p], TINY, None) for p in ((one, two), noisy_pair(0), noisy_pair(1), inverted)
    )
    assert first == again
    assert other != first != turned
    assert identity_of([(one, two)], TINY.model_copy(update={"report_every": 1}), None) == first


def test_another_training_does_not_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise2noise, "STORED_EVERY", 2)
    train_denoiser([noisy_pair()], TINY, state=tmp_path / "state")
    with pytest.raises(InputError, match="another seed"):
        train_denoiser([noisy_pair()], TINY.model_copy(update={"seed": 1}), state=tmp_path / "state")


def test_a_training_starts_from_given_weights() -> None:
    first = train_denoiser([noisy_pair()], TINY)
    still = TINY.model_copy(update={"updates": 1, "learning_rate": 1e-12, "widths": (3, 3, 3)})
    second = train_denoiser([noisy_pair()], still, start=first)
    assert second.updates == 7
    for name, weight in first.net.state_dict().items():
        torch.testing.assert_close(weight, second.net.state_dict()[name])


def test_the_learning_rate_rises_and_then_falls_to_a_hundredth() -> None:
    options = Noise2NoiseOptions(updates=100, warmup=10, learning_rate=1.0)
    rates = [learning_rate(options, update) for update in range(100)]
    assert rates[:11] == pytest.approx([(i + 1) / 11 for i in range(11)])
    assert rates[55] == pytest.approx(0.505, abs=0.01)
    assert rates[99] == pytest.approx(0.01, abs=0.001)
    assert rates[10:] == sorted(rates[10:], reverse=True)


# The file.


def test_a_file_holds_all_of_a_denoiser(tmp_path: Path) -> None:
    made = replace(train_denoiser([noisy_pair()], TINY), spectrum=tuple(-50 * FREQUENCIES))
    made.save(tmp_path / "net.safetensors")
    read = read_denoiser(tmp_path / "net.safetensors")
    assert read.metadata() == made.metadata()
    assert read.spectrum == made.spectrum
    volume = torch.randn(1, 1, 16, 16, 16)
    torch.testing.assert_close(read.net(volume), made.net(volume), atol=1e-2, rtol=1e-2)


def test_other_files_are_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no denoiser"):
        read_denoiser(tmp_path / "none.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    (tmp_path / "text.safetensors").write_text("hello")
    save_file({"a": torch.zeros(1)}, tmp_path / "newer.safetensors", metadata={KEY: '{"format": 2}'})
    for name, message in (("other", "not a denoiser"), ("text", "not a denoiser"), ("newer", "newer version")):
        with pytest.raises(InputError, match=message):
            read_denoiser(tmp_path / f"{name}.safetensors")


@pytest.mark.parametrize("spectrum", [(1.0, 2.0), (float("nan"),) * len(FREQUENCIES)])
def test_a_spectrum_that_is_none_is_refused(tmp_path: Path, spectrum: tuple[float, ...]) -> None:
    replace(train_denoiser([noisy_pair()], TINY), spectrum=spectrum).save(tmp_path / "net.safetensors")
    with pytest.raises(InputError, match="not a denoiser"):
        read_denoiser(tmp_path / "net.safetensors")


def test_weights_that_do_not_fit_their_net_are_refused(tmp_path: Path) -> None:
    made = train_denoiser([noisy_pair()], TINY)
    wrong = replace(made, net=made.net)
    wrong.net.widths = (3, 3, 3)
    wrong.save(tmp_path / "net.safetensors")
    with pytest.raises(InputError, match="not a denoiser"):
        read_denoiser(tmp_path / "net.safetensors")
