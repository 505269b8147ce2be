"""Simulates tomograms with acryo alone: run by a Python that has acryo, NumPy and SciPy, but not tomosoup.

python acryo_program.py SPEC OUT    # SPEC: the JSON file that `runs.others` writes; OUT: a folder
"""

import sys
from typing import Any

import numpy as np
from acryo import Molecules, TomogramSimulator
from acryo.ctf import CTFModel
from acryo.projection import TiltImagePreprocessor, TiltSeries, reconstruct_tomogram
from program import Placed, write_runs
from scipy.spatial.transform import Rotation

NM = 0.1
"""nm an Å: acryo's lengths are nm."""


def tomogram(
    placed: Placed, maps: dict[str, np.ndarray], spec: dict[str, Any], random: np.random.Generator
) -> np.ndarray:
    """Dark particles: acryo's projections, contrast transfer, Wiener filter and direct Fourier inversion."""
    shape, scale = tuple(spec["shape"]), spec["voxel_size"] * NM
    simulator = TomogramSimulator(order=1, scale=scale)
    for name, density in maps.items():
        zyx = np.array([at for other, at in placed if other == name]).reshape(-1, 3)
        if len(zyx):
            simulator.add_molecules(Molecules(zyx * NM, Rotation.random(len(zyx), rng=random)), density, name=name)
    angles = np.arange(-spec["tilt_limit"], spec["tilt_limit"] + 1e-9, spec["tilt_step"])
    images = simulator.simulate_tilt_series(angles, shape)
    defocus = -random.uniform(*spec["defocus"]) + random.normal(0, 0.05, len(angles))
    transfer = [CTFModel.from_kv(300, 2.7, defocus=float(value)) for value in defocus]
    waves = [model.simulate_image(images.shape[1:], scale) for model in transfer]
    images = np.stack([np.fft.ifft2(np.fft.fft2(image) * wave).real for image, wave in zip(images, waves, strict=True)])
    noise = np.sqrt(images.var() / random.uniform(*spec["snr"]))
    images = (-images + random.normal(0, noise, images.shape)).astype(np.float32)
    filtered = TiltImagePreprocessor().with_ctf(transfer, method="wiener", wiener_constant=spec["wiener"])
    ready = np.stack([filtered(image, i, scale) for i, image in enumerate(images)])
    series = TiltSeries(tilt_angles=angles, tilt_axis_angle=0.0, scale=scale)
    return np.asarray(reconstruct_tomogram(series, ready, shape, num_workers=1, dtype=np.float32))


if __name__ == "__main__":
    write_runs(*sys.argv[1:], simulator=tomogram)
