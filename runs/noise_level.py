"""How visible particles are at several noise levels: what the demo's level was chosen by.

    python runs/noise_level.py OUT

For each species: how far a particle's middle (3 slices, a disc of half its radius) stands out from empty places of the
same size, in standard deviations of those; hollow particles are brighter there, or no different. One in twenty empty
places stands out by 2, so a particle that does no more is lost among them. OUT (.png) shows a slice at each level.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from tomosoup.recipes.simulation import SimulationRecipe
from tomosoup.recipes.species import CONTEST_SPECIES
from tomosoup.simulation.scene import Scene, simulate

LEVELS = (1.0, 2.0, 3.0, 3.5, 4.0, 6.0)


def disc_means(scene: Scene, zyx_vox: np.ndarray, radius_vox: float) -> np.ndarray:
    """Mean grey value about each of `(n, 3)` voxels."""
    y, x = np.indices(scene.volume.shape[1:])
    means = []
    for z, cy, cx in zyx_vox.round().astype(int):
        disc = (y - cy) ** 2 + (x - cx) ** 2 <= radius_vox**2
        means.append(scene.volume.data[max(z - 1, 0) : z + 2, disc].mean())
    return np.array(means)


def visibility(scene: Scene) -> dict[str, float]:
    """Median contrast of each species' middles, in deviations of empty discs of that size."""
    everything = np.vstack([p.zyx for p in scene.truth.values()])
    random = np.random.default_rng(0)
    tried = scene.volume.to_angstrom(random.uniform([4, 10, 10], np.array(scene.volume.shape) - [4, 10, 10], (600, 3)))
    empty = tried[np.linalg.norm(tried[:, None] - everything, axis=-1).min(axis=1) > 250]
    result = {}
    for kind in CONTEST_SPECIES:
        radius = 0.5 * kind.radius / scene.volume.voxel_size
        background = disc_means(scene, scene.volume.to_voxel(empty), radius)
        particles = disc_means(scene, scene.volume.to_voxel(scene.truth[kind.name].zyx), radius)
        result[kind.name] = float(np.median(np.abs(background.mean() - particles) / background.std()))
    return result


if __name__ == "__main__":
    figure, axes = plt.subplots(1, len(LEVELS), figsize=(4 * len(LEVELS), 4.4), layout="constrained")
    print("noise", *(f"{s.name:>20}" for s in CONTEST_SPECIES))
    for axis, level in zip(axes, LEVELS, strict=True):
        scene = simulate(SimulationRecipe(noise=level), seed=0)
        print(f"{level:5g}", *(f"{v:20.1f}" for v in visibility(scene).values()), flush=True)
        axis.imshow(scene.volume.data[31:34].mean(0), cmap="gray")
        axis.set_title(f"noise {level:g}")
        axis.set_axis_off()
    figure.savefig(Path(sys.argv[1]), dpi=70)
