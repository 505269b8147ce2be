"""Measures the two forms of the watershed at full size (184 x 630 x 630), and scikit-image's own calls beside them.

    python -m benchmarks.speed.watershed [PICKS.csv]

A probability volume holds the balls of one species at the coordinates of PICKS (czii_train_picks.csv, run TS_99_9), or
at random positions, half of them beside another. Three ways lead from it to positions:

    by piece      `--segmentation.method watershed`, the default
    published     `--segmentation.method published-watershed`, with the least sizes of the plan `soup`
    scikit-image  the same as the 8th place's program calls it, every step over the whole volume

Each runs in a process of its own, on one thread. Printed are its CPU seconds, the memory that it takes beyond the
volume, how many of its positions are within half a radius of a true centre, and how many of these centres have one. The
positions of the second and third way are compared one by one.
"""

import multiprocessing
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import tyro
from scipy import ndimage
from scipy.spatial import KDTree
from skimage.feature import peak_local_max
from skimage.measure import label, regionprops
from skimage.segmentation import watershed

from runs.shared.command import run_script
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.core.types import Array, Picks, Species, Volume
from tomosoup.data.formats.tables.picks_csv import read_csv
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.inference.readout.watershed import smallest_vox, watershed_picks
from tomosoup.scoring.matching import MATCH_RADII
from tomosoup.training.supervision.targets import label_targets

SHAPE, VOXEL = (184, 630, 630), 10.012
PUBLISHED = PickingPlan.read("soup").segmentation


def by_piece(probabilities: Volume, species: Species) -> Array:
    """Our form."""
    return watershed_picks(probabilities, [species])[species.name].zyx


def published(probabilities: Volume, species: Species) -> Array:
    """The plan soup's."""
    return watershed_picks(probabilities, [species], options=PUBLISHED)[species.name].zyx


def scikit_image(probabilities: Volume, species: Species) -> Array:
    """The 8th place's calls, on axes x, y, z."""
    inside = np.ascontiguousarray((probabilities.data[0].numpy() > PUBLISHED.mask).T)
    depth = ndimage.distance_transform_edt(inside)
    markers = np.zeros(inside.shape, dtype=bool)
    markers[tuple(peak_local_max(depth, min_distance=int(species.radius / 10), labels=inside).T)] = True
    regions = regionprops(watershed(-depth, label(markers), mask=inside))
    least = smallest_vox(species, VOXEL, PUBLISHED)
    centres = [region.centroid[::-1] for region in regions if region.area >= least]
    return probabilities.to_angstrom(np.array(centres).reshape(-1, 3))


FORMS: dict[str, Callable[[Volume, Species], Array]] = {
    "by piece": by_piece,
    "published": published,
    "scikit-image": scikit_image,
}


def measured(form: str, file: Path, species: Species) -> tuple[float, float, Array]:
    """CPU seconds, GiB beyond the volume, and positions."""
    probabilities = Volume(torch.from_numpy(np.load(file)), VOXEL, (0.0, 0.0, 0.0))
    FORMS[form](Volume(probabilities.data[:, :40, :40, :40].contiguous(), VOXEL), species)  # what is imported late
    before, start = peak_memory(), time.process_time()
    positions = FORMS[form](probabilities, species)
    return time.process_time() - start, peak_memory() - before, positions


def peak_memory() -> float:
    """GiB that this process has held at most (Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 2**20


def main(picks: tyro.conf.Positional[Path | None] = None) -> None:
    """Print a table for each species."""
    random = np.random.default_rng(0)
    truth = read_csv(picks)["TS_99_9"] if picks else {}
    totals = dict.fromkeys(FORMS, 0.0)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "probabilities.npy"
        for species in (s for s in CONTEST_SPECIES if s.name in PUBLISHED.smallest_vox):
            centres = centres_of(species, truth, random)
            np.save(file, probabilities_of(centres, species, random))
            print(f"{species.name}: {len(centres)} particles")
            found = {}
            for form in FORMS:
                with multiprocessing.get_context("spawn").Pool(1) as process:
                    seconds, memory, found[form] = process.apply(measured, (form, file, species))
                totals[form] += seconds
                reach = MATCH_RADII * species.radius
                right, hit = near(found[form], centres, reach), near(centres, found[form], reach)
                print(
                    f"  {form:<13} {seconds:7.2f} s {memory:6.2f} GiB {len(found[form]):4} positions, {right:4} right, "
                    f"{hit:4} particles found",
                    flush=True,
                )
            same = near(found["published"], found["scikit-image"], 1e-3)
            print(f"  positions of the published form that are scikit-image's to 0.001 Å: {same}")
    print("all species: " + ", ".join(f"{form} {seconds:.1f} s" for form, seconds in totals.items()))


def near(these: Array, those: Array, distance: float) -> int:
    """How many of these positions `(n, 3)` have one of those `(m, 3)` within a distance (Å)."""
    return int((KDTree(those).query(these)[0] <= distance).sum()) if len(these) and len(those) else 0


def centres_of(species: Species, truth: dict[str, Picks], random: np.random.Generator) -> Array:
    """Particles `(n, 3)` in Å, every third with another beside it."""
    alone = truth[species.name].zyx if truth else random.uniform(0, np.array(SHAPE) * VOXEL, (30, 3))
    beside = alone + random.normal(size=alone.shape) * species.radius / 3 + [0, 1.5 * species.radius, 0]
    return np.concatenate([alone, beside[::2]])


def probabilities_of(centres: Array, species: Species, random: np.random.Generator) -> np.ndarray:
    """`(1, z, y, x)`: the particles' balls with ragged edges."""
    balls = label_targets({species.name: Picks.of(centres)}, [species], Volume(torch.empty(SHAPE), VOXEL, (0, 0, 0)))
    soft = ndimage.gaussian_filter((balls.data[0] > 0).numpy().astype(np.float32), 1.0)
    return np.clip(soft + random.normal(0, 0.02, soft.shape).astype(np.float32), 0, 1)[None]


if __name__ == "__main__":
    run_script(main, description=__doc__)
