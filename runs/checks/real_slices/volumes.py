"""Cuts through tomograms in three directions, and one plane in every tomogram type."""

from pathlib import Path

import numpy as np
from scipy import signal

from runs.checks.real_slices.planes import Array, files_in, read_type, runs_of
from tomosoup.data.truth import read_truth

AXES = {"xy": 0, "xz": 1, "yz": 2}
SIDE, AT = 128, (32, 64, 96)
TYPES_PLANE = "TS_6_4_z062"
"""The plane that DATA has in every tomogram type."""
TYPES = {"wbp": "wbp", "ctfdeconvolved": "ctfdeconv", "denoised": "denoised", "isonetcorrected": "isonet"}
"""Our names of the types, and those of the files."""


def real_cuts(data: Path) -> dict[str, list[Array]]:
    """128 x 128 slices of one real tomogram, by direction."""
    folder = data / "real_slices"
    return {plane: [np.load(f).astype(float) for f in files_in(folder, f"*_{plane}_*.npy")] for plane in AXES}


def simulated_cuts(project: Path) -> dict[str, list[Array]]:
    """The same of every run, from the 128 x 128 x 128 voxels with the most ribosomes, as the real ones are."""
    cuts: dict[str, list[Array]] = {plane: [] for plane in AXES}
    for run, opened in runs_of(project):
        volume = read_type(opened, run, "denoised")
        at = volume.to_voxel(read_truth(opened, run)["ribosome"].zyx)
        corners = np.clip(at.round().astype(int) - SIDE // 2, 0, np.array(volume.shape) - SIDE)
        held = [((at >= c) & (at < c + SIDE)).all(axis=1).sum() for c in corners]
        box = tuple(slice(c, c + SIDE) for c in corners[int(np.argmax(held))])
        cube = volume.data[box].numpy().astype(float)
        for plane, axis in AXES.items():
            cuts[plane] += [np.take(cube, i, axis=axis) for i in AT]
    return cuts


def real_types(data: Path) -> dict[str, Array]:
    """One plane in every type, 349 pixels for 630 voxels."""
    folder = data / "real_slices_kinds"
    files = {name: files_in(folder, f"{TYPES_PLANE}_{file}.npy")[0] for name, file in TYPES.items()}
    return {name: np.load(file).astype(float) for name, file in files.items()}


def simulated_types(project: Path) -> dict[str, Array]:
    """The plane at a third of the depth of the first run in every type that it has, at the pixels of the real ones."""
    run, opened = runs_of(project)[0]
    there = {listing.tomo_type for listing in opened.listings(run)}
    found = {}
    for name in TYPES:
        if name in there:
            data = read_type(opened, run, name).data
            plane = data[len(data) // 3].numpy().astype(float)
            found[name] = signal.resample(signal.resample(plane, 349), 349, axis=1)
    return found
