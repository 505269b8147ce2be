"""Measures picks from a segmentation at full size (184 x 630 x 630): scikit-image, cc3d and scipy side by side.

    pip install connected-components-3d
    python -m benchmarks.speed.watershed [PICKS.csv]

A probability volume holds the balls of one species at the coordinates of PICKS (czii_train_picks.csv, run TS_99_9), or
at random positions, half of them beside another. Timed are the connected pieces alone (three libraries), and all steps
from probabilities to picks: over the whole volume at once with scikit-image, as the 8th place does it, and piece by
piece, as tomosoup does it, with the pieces from scipy or from cc3d. The last line counts the particles of the three.
"""

from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import cc3d
import numpy as np
import torch
import tyro
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.measure import label, regionprops
from skimage.segmentation import watershed

from benchmarks.speed.best_time import best_time
from runs.shared.command import run_script
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.core.types import Picks, Volume
from tomosoup.data.formats.csv_tables import read_csv
from tomosoup.inference.options.picking import SegmentationOptions
from tomosoup.inference.readout import watershed as labels
from tomosoup.training.supervision.targets import label_targets

SHAPE, VOXEL = (184, 630, 630), 10.012
RECIPE = SegmentationOptions()


def timed(what: str, work: Callable[[], object], repeats: int = 3) -> object:
    """The result; prints the best of some times."""
    seconds, result = best_time(work, repeats=repeats)
    print(f"  {what:<52} {seconds:7.2f} s", flush=True)
    return result


def whole_volume(chance: np.ndarray, radius_vox: float, least: float) -> np.ndarray:
    """The 8th place's way: every step over the whole volume."""
    inside = chance > RECIPE.mask
    depth = ndimage.distance_transform_edt(inside)
    seeds = peak_local_max(depth, min_distance=max(1, round(radius_vox)), labels=inside.astype(np.int32))
    markers = np.zeros(inside.shape, dtype=np.int32)
    markers[tuple(seeds.T)] = np.arange(1, len(seeds) + 1)
    regions = regionprops(watershed(-depth, markers, mask=inside))
    return np.array([r.centroid for r in regions if r.area >= least])


def pieces_of_cc3d(inside: np.ndarray, _: object) -> tuple[np.ndarray, int]:
    """In place of scipy's label."""
    found, count = cc3d.connected_components(inside, connectivity=6, return_N=True)
    return found, count


def main(picks: tyro.conf.Positional[Path | None] = None) -> None:
    """Print seconds for each species."""
    random = np.random.default_rng(0)
    truth = read_csv(picks)["TS_99_9"] if picks else {}
    for species in CONTEST_SPECIES:
        positions = truth[species.name] if truth else Picks.of(random.uniform(100, np.array(SHAPE) * 10 - 100, (30, 3)))
        beside = (
            positions.zyx + random.normal(size=positions.zyx.shape) * species.radius / 3 + [0, 1.5 * species.radius, 0]
        )
        grid = Volume(torch.empty(SHAPE), VOXEL)
        balls = label_targets({species.name: Picks.of(np.concatenate([positions.zyx, beside[::2]]))}, [species], grid)
        chance = as_chances(balls, random)
        radius_vox = species.radius / VOXEL
        least = RECIPE.smallest.get(species.name, RECIPE.smallest_other) * 4 / 3 * np.pi * radius_vox**3
        inside = chance.data[0].numpy() > RECIPE.mask
        print(f"{species.name}: {inside.mean():.2%} of the voxels over the mask")
        timed("pieces, scipy.ndimage.label", lambda inside=inside: ndimage.label(inside, labels.SIX))
        timed("pieces, skimage.measure.label", lambda inside=inside: label(inside, connectivity=1))
        timed("pieces, cc3d", lambda inside=inside: pieces_of_cc3d(inside, None))
        ours = timed("picks, piece by piece, scipy", lambda c=chance, s=species: labels.watershed_picks(c, [s]))
        with patch.object(labels.ndimage, "label", pieces_of_cc3d):
            other = timed("picks, piece by piece, cc3d", lambda c=chance, s=species: labels.watershed_picks(c, [s]))
        theirs = timed(
            "picks, whole volume, scikit-image",
            lambda c=chance, r=radius_vox, n=least: whole_volume(c.data[0].numpy(), r, n),
            repeats=1,
        )
        print(f"  particles: {len(ours[species.name])}, {len(other[species.name])}, {len(theirs)}")


def as_chances(balls: Volume, random: np.random.Generator) -> Volume:
    """Labels as probabilities with ragged edges, `(1, z, y, x)`."""
    soft = ndimage.gaussian_filter((balls.data[0] > 0).numpy().astype(np.float32), 1.0)
    noise = random.normal(0, 0.02, soft.shape).astype(np.float32)
    return Volume(torch.from_numpy(np.clip(soft + noise, 0, 1))[None], balls.voxel_size)


if __name__ == "__main__":
    run_script(main, description=__doc__)
