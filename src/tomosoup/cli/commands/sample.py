"""The bundled tomogram: simulated, and used for no training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from tomosoup.core.files import written_aside
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.core.types import Picks, PicksBySpecies, Volume
from tomosoup.data.new_project import SimulatedRun, new_project

SAMPLE = Path(__file__).with_name("sample.npz")
RUN, TOMO_TYPE = "sample", "denoised"
MOST = 6.0
"""Grey values beyond so many standard deviations are cut to fit a byte."""


def save_sample(path: Path, volume: Volume, truth: PicksBySpecies) -> None:
    """Write a tomogram `(z, y, x)` in 8 bits, in steps of `MOST / 127` standard deviations, with its true picks."""
    data = volume.data.float()
    steps = ((data - data.mean()) / data.std() * (127 / MOST)).round().clamp(-127, 127).to(torch.int8)
    stored: dict[str, Any] = {f"truth/{name}": found.zyx.astype(np.float32) for name, found in truth.items()}
    stored |= {"tomogram": steps.numpy(), "voxel_size": volume.voxel_size, "origin": np.asarray(volume.origin)}
    with written_aside(path) as aside, aside.open("wb") as file:
        np.savez_compressed(file, **stored)


def sample_project(folder: Path) -> str:
    """Make a copick project of the sample, with its true picks; returns the name of its run.

    Raises `InputError` where the folder exists already.
    """
    with np.load(SAMPLE) as stored, new_project(folder, CONTEST_SPECIES) as project:
        data = torch.from_numpy(stored["tomogram"]).float() * (MOST / 127)
        z, y, x = stored["origin"].tolist()
        volume = Volume(data, float(stored["voxel_size"]), (z, y, x))
        truth = {s.name: Picks.of(stored[f"truth/{s.name}"]) for s in CONTEST_SPECIES}
        project.add_run(RUN, SimulatedRun({TOMO_TYPE: volume}, truth))
    return RUN
