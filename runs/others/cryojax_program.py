"""Simulates tomograms with cryoJAX and scikit-image alone: run by a Python that has both and SciPy, but not tomosoup.

python cryojax_program.py SPEC OUT    # SPEC: the JSON file that `runs.others` writes; OUT: a folder
"""

import sys
from typing import Any

import cryojax.simulator as cxs
import numpy as np
from program import Placed, write_runs
from scipy.ndimage import affine_transform
from scipy.spatial.transform import Rotation
from skimage.transform import iradon

VOLTS_A2 = 47.878
"""V Å²: cryoJAX's potential is that in volts divided by this, h² / (2 pi m e)."""
INSIDE = 0.2
"""Voxels above this fraction of a map's maximum are inside the particle."""


def potential(
    placed: Placed, maps: dict[str, np.ndarray], spec: dict[str, Any], random: np.random.Generator
) -> np.ndarray:
    """The specimen in a cube (V over the ice's), with the centre of the tomogram's central voxel at N // 2."""
    shape, size = np.array(spec["shape"]), spec["voxel_size"]
    side = 2 * int(np.ceil(max(np.hypot(shape[0], shape[2]), shape[1]) / 2)) + 2  # holds the slices' corners
    cube, first = np.zeros((side,) * 3, np.float32), side // 2 - shape // 2
    scaled = {name: m * (spec["volts"] / np.median(m[m > INSIDE * m.max()])) for name, m in maps.items()}
    for (name, at), turn in zip(placed, Rotation.random(len(placed), rng=random), strict=True):
        density, place = scaled[name], at / size + first
        low = np.floor(place).astype(int) - np.array(density.shape) // 2
        matrix, middle = turn.as_matrix(), (np.array(density.shape) - 1) / 2
        turned = affine_transform(density, matrix, offset=middle - matrix @ (place - low), order=1)
        start, stop = np.maximum(low, 0), np.minimum(low + density.shape, side)
        to = tuple(map(slice, start, stop))
        cube[to] += turned[tuple(map(slice, start - low, stop - low))]
    return cube


def tomogram(
    placed: Placed, maps: dict[str, np.ndarray], spec: dict[str, Any], random: np.random.Generator
) -> np.ndarray:
    """Dark particles: cryoJAX's expected electrons, counted at random; scikit-image's weighted back-projection."""
    cube, size = potential(placed, maps, spec, random), spec["voxel_size"]
    volume = cxs.FourierVoxelGridVolume.from_real_voxel_grid(cube / VOLTS_A2, pad_scale=2.0)
    angles = np.arange(-spec["tilt_limit"], spec["tilt_limit"] + 1e-9, spec["tilt_step"])
    dose, defocus = random.uniform(*spec["dose"]) / len(angles), random.uniform(*spec["defocus"])
    config = cxs.DoseImageConfig(cube.shape[:2], size, 300.0, electron_dose=dose)
    images = []
    for angle in angles:
        ctf = cxs.AstigmaticCTF(defocus_in_angstroms=1e4 * (defocus + random.normal(0, 0.05)))
        transfer = cxs.ContrastTransferTheory(ctf, amplitude_contrast_ratio=0.07)
        pose = cxs.EulerAnglePose(theta_angle=float(angle))
        model = cxs.make_image_model(
            volume, config, pose, transfer, detector=cxs.PoissonDetector(), quantity_mode="counts"
        )
        images.append(random.poisson(np.asarray(model.simulate())))  # with a key, its mean would be lost
    counts = np.stack(images, axis=-1)
    sinograms = counts / counts.mean(axis=(0, 1)) - 1
    planes = [iradon(s, theta=-angles, filter_name="ramp", circle=True) for s in sinograms]
    z, y, x = (
        slice(n, n + m) for n, m in zip(cube.shape[0] // 2 - np.array(spec["shape"]) // 2, spec["shape"], strict=True)
    )
    return np.stack(planes[y], axis=1).astype(np.float32)[z, :, x]


if __name__ == "__main__":
    write_runs(*sys.argv[1:], simulator=tomogram)
