"""The file of a denoiser: weights, and what they were trained on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from tomosoup.core.errors import InputError
from tomosoup.core.files import written_aside
from tomosoup.simulation.denoising.net import DenoisingNet
from tomosoup.simulation.spectrum import FREQUENCIES

FORMAT = 1
"""Version of the metadata; a newer one is refused."""
KEY = "tomosoup_denoiser"
"""The key in the file's metadata with everything but the weights, as JSON."""
SHIPPED = Path(__file__).with_name("networks")
"""The folder of the networks that ship with tomosoup."""
Network = Literal["denoiser", "wedge"]
"""Their names: one removes noise, the other also fills in the missing wedge."""


@dataclass(frozen=True)
class Denoiser:
    """A trained net, where it comes from, and how much it is to do."""

    net: DenoisingNet
    voxel_size: float
    """Å a voxel of the tomograms that it was trained on."""
    trained_on: str
    """These tomograms, in words."""
    updates: int = 0
    """Of the weights, in all trainings together."""
    error: float | None = None
    """Mean square difference of a denoised half from the other half (variance 1), on crops not trained on."""
    raw_error: float | None = None
    """The same of the raw half."""
    training: Mapping[str, Any] | None = None
    """Options, runs and start of the last training, in JSON's types."""
    spectrum: tuple[float, ...] | None = None
    """Amplitude spectrum that a tomogram gets before it is denoised (`tomosoup.simulation.spectrum`); None changes
    nothing."""
    strength: float = 1.0
    """Fraction of what the net takes for noise that is removed: 1 gives the net's result, 0 the tomogram. It is the
    user's choice, and not in the file."""

    def metadata(self) -> dict[str, Any]:
        """All but the weights, in JSON's types."""
        return {
            "format": FORMAT,
            "widths": list(self.net.widths),
            "voxel_size": self.voxel_size,
            "trained_on": self.trained_on,
            "updates": self.updates,
            "error": self.error,
            "raw_error": self.raw_error,
            "training": self.training,
            "spectrum": list(self.spectrum) if self.spectrum else None,
        }

    def save(self, path: str | Path) -> None:
        """Write the file, in half precision; an old one of this name is replaced only once the new one is whole."""
        weights = {name: weight.half().contiguous() for name, weight in self.net.state_dict().items()}
        with written_aside(Path(path)) as aside:
            save_file(weights, aside, metadata={KEY: json.dumps(self.metadata())})


def read_denoiser(path: str | Path) -> Denoiser:
    """Read a denoiser; no code is run from the file. Raises `InputError` where the file is missing or is none."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no denoiser at {path}: expected a file that `tomosoup denoise` wrote.")
    try:
        with safe_open(path, framework="pt") as file:
            said: Mapping[str, Any] = json.loads((file.metadata() or {})[KEY])
            weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        if said["format"] > FORMAT:
            raise InputError(f"{path} was written by a newer version of tomosoup: update tomosoup to read it.")
        widths = tuple(int(width) for width in said["widths"])
        spectrum = tuple(map(float, said.get("spectrum") or ()))
        if spectrum and not (len(spectrum) == len(FREQUENCIES) and np.isfinite(spectrum).all()):
            raise ValueError("its spectrum is none")
        with torch.device("meta"):  # a net that claims to be huge takes no memory
            net = DenoisingNet(widths)
        net.load_state_dict(weights, assign=True)
        return Denoiser(
            net.eval().requires_grad_(False),
            voxel_size=float(said["voxel_size"]),
            trained_on=str(said["trained_on"]),
            updates=int(said["updates"]),
            error=said["error"],
            raw_error=said["raw_error"],
            training=said.get("training"),
            spectrum=spectrum or None,
        )
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path} is not a denoiser, or was changed: expected a file that `tomosoup denoise` wrote."
        ) from error


def shipped_denoiser(name: Network = "denoiser") -> Denoiser:
    """A network that ships with tomosoup."""
    return read_denoiser(SHIPPED / f"{name}.safetensors")
