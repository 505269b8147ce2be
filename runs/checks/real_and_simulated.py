"""Measures how simulated tomograms differ from real ones: spectra, missing wedge, skew, capsids, layout, and a picture.

    python -m runs.checks.real_and_simulated DATA OUT [--fit]

DATA holds real_slices/*.npy (128 x 128 slices of one real tomogram, denoised, 10 Å) and czii_train_picks.csv. OUT is a
PNG with real and simulated slices in random order; OUT with .txt says which are which. The simulated ones are from RUNS
runs of the recipe `contest`: of each, the 128 x 128 x 128 voxels with the most ribosomes, as the real slices come from
such a region. With --fit nothing is compared: the constants GAIN and RESIDUAL of the simulated denoising are fitted to
the real slices, on other runs than those that are compared, and printed.
"""

import random
import time
from pathlib import Path

import matplotlib
import numpy as np
import torch
from scipy.spatial import cKDTree

from runs.shared.command import run_script
from tomosoup.data.formats.csv_tables import read_csv
from tomosoup.simulation.microscope import denoising
from tomosoup.simulation.options.recipe import SimulationRecipe
from tomosoup.simulation.simulate import Scene, simulate_run

matplotlib.use("Agg")
from matplotlib import pyplot as plt

RUNS, FIRST_SEED, FIT_SEED = 6, 1000, 2000
SIDE, AT = 128, (32, 64, 96)
PLANES = {"xy": 0, "xz": 1, "yz": 2}
BANDS, WEDGE = 12, (0.1, 0.35)
VOLUME = 6300.0 * 6300.0 * 1840.0
"""Å³ of a contest tomogram."""
Slices = dict[str, list[np.ndarray]]


def spectrum(plane: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Power, frequency and angle from the second axis of a slice, standardised, under a Hann window."""
    n = len(plane)
    window = np.outer(np.hanning(n), np.hanning(n))
    power = np.abs(np.fft.fft2((plane - plane.mean()) / plane.std() * window)) ** 2 / (window**2).sum()
    along, across = np.abs(np.fft.fftfreq(n))[:, None], np.abs(np.fft.fftfreq(n))[None]
    return power, np.hypot(along, across), np.degrees(np.arctan2(along, across))


def radial(plane: np.ndarray) -> np.ndarray:
    """Mean power in twelve equal bands from 0 to 0.5 cycles per voxel."""
    power, frequency, _ = spectrum(plane)
    band = (frequency / 0.5 * BANDS).astype(int)
    return np.array([power[band == i].mean() for i in range(BANDS)])


def angular(plane: np.ndarray) -> np.ndarray:
    """Mean power between 0.1 and 0.35 cycles per voxel in six steps of 15 degrees from the x axis."""
    power, frequency, angle = spectrum(plane)
    ring = (frequency > WEDGE[0]) & (frequency < WEDGE[1])
    return np.array([power[ring & (angle >= a) & (angle < a + 15)].mean() for a in range(0, 90, 15)])


def skew(plane: np.ndarray) -> float:
    return float((((plane - plane.mean()) / plane.std()) ** 3).mean())


def real_slices(folder: Path) -> Slices:
    return {p: [np.load(f).astype(float) for f in sorted(folder.glob(f"*_{p}_*.npy"))] for p in PLANES}


def rich_corner(scene: Scene) -> np.ndarray:
    """The corner (z, y, x) of the cube of SIDE voxels that holds the most ribosomes."""
    at = scene.volume.to_voxel(scene.truth["ribosome"].zyx)
    most = np.array(scene.volume.shape) - SIDE
    corners = np.clip(at.round().astype(int) - SIDE // 2, 0, most)
    held = [((at >= c) & (at < c + SIDE)).all(axis=1).sum() for c in corners]
    return corners[int(np.argmax(held))]


def slices_of(cube: np.ndarray) -> Slices:
    return {p: [np.take(cube, i, axis=axis).astype(float) for i in AT] for p, axis in PLANES.items()}


def pooled(many: list[Slices]) -> Slices:
    return {p: [s for slices in many for s in slices[p]] for p in PLANES}


def ring_radius(scene: Scene) -> float:
    """Voxels from a capsid's centre to its darkest ring in xy, averaged over capsids and angles."""
    volume = scene.volume
    y, x = np.mgrid[-20:21, -20:21]
    radius = np.hypot(y, x).round().astype(int)
    profiles = []
    for zyx in volume.to_voxel(scene.truth["virus-like-particle"].zyx):
        z, cy, cx = zyx.round().astype(int)
        if (zyx[1:] > 21).all() and (zyx[1:] < np.array(volume.shape[1:]) - 22).all():
            patch = volume.data[z, cy - 20 : cy + 21, cx - 20 : cx + 21].numpy()
            profiles.append([patch[radius == r].mean() for r in range(19)])
    return float(np.argmin(np.mean(profiles, axis=0)))


def layout_row(positions: list[np.ndarray]) -> str:
    """Numbers, nearest neighbours of the species and depths, over runs; Clark-Evans is 1 for random positions."""
    near = [cKDTree(p).query(p, 2)[0][:, 1] for p in positions if len(p) > 1]
    expected = [0.55396 * (VOLUME / len(n)) ** (1 / 3) for n in near]
    index = np.mean([n.mean() / e for n, e in zip(near, expected, strict=True)])
    n, d, z = [len(p) for p in positions], np.concatenate(near), np.concatenate([p[:, 0] for p in positions])
    return (
        f"{np.mean(n):5.1f} ({min(n):2d}-{max(n):3d})  {d.min():4.0f} {np.percentile(d, 5):4.0f} {np.median(d):4.0f}  "
        f"{index:.2f}  " + " ".join(f"{v:4.0f}" for v in np.percentile(z, [5, 50, 95]))
    )


def print_rows(name: str, real: np.ndarray, ours: np.ndarray) -> None:
    for label, values in (("real", real), ("ours", ours), ("ratio", ours / real)):
        print(f"{name:<10} {label:<6}" + " ".join(f"{v:8.3f}" for v in values))


def compare(data: Path, out: Path) -> None:
    """Print what both are like, and draw slices of both."""
    recipe = SimulationRecipe.read("contest")
    annotated = read_csv(data / "czii_train_picks.csv")
    real, ours, rings, truths = real_slices(data / "real_slices"), [], [], []
    for seed in range(FIRST_SEED, FIRST_SEED + RUNS):
        start = time.perf_counter()
        scene = simulate_run(recipe, seed=seed)
        corner = rich_corner(scene)
        cube = scene.volume.data[tuple(slice(c, c + SIDE) for c in corner)].numpy()
        ours.append(slices_of(cube))
        rings.append(ring_radius(scene))
        truths.append(scene.truth)
        print(f"[seed {seed}: {time.perf_counter() - start:.0f} s]", flush=True)
    simulated = pooled(ours)
    for p in PLANES:
        print_rows(f"{p} radial", *(np.mean([radial(s) for s in side[p]], axis=0) for side in (real, simulated)))
    print_rows("xz angular", *(np.mean([angular(s) for s in side["xz"]], axis=0) for side in (real, simulated)))
    for label, side in (("real", real), ("ours", simulated)):
        print(f"skew {label}: " + " ".join(f"{skew(s):.2f}" for p in PLANES for s in side[p]))
    print("ring of capsids, voxels (real: 12 to 13): " + " ".join(f"{r:.0f}" for r in rings))
    print(f"\n{'layout':<20} {'':6}number        nearest min/5%/median  Clark-Evans  z 5/50/95 %")
    for name in recipe.concentration:
        print(f"{name:<20} real  " + layout_row([r[name].zyx for r in annotated.values()]))
        print(f"{name:<20} ours  " + layout_row([t[name].zyx for t in truths]))
    draw(out, real, ours[0])


def draw(out: Path, real: Slices, ours: Slices) -> None:
    """Real and simulated slices, shuffled within each row."""
    figure, axes = plt.subplots(3, 6, figsize=(18, 9.2))
    key = []
    for row, plane in zip(axes, PLANES, strict=True):
        mixed = [("real", s) for s in real[plane]] + [("simulated", s) for s in ours[plane]]
        random.Random(str(plane)).shuffle(mixed)
        key.append(f"{plane}: " + ", ".join(label for label, _ in mixed))
        for axis, (_, s) in zip(row, mixed, strict=True):
            axis.imshow((s - s.mean()) / s.std(), cmap="gray", vmin=-4, vmax=3)
            axis.set_axis_off()
    figure.tight_layout()
    figure.savefig(out, dpi=60)
    out.with_suffix(".txt").write_text("\n".join(key) + "\n")


def fit_denoising(data: Path) -> None:
    """Print constants that bring the radial powers in xy and xz, and the power in the wedge, to the real ones."""
    recipe = SimulationRecipe.read("contest")
    wbp = recipe.model_copy(
        update={"reconstruction": recipe.reconstruction.model_copy(update={"tomo_types": ("wbp",)})}
    )
    real = real_slices(data / "real_slices")
    wanted = {p: np.mean([radial(s) for s in real[p]], axis=0) for p in ("xy", "xz")}
    in_wedge = np.mean([angular(s)[4:].mean() for s in real["xz"]])
    crops = []
    for seed in range(FIT_SEED, FIT_SEED + RUNS):
        scene = simulate_run(wbp, seed=seed)
        low = np.clip(rich_corner(scene) - 16, 0, np.array(scene.volume.shape) - SIDE - 32)
        crops.append(scene.volume.data[tuple(slice(c, c + SIDE + 32) for c in low)].contiguous())
    gain, residual = np.array(denoising.GAIN), denoising.RESIDUAL
    for step in range(20):
        denoising.GAIN, denoising.RESIDUAL = tuple(gain), residual
        noise = torch.Generator().manual_seed(step)
        smooth = [denoising.denoised(c, voxel_size=10.0, random=noise)[16:-16, 16:-16, 16:-16] for c in crops]
        found = pooled([slices_of(s.numpy()) for s in smooth])
        got = {p: np.mean([radial(s) for s in found[p]], axis=0) for p in wanted}
        wedge = np.mean([angular(s)[4:].mean() for s in found["xz"]])
        ratio = wanted["xy"] / got["xy"] * wanted["xz"] / got["xz"]
        gain = gain * ratio**0.2
        gain /= gain[4]
        residual *= float(in_wedge / wedge) ** 0.3
        print(f"{step}: " + " ".join(f"{r:.2f}" for p in wanted for r in got[p] / wanted[p]), f"{wedge / in_wedge:.2f}")
    # The bands share their sum; the first, where xy and xz differ most, is to be off by the same factor in both.
    gain[0] *= ratio[0] ** 0.25
    print(f"GAIN = {tuple(gain.round(4).tolist())}\nRESIDUAL = {residual:.3f}")


def main(data: Path, out: Path, *, fit: bool = False) -> None:
    """Compare simulated with real slices, or fit the constants of the denoising."""
    if fit:
        fit_denoising(data)
    else:
        compare(data, out)


if __name__ == "__main__":
    run_script(main, description=__doc__)
