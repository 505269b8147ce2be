"""Train a denoiser on pairs of half-set tomograms.

Noise2Noise (Lehtinen et al. 2018): the signal of two halves is the same and their noise is independent, so a net that
predicts one half from the other learns the signal. Buchholz et al. (2019) did so with halves of tomograms (cryoCARE).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tomosoup.core.errors import InputError, counted, first_line
from tomosoup.core.files import written_aside
from tomosoup.core.progress import Progress, no_log, no_progress
from tomosoup.simulation.denoising.half_sets import HalfSetCrops, Pair, glimpse
from tomosoup.simulation.denoising.net import DenoisingNet
from tomosoup.simulation.denoising.options import Noise2NoiseOptions
from tomosoup.simulation.denoising.weights import Denoiser

TRAINING = "Training the denoiser"
"""What `train_denoiser` reports to its `progress`."""
STORED_EVERY = 100
"""Updates between two states on disk."""


def train_denoiser(
    pairs: Sequence[Pair],
    options: Noise2NoiseOptions = Noise2NoiseOptions(),  # noqa: B008 - immutable
    *,
    start: Denoiser | None = None,
    state: Path | None = None,
    device: torch.device = torch.device("cpu"),  # noqa: B008 - immutable
    targets: bool = False,
    progress: Progress = no_progress,
    log: Callable[[str], None] = no_log,
) -> Denoiser:
    """A denoiser trained on half-set tomograms.

    Args:
        pairs: as `half_sets` opens them.
        options: crops, net and updates.
        start: weights to start from, in place of random ones.
        state: a file for what a stopped training resumes from. The caller removes it once the result is saved.
        device: where to compute.
        targets: the second tomogram of each pair is what the net is to make of the first, without noise.
        progress: called with `TRAINING`.
        log: gets a line with the error every `options.report_every` updates.

    Raises `InputError` where there is no pair or one is too small, and where `state` is that of another training.
    """
    if not pairs:
        raise InputError("There are no half-set tomograms to train on.")
    crops = HalfSetCrops(pairs, options.crop, options.seed, targets)
    torch.manual_seed(options.seed)
    training = _Training.of(start.net.widths if start else options.widths, options, device=device)
    if start:
        training.load_weights(start.net.state_dict())
    identity = identity_of(pairs, options, start)
    done = training.resume(state, identity) if state and state.exists() else 0
    raw = float(F.mse_loss(*crops.held_out))
    directions = ((0, 1),) if targets else ((0, 1), (1, 0))
    for update in range(done, options.updates):
        progress(TRAINING, update, options.updates)
        training.update(*crops.batch(update, options.batch_size), number=update)
        if (update + 1) % options.report_every == 0 and update + 1 < options.updates:
            log(_report(update + 1, options.updates, training.error(crops.held_out, directions), raw))
        if state and (update + 1) % STORED_EVERY == 0:
            training.store(state, identity, update + 1)
    progress(TRAINING, options.updates, options.updates)
    error = training.error(crops.held_out, directions)
    log(_report(options.updates, options.updates, error, raw))
    return Denoiser(
        training.average.cpu(),
        voxel_size=pairs[0][0].voxel_size,
        trained_on=f"{pairs[0][0].tomo_type} and {pairs[0][1].tomo_type} of {counted(len(pairs), 'run')}",
        updates=options.updates + (start.updates if start else 0),
        error=error,
        raw_error=raw,
        training=identity,
    )


@dataclass(frozen=True)
class _Training:
    """A net that is being trained, and the moving average of its weights."""

    net: DenoisingNet
    average: DenoisingNet
    optimiser: torch.optim.AdamW
    options: Noise2NoiseOptions

    @classmethod
    def of(cls, widths: Sequence[int], options: Noise2NoiseOptions, *, device: torch.device) -> _Training:
        """One that begins with random weights."""
        net, average = (DenoisingNet(widths).to(device).to(memory_format=torch.channels_last_3d) for _ in range(2))
        average.requires_grad_(False)
        optimiser = torch.optim.AdamW(net.parameters(), weight_decay=options.weight_decay)
        made = cls(net, average, optimiser, options)
        made.load_weights(net.state_dict())
        return made

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """Begin with these weights."""
        self.net.load_state_dict(weights)
        self.average.load_state_dict(weights)

    def update(self, shown: Tensor, wanted: Tensor, *, number: int) -> None:
        """One update, the `number`-th from 0."""
        device = next(self.net.parameters()).device
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.options, number)
        loss = F.mse_loss(self.net(shown.to(device)), wanted.to(device))
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.options.clip)
        self.optimiser.step()
        new = 1 - min(self.options.average_decay, (1 + number) / (10 + number))
        for kept, weight in zip(self.average.parameters(), self.net.parameters(), strict=True):
            kept.lerp_(weight.detach(), new)

    @torch.no_grad()
    def error(self, halves: Tensor, directions: Sequence[tuple[int, int]]) -> float:
        """Mean square difference of a denoised half of `(2, n, 1, z, y, x)` from the other half, by their numbers."""
        device, total = next(self.average.parameters()).device, 0.0
        for one, other in directions:
            for shown, wanted in zip(halves[one], halves[other], strict=True):
                total += float(F.mse_loss(self.average(shown[None].to(device))[0], wanted.to(device)))
        return total / len(directions) / halves.shape[1]

    def store(self, path: Path, identity: dict[str, Any], updates: int) -> None:
        """Write what `resume` needs."""
        state = {"identity": identity, "updates": updates, "optimiser": self.optimiser.state_dict()}
        with written_aside(path) as aside:
            torch.save({**state, "net": self.net.state_dict(), "average": self.average.state_dict()}, aside)

    def resume(self, path: Path, identity: dict[str, Any]) -> int:
        """Become what `store` wrote; the number of updates so far. Raises `InputError` for that of another training."""
        if other := differences(path, identity):
            raise InputError(
                f"{path} holds an unfinished training with another {', '.join(other)}: give the same options to resume "
                "it, or start again with `overwrite=True`."
            )
        state = _read(path)
        for name, part in (("net", self.net), ("average", self.average), ("optimiser", self.optimiser)):
            part.load_state_dict(state[name])
        return int(state["updates"])


def learning_rate(options: Noise2NoiseOptions, update: int) -> float:
    """That of an update, from 0 on: a linear warm-up, then half a cosine down to a hundredth."""
    if update < options.warmup:
        return options.learning_rate * (update + 1) / (options.warmup + 1)
    done = (update - options.warmup) / max(1.0, options.updates - options.warmup)
    return options.learning_rate * (0.01 + 0.99 * (0.5 + 0.5 * math.cos(math.pi * done)))


def identity_of(pairs: Sequence[Pair], options: Noise2NoiseOptions, start: Denoiser | None) -> dict[str, Any]:
    """What must stay the same for a training to resume, in JSON's types."""
    return {
        **options.model_dump(mode="json", exclude={"report_every"}),
        "runs": [[t.run, t.tomo_type, t.voxel_size, t.inverted, *t.shape, glimpse(t)] for pair in pairs for t in pair],
        "start": {k: v for k, v in start.metadata().items() if k != "training"} if start else None,
    }


def differences(state: Path, identity: dict[str, Any]) -> list[str]:
    """What the unfinished training in a file has other than `identity`. Raises `InputError` for a file that is none."""
    stored = _read(state)["identity"]
    return [key for key in identity if stored.get(key) != identity[key]]


def _read(state: Path) -> dict[str, Any]:
    try:
        read: dict[str, Any] = torch.load(state, map_location="cpu", weights_only=True)  # runs nothing from the file
        if not isinstance(read, dict) or "identity" not in read:
            raise ValueError("it holds no training")
        return read
    except (RuntimeError, OSError, EOFError, LookupError, ValueError, UnpicklingError) as error:
        raise InputError(f"{state} cannot be read ({first_line(error)}): remove it to start again.") from error


def _report(update: int, updates: int, error: float, raw: float) -> str:
    return (
        f"Update {update} of {updates}: a denoised half differs from the other half by {error:.4f}, the raw half by "
        f"{raw:.4f} (mean square, crops not trained on)"
    )
