"""The score, by TopCUP's copy of the contest's own metric; run by TopCUP's Python. Nothing of tomosoup is in it.

    python -m benchmarks.peers.scorer DATA FOLDER

Reads held-out.csv, contest.csv, hard.csv in FOLDER; writes score.json.

Each species' threshold is the one with the best F4 on the held-out run (midway between two scores); where nothing was
hit it is out of reach. With it, the runs of each test set are scored together. Told besides is the score with the best
thresholds on the test set itself, which nobody could have known: it says how much of a low score is the thresholds'.
"""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from topcup.postprocess.metric import compute_metrics, score

from benchmarks.peers.exchange import SETS, Pick, Set, read_picks

BETA = 4
"""Of the contest."""


def f_beta(tp: int, fp: int, fn: int) -> float:
    """F4 of counts."""
    whole = (1 + BETA**2) * tp + BETA**2 * fn + fp
    return (1 + BETA**2) * tp / whole if whole else 0.0


def best_thresholds(some: Set, runs: list[str], picks: list[Pick]) -> dict[str, float]:
    """The score that picks of each species must reach for the best F4 in some runs; infinite where nothing is hit."""
    return {name: best_threshold(some, runs, [p for p in picks if p.species == name], name) for name in some.names}


def best_threshold(some: Set, runs: list[str], picks: list[Pick], species: str) -> float:
    """The same for the picks of one species; tried are the scores at some hundreds of ranks, closer near the top.

    It is midway from the last pick that pays to the next.
    """
    pairs = []
    for run in runs:
        truth = np.array([(p.x, p.y, p.z) for p in some.of(run) if p.species == species]).reshape(-1, 3)
        found = np.array([(p.x, p.y, p.z, p.score) for p in picks if p.run == run]).reshape(-1, 4)
        pairs.append((truth, found[:, :3], found[:, 3]))
    ranked, best = np.sort([p.score for p in picks])[::-1], (0.0, math.inf)
    ranks = np.unique(np.geomspace(1, max(1, len(ranked)), 300).astype(int)) - 1
    for threshold in np.unique(ranked[ranks[: len(ranked)]])[::-1]:
        counts = [
            compute_metrics(truth, 0.5 * some.radii[species], at[score >= threshold]) for truth, at, score in pairs
        ]
        best = max(best, (f_beta(*np.sum(counts, axis=0)), float(threshold)))
    lower = ranked[ranked < best[1]][:1]
    return best[1] if math.isinf(best[1]) or not len(lower) else float(best[1] + lower[0]) / 2


def table(picks: list[Pick]) -> pd.DataFrame:
    """The metric's form."""
    columns = {"run": "experiment", "species": "particle_type"}
    return pd.DataFrame(picks, columns=Pick._fields).rename(columns=columns)


def f4(some: Set, picks: list[Pick], thresholds: dict[str, float]) -> dict[str, object]:
    """The weighted mean and by species."""
    kept = [p for p in picks if p.score >= thresholds[p.species]]
    weighted, species = score(
        table(some.truth),
        table(kept),
        row_id_column_name="id",
        distance_multiplier=0.5,
        beta=BETA,
        particle_radius=some.radii,
        particle_weights=some.weights,
    )
    return {"weighted": float(weighted), "species": {name: float(f) for name, f in species.items()}}


def main(data: Path, folder: Path) -> None:
    """Set thresholds and score."""
    training = Set(data / "train")
    thresholds = best_thresholds(training, training.runs[-1:], read_picks(folder / "held-out.csv"))
    told: dict[str, object] = {"thresholds": {name: t for name, t in thresholds.items() if math.isfinite(t)}}
    for name in SETS:
        some, picks = Set(data / name), read_picks(folder / f"{name}.csv")
        told[name] = f4(some, picks, thresholds)
        told[f"{name}, best thresholds"] = f4(some, picks, best_thresholds(some, some.runs, picks))
    (folder / "score.json").write_text(json.dumps(told, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
