"""Measures the networks of `tomosoup denoise` on simulated runs that they have not seen.

    python -m runs.checks.denoisers simulate OUT [--jobs N]
    python -m runs.checks.denoisers measure OUT [--denoiser FILE] [--wedge FILE]    # without files: the bundled ones

Two runs of the recipe `contest`, made as those that the networks learn from (runs/models/denoiser.py). The first table
is of the second run's half-sets: the mean square difference of a half from the other half, which has variance 1. The
linear filter has one factor per frequency, the best for the first run. The second table compares tomograms with the
whole sample: their standard deviation at frequencies that tilts to 48 degrees do not show, as a share of that of all
frequencies, and their correlation with the whole sample there and over all frequencies.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from runs.models.denoiser import TYPES, simulate_twice, with_whole
from runs.shared.command import run_step
from tomosoup.core.runtime import one_thread
from tomosoup.simulation.denoising.apply import denoise
from tomosoup.simulation.denoising.half_sets import half_sets
from tomosoup.simulation.denoising.weights import Denoiser, read_denoiser, shipped_denoiser

SEED, RECIPE = 99, "contest"
BANDS = 24
"""Frequencies along an axis that a factor of the linear filter is for."""


def simulate(out: Path, *, jobs: int = 1) -> None:
    """Simulate both runs."""
    simulate_twice(out, RECIPE, runs=2, seed=SEED, jobs=jobs)


def measure(out: Path, *, denoiser: Path | None = None, wedge: Path | None = None) -> None:
    """Print both tables."""
    nets = {
        "denoiser": read_denoiser(denoiser) if denoiser else shipped_denoiser("denoiser"),
        "wedge": read_denoiser(wedge) if wedge else shipped_denoiser("wedge"),
    }
    with one_thread():
        _print_halves(out, nets["denoiser"])
        _print_wedge(out, nets)


def _print_halves(out: Path, denoiser: Denoiser) -> None:
    pairs = half_sets(out / RECIPE, (f"{TYPES[0]}-half1", f"{TYPES[0]}-half2"))
    first, second = [[_scaled(half.read().data) for half in pair] for pair in pairs]
    factors = linear_filter(*first)
    ways: dict[str, Callable[[Tensor], Tensor]] = {
        "the half itself": lambda half: half,
        "the mean grey value": torch.zeros_like,
        "the linear filter": lambda half: filtered(half, factors),
        "the network": lambda half: denoise(denoiser.net, half),
    }
    print("| prediction | mean square difference |")
    print("| --- | ---: |")
    for name, way in ways.items():
        errors = [float((way(half) - other).square().mean()) for half, other in (second, second[::-1])]
        print(f"| {name} | {sum(errors) / 2:.4f} |", flush=True)


def _scaled(data: Tensor) -> Tensor:
    data = data.float()
    return (data - data.mean()) / data.std()


def _print_wedge(out: Path, nets: dict[str, Denoiser]) -> None:
    given, whole = (tomogram.read().data.float() for tomogram in with_whole(out, RECIPE)[1])
    made = {"before": given, **{f"after `{name}`": denoise(net.net, given) for name, net in nets.items()}}
    print("\n| tomogram | share in the wedge | correlation there | correlation |")
    print("| --- | ---: | ---: | ---: |")
    there = in_the_wedge(whole)
    print(f"| the whole sample | {float(there.std() / whole.std()):.2f} | | |")
    for name, volume in made.items():
        part = in_the_wedge(volume)
        share = float(part.std() / volume.std())
        print(f"| {name} | {share:.2f} | {alike(part, there):.2f} | {alike(volume, whole):.2f} |", flush=True)


def linear_filter(one: Tensor, other: Tensor) -> Tensor:
    """The factor for each frequency `(z, y, x / 2 + 1)` that predicts one half from the other best."""
    a, b = (torch.fft.rfftn(half) for half in (one, other))
    bands = _bands(one.shape)
    shared = torch.bincount(bands.flatten(), (a * b.conj()).real.flatten(), BANDS**3)
    power = torch.bincount(bands.flatten(), ((a.abs().square() + b.abs().square()) / 2).flatten(), BANDS**3)
    factors: Tensor = (shared / power.clamp(min=1e-9)).clamp(0, 1)[bands].float()
    return factors


def _bands(shape: tuple[int, ...]) -> Tensor:
    """The number of the band of each frequency."""
    z, y = (torch.fft.fftfreq(n).abs() for n in shape[:2])
    axes = [(k * 2 * BANDS).long().clamp(max=BANDS - 1) for k in (z, y, torch.fft.rfftfreq(shape[2]))]
    bands: Tensor = (axes[0][:, None, None] * BANDS + axes[1][None, :, None]) * BANDS + axes[2]
    return bands


def filtered(volume: Tensor, factors: Tensor) -> Tensor:
    """The volume, each frequency times its factor."""
    made: Tensor = torch.fft.irfftn(torch.fft.rfftn(volume) * factors, s=volume.shape)
    return made


def in_the_wedge(volume: Tensor) -> Tensor:
    """The part of a tomogram at frequencies that tilts to 48 degrees do not show, without the lowest ones."""
    z, y, x = volume.shape
    kz, _, kx = torch.meshgrid(torch.fft.fftfreq(z), torch.fft.fftfreq(y), torch.fft.rfftfreq(x), indexing="ij")
    return filtered(volume - volume.mean(), ((kz.abs() > 1.3 * kx) & (kz.abs() > 0.03)).float())


def alike(one: Tensor, other: Tensor) -> float:
    """Correlation."""
    return float(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1])


if __name__ == "__main__":
    run_step({"simulate": simulate, "measure": measure}, description=__doc__)
