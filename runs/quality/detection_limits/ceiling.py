"""The F4 of matched filters: a limit for every method."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import KDTree

from runs.quality.detection_limits.levels import (
    Level,
)
from runs.quality.detection_limits.matched_filters import DRAWS, signal_per_norm
from tomosoup.core.types import Array, PicksBySpecies, Species
from tomosoup.data.project import open_project
from tomosoup.data.truth import read_truth
from tomosoup.scoring.matched_picks import RankedPicks
from tomosoup.scoring.matching import MATCH_RADII
from tomosoup.scoring.score import Score
from tomosoup.scoring.thresholds import best_threshold

Ceiling = tuple[float, float, dict[str, float]]
"""The weighted F4 of matched filters, each alone and in competition; and each species' F4, in competition."""


def ceiling(out: Path, level: Level) -> Ceiling | None:
    """The F4 of matched filters on a level, with the best thresholds for it; None where nothing is measured.

    In competition, the filter that explains a position best takes it.
    """
    paths = sorted((out / "matched").glob(f"{level.name}-run_*.json"))
    if not paths:
        return None
    project = open_project(out / level.name)
    rows = {path.stem.removeprefix(f"{level.name}-"): json.loads(path.read_text()) for path in paths}
    truth = {run: read_truth(project, run) for run in rows}
    scores = []
    for competing in (False, True):
        found = {}
        for species in project.species:
            parts = [ranked_filter(row, truth[run], project.species, species, competing) for run, row in rows.items()]
            signal, gain = (np.concatenate(part) for part in zip(*parts, strict=True))
            ranked = RankedPicks.sorted(signal, gain, DRAWS * sum(len(truth[run][species.name]) for run in rows))
            found[species.name] = ranked.at(best_threshold(ranked))
        scores.append(Score(found, {s.name: s.weight for s in project.species}, tuple(rows)))
    alone, together = scores
    return alone.weighted, together.weighted, {name: m.f_beta() for name, m in together.species.items()}


def ranked_filter(
    row: Mapping[str, Any], truth: PicksBySpecies, every: Sequence[Species], species: Species, competing: bool
) -> tuple[Array, Array]:
    """What the filter of a species finds in one run: signals `(n,)`, and 1 for a particle, 0 for a false pick.

    Particles count once a draw, so that counts are `DRAWS` times those of one search. `competing`: a position goes to
    the filter of the highest log-likelihood, signal * norm - norm² / 2, with norms on the scale of the particles.
    """
    scale = signal_per_norm(row)

    def likelihood(signal: Array, norm: Array | float) -> Array:
        return signal * (length := scale * norm) - length**2 / 2

    particles = np.array(row[species.name]["particles"]).reshape(-1, 2)
    own, others = truth[species.name].zyx, [s for s in every if s.name != species.name]
    signals, gains = [], []
    for k in range(DRAWS):
        draw = row[species.name]["draws"][k]
        zyx, signal = np.array(draw["zyx"], dtype=float).reshape(-1, 3), np.array(draw["signal"])
        false = KDTree(own).query(zyx)[0] > species.radius
        hit = np.ones(len(particles), dtype=bool)
        for other in others if competing else []:
            theirs = np.array(row[other.name]["particles"]).reshape(-1, 2)
            away, which = KDTree(truth[other.name].zyx).query(zyx)
            better = likelihood(*theirs.T)[which] > likelihood(signal, draw["norm"])
            false &= ~((away <= other.radius) & better)
            there = row[other.name]["draws"][k]
            rival = likelihood(np.array(there["signal"]), there["norm"])
            near = KDTree(np.array(there["zyx"]).reshape(-1, 3)).query_ball_point(own, r=MATCH_RADII * species.radius)
            hit &= np.array([rival[n].max(initial=-np.inf) for n in near]) < likelihood(*particles.T)
        signals += [particles[hit, 0], signal[false]]
        gains += [np.ones(int(hit.sum())), np.zeros(int(false.sum()))]
    return np.concatenate(signals), np.concatenate(gains)
