"""Does what a net learns from simulated planes find the particles of real ones? Average precision and F4 by species."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from runs.checks.real_slices.net2d import IGNORED, TRUE, PlaneNet, heatmaps, inside
from runs.checks.real_slices.planes import NEAR, RADII, SPECIES, Array, Plane, real_planes
from tomosoup.core.types import Volume
from tomosoup.inference.ensemble import ensemble_heatmap
from tomosoup.models.checkpoint import Checkpoint

HIT = 0.5
"""A pick is a hit within so many radii of a particle, in the plane."""
APART = 0.7
"""Picks of a species are so many radii apart."""
FLOOR = 0.005
NAMED_WITHIN = 3
"""The species of a particle is that of the highest heatmap within so many voxels of it."""
FEW = 3
"""Species with fewer particles in the planes are not in the mean."""


@dataclass(frozen=True)
class Found:
    """What a net makes of some planes, all taken as one set."""

    particles: Array
    """`(6,)` particles by species."""
    precision: Array
    """`(6,)` average precision (interpolated)."""
    f4: Array
    """`(6,)` best F4, at a threshold chosen on these planes."""
    named: Array
    """`(6, 6)` particles of each species (rows) by the species of the highest heatmap."""

    @property
    def counted(self) -> Array:
        """Whether a species has enough particles."""
        enough: Array = self.particles >= FEW
        return enough

    @property
    def mean_precision(self) -> float:
        """Over the species with enough particles."""
        return float(self.precision[self.counted].mean())


def find(net: PlaneNet, planes: Sequence[Plane]) -> Found:
    """Particles of the planes that a net finds."""
    return found_in([(heatmaps(net, plane), plane) for plane in planes])


def found_by(model: Checkpoint, data: Path) -> Found:
    """What a model finds in the real planes."""
    names, depth, results = [s.name for s in model.species], 3 * model.windows.shape[0], []
    for plane in real_planes(data):
        grey = torch.from_numpy(plane.grey).expand(depth, *plane.grey.shape).contiguous()
        maps = ensemble_heatmap(Volume(grey, model.voxel_size, (0.0, 0.0, 0.0)), [model]).data[:, depth // 2]
        results.append((maps[[names.index(name) for name in SPECIES]].numpy() * inside(plane), plane))
    return found_in(results)


def found_in(results: Sequence[tuple[Array, Plane]]) -> Found:
    """The same of heatmaps that were computed before, each with its plane."""
    named = np.zeros((len(SPECIES), len(SPECIES)), int)
    pairs: list[list[tuple[float, bool]]] = [[] for _ in SPECIES]
    many = np.zeros(len(SPECIES), int)
    for maps, plane in results:
        for k in range(len(SPECIES)):
            truth = plane.of(k, within=TRUE)
            many[k] += len(truth)
            pairs[k] += matched(peaks(maps[k], k), plane, k)
            for x, y in np.rint(truth).astype(int):
                rows, columns = (slice(max(n - NAMED_WITHIN, 0), n + NAMED_WITHIN + 1) for n in (y, x))
                box = maps[:, rows, columns]
                if box.size:
                    named[k, box.max((1, 2)).argmax()] += 1
    rated = np.array([ratings(p, int(n)) for p, n in zip(pairs, many, strict=True)])
    return Found(many, rated[:, 0], rated[:, 1], named)


def peaks(heatmap: Array, species: int) -> Array:
    """`(n, 3)` x, y and score of maxima that are the highest within `APART` radii."""
    n = int(APART * RADII[species])
    disk = np.hypot(*np.indices((2 * n + 1,) * 2) - n) <= APART * RADII[species]
    y, x = np.nonzero((heatmap == ndimage.maximum_filter(heatmap, footprint=disk)) & (heatmap > FLOOR))
    return np.column_stack([x, y, heatmap[y, x]]).astype(float)


def matched(picks: Array, plane: Plane, species: int) -> list[tuple[float, bool]]:
    """Score of each pick and whether it hits, without those on particles that are cut off-centre."""
    truth, near = plane.of(species, within=TRUE), plane.of(species, within=NEAR, beyond=TRUE)
    free, found = np.ones(len(truth), bool), []
    for x, y, score in picks[np.argsort(-picks[:, 2])]:
        away = np.where(free, np.hypot(truth[:, 0] - x, truth[:, 1] - y), np.inf)
        if len(away) and away.min() < HIT * RADII[species]:
            free[away.argmin()] = False
            found.append((score, True))
        elif not (np.hypot(near[:, 0] - x, near[:, 1] - y) < IGNORED * RADII[species]).any():
            found.append((score, False))
    return found


def ratings(pairs: Sequence[tuple[float, bool]], particles: int) -> tuple[float, float]:
    """Interpolated average precision, and the best F4 of all thresholds, of picks (score, hit)."""
    if not pairs or not particles:
        return 0.0, 0.0
    hit = np.array([h for _, h in sorted(pairs, key=lambda pair: -pair[0])])
    n, right = np.arange(1, len(hit) + 1), np.cumsum(hit)
    best = np.maximum.accumulate((right / n)[::-1])[::-1]
    f4 = 17 * right / (17 * right + 16 * (particles - right) + n - right)
    return float((best * hit).sum() / particles), float(f4.max())
