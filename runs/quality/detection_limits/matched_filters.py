"""Matched filters on every level: what a search finds that is given the template and the orientation."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from runs.quality.detection_limits.levels import LEVELS, MATCHED_RUNS, SEED, chosen_levels, simulation_of
from runs.shared.command import Words
from runs.shared.saved_picks import write_json
from tomosoup.core.types import Array, Picks, Species, Volume
from tomosoup.data.options import DataOptions
from tomosoup.data.project import Project, open_project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.data.truth import read_truth
from tomosoup.inference.readout.matched_filter import Searched, Whitening, highest_signal_near, signal_peaks
from tomosoup.scoring.matching import MATCH_RADII
from tomosoup.simulation.microscope.footprint import footprint, seen_at
from tomosoup.simulation.microscope.reconstruction import Processing
from tomosoup.simulation.microscope.tilt_series import Acquisition
from tomosoup.simulation.options.recipe import SimulationRecipe
from tomosoup.simulation.specimen.particles import structure_maps

SIDE, KEPT = 64, 48
"""Voxels of the cubes that templates are made in, and of their centre, which is used: the border is invalid."""
DRAWS = 2
"""Orientations of each species that the whole tomogram is searched with."""
ORIENTATIONS = 200
"""Random orientations of the second species in `apart`."""
LEAST_SIGNAL = 3.5
"""Standard deviations of the background from which a maximum counts."""


@dataclass(frozen=True)
class WhitenedRun:
    """A run of a level, with all that its templates need."""

    volume: Volume
    white: Tensor
    whitening: Whitening
    maps: Mapping[str, Tensor]
    truth: Mapping[str, Picks]
    recipe: SimulationRecipe
    acquisition: Acquisition
    processing: Processing

    @classmethod
    def of(cls, project: Project, run: str, folder: Path) -> Self:
        """Read it, and whiten its weighted back-projection."""
        drawn = simulation_of(folder, run)
        recipe = SimulationRecipe.model_validate(drawn["recipe"])
        arrays = {k: np.array(v) if isinstance(v, list) else v for k, v in drawn["acquisition"].items()}
        volume, truth = select_tomogram(project, run, DataOptions(tomo_type="wbp")).read(), read_truth(project, run)
        whitening = Whitening.of(volume.data, side=SIDE, random=np.random.default_rng(0))
        return cls(
            volume, whitening.tomogram(volume.data), whitening, structure_maps(list(truth), recipe), truth, recipe,
            Acquisition(**arrays), Processing(**drawn["processing"]),
        )  # fmt: skip

    def template(self, name: str, rotation: Array, position: Array, offset: Array) -> Tensor:
        """The whitened footprint of a particle at `position`, `offset` from the centre of its cube (both in Å)."""
        centre = np.array(self.volume.shape) * self.volume.voxel_size / 2
        alone = footprint(
            self.maps[name], rotation, offset, recipe=self.recipe, processing=self.processing, side=SIDE,
            acquisition=seen_at(self.acquisition, position - centre),
        )  # fmt: skip
        border = slice((SIDE - KEPT) // 2, (SIDE + KEPT) // 2)
        return self.whitening.template(alone)[border, border, border].contiguous()

    def particle_signals(self, species: Species) -> list[list[float]]:
        """For each particle of a species: the signal of its template within half a radius, and the template's norm."""
        found, picks, size = [], self.truth[species.name], self.volume.voxel_size
        assert picks.rotations is not None
        for zyx, rotation in zip(picks.zyx, picks.rotations, strict=True):
            corner = np.round(self.volume.to_voxel(zyx) - (KEPT - 1) / 2)
            template = self.template(
                species.name, rotation, zyx, zyx - self.volume.to_angstrom(corner + (KEPT - 1) / 2)
            )
            signal = highest_signal_near(self.white, template, corner, radius_vox=MATCH_RADII * species.radius / size)
            found.append([round(signal, 2), float(torch.linalg.vector_norm(template))])
        return found

    def maxima(self, species: Species, searched: Searched, rotation: Array) -> dict[str, Any]:
        """The maxima of a species' filter in one orientation over the whole tomogram, and the norm of its template."""
        centre = np.array(self.volume.shape) * self.volume.voxel_size / 2
        template = self.template(species.name, rotation, centre, np.full(3, self.volume.voxel_size / 2))
        at, signal = signal_peaks(searched.response(template), half_vox=3, floor=LEAST_SIGNAL)
        return {
            "norm": float(torch.linalg.vector_norm(template)),
            "zyx": self.volume.to_angstrom(at).round().astype(int).tolist(),
            "signal": signal.round(2).tolist(),
        }


def matched(out: Path) -> None:
    """Search the runs of every level with matched filters; each result is a file."""
    for run in (f"run_{i:03d}" for i in range(MATCHED_RUNS)):
        for level in LEVELS:
            path = out / "matched" / f"{level.name}-{run}.json"
            if path.exists() or not (out / level.name).exists():
                continue
            began, project = time.process_time(), open_project(out / level.name)
            whitened, random = WhitenedRun.of(project, run, out / level.name), np.random.default_rng(SEED)
            searched = Searched.of(whitened.white, reach=KEPT)
            row = {}
            for species in project.species:
                rotations = Rotation.random(DRAWS, rng=random).as_matrix()
                row[species.name] = {
                    "particles": whitened.particle_signals(species),
                    "draws": [whitened.maxima(species, searched, rotation) for rotation in rotations],
                }
            write_json(path, row)
            print(path.stem, f"{time.process_time() - began:.0f} s", flush=True)


def apart(out: Path, one: str, other: str, *levels: Words) -> None:
    """Measure how well filters distinguish two species: the distance of their templates, in background deviations.

    The template of `one` in one orientation is compared with those of `other` in `ORIENTATIONS` random ones, each
    at its nearest position. A search in all orientations is as good as the least distance. `levels`: all by default.
    """
    for level in chosen_levels(*levels):
        path, rows = out / "apart" / f"{one}-{other}-{level.name}.json", out / "matched" / f"{level.name}-run_000.json"
        if path.exists() or not rows.exists():
            continue
        whitened = WhitenedRun.of(open_project(out / level.name), "run_000", out / level.name)
        scale = signal_per_norm(json.loads(rows.read_text()))
        centre, centred = np.array(whitened.volume.shape) * whitened.volume.voxel_size / 2, np.zeros(3)
        first = whitened.template(one, np.eye(3), centre, centred)
        length, distances = float(torch.linalg.vector_norm(first)), []
        for rotation in Rotation.random(ORIENTATIONS, rng=np.random.default_rng(SEED)).as_matrix():
            second = whitened.template(other, rotation, centre, centred)
            norm = float(torch.linalg.vector_norm(second))
            overlap = highest_signal_near(first, second, np.zeros(3), radius_vox=4) * norm
            distances.append(scale * np.sqrt(length**2 + norm**2 - 2 * overlap))
        write_json(path, {"length": scale * length, "distances": distances})
        print(path.stem, f"{scale * length:.1f}, {min(distances):.1f} to {max(distances):.1f}", flush=True)


def signal_per_norm(row: Mapping[str, Any]) -> float:
    """The median over particles of a template's signal divided by its norm."""
    return np.median([signal / norm for found in row.values() for signal, norm in found["particles"]])
