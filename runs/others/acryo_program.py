"""Simulates tomograms with acryo alone: run by a Python that has acryo, NumPy and SciPy, but not tomosoup.

python acryo_program.py SPEC OUT    # SPEC: the JSON file that `runs.others` writes; OUT: a folder
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from acryo import Molecules, TomogramSimulator
from acryo.ctf import CTFModel
from acryo.projection import TiltImagePreprocessor, TiltSeries, reconstruct_tomogram
from scipy.spatial.transform import Rotation

NM = 0.1
"""nm an Å: acryo's lengths are nm."""
TRIES = 1000
"""Positions that are tried for a particle before it is left out."""


def main(spec_file: str, out: str) -> None:
    """Write `RUN.npy` `(z, y, x)` and `RUN.json`, the labelled particles' names and z, y, x (Å from the corner)."""
    spec = json.loads(Path(spec_file).read_text())
    maps = {name: np.load(file).astype(np.float32) for name, file in spec["maps"].items()}
    for number in range(spec["runs"]):
        random = np.random.default_rng([spec["seed"], number])
        placed = lay_out(spec, random)
        volume = tomogram(placed, maps, spec, random)
        labelled = [[name, *(at + spec["voxel_size"] / 2).tolist()] for name, at in placed if name in spec["labelled"]]
        np.save(Path(out) / f"run_{number:03d}.npy", volume)
        (Path(out) / f"run_{number:03d}.json").write_text(json.dumps(labelled))
        print(f"run_{number:03d}: {len(labelled)} particles", flush=True)


def lay_out(spec: dict[str, Any], random: np.random.Generator) -> list[tuple[str, np.ndarray]]:
    """Names and z, y, x (Å from the centre of the first voxel) of balls that do not overlap, the largest first."""
    extent = (np.array(spec["shape"]) - 1) * spec["voxel_size"]
    placed: list[tuple[str, np.ndarray]] = []
    at, radii = np.empty((0, 3)), np.empty(0)
    for name, number, radius in sorted(spec["components"], key=lambda component: -component[2]):
        for _ in range(number):
            tried = radius + random.random((TRIES, 3)) * (extent - 2 * radius)
            free = (np.linalg.norm(at - tried[:, None], axis=2) > radii + radius).all(axis=1)
            if free.any():
                place = tried[int(np.argmax(free))]
                at, radii = np.vstack([at, place]), np.append(radii, radius)
                placed.append((name, place))
    return placed


def tomogram(
    placed: list[tuple[str, np.ndarray]],
    maps: dict[str, np.ndarray],
    spec: dict[str, Any],
    random: np.random.Generator,
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
    main(*sys.argv[1:])
