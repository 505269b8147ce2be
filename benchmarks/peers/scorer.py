"""The score, by TopCUP's copy of the contest's own metric; run by TopCUP's Python. Nothing of tomosoup is in it.

    python scorer.py DATA FOLDER     # reads held-out.csv, contest.csv, hard.csv in FOLDER; writes score.json

Each species' threshold is the one with the best F4 on the held-out run, among all scores there; where nothing was hit
it is out of reach. With it, the runs of each test set are scored together.
"""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from exchange import SETS, Pick, Set, read_picks
from topcup.postprocess.metric import compute_metrics, score

BETA = 4
"""Of the contest."""


def f_beta(tp: int, fp: int, fn: int) -> float:
    """F4 of counts."""
    whole = (1 + BETA**2) * tp + BETA**2 * fn + fp
    return (1 + BETA**2) * tp / whole if whole else 0.0


def best_threshold(picks: list[Pick], truth: list[Pick], *, distance: float) -> float:
    """The score that a pick of a species must reach."""
    at = np.array([(p.x, p.y, p.z) for p in truth]).reshape(-1, 3)
    found, best = np.array([(p.x, p.y, p.z) for p in picks]).reshape(-1, 3), (0.0, math.inf)
    scores = np.array([p.score for p in picks])
    for threshold in np.unique(scores)[::-1]:
        best = max(best, (f_beta(*compute_metrics(at, distance, found[scores >= threshold])), float(threshold)))
    return best[1]


def table(picks: list[Pick]) -> pd.DataFrame:
    """The metric's form."""
    columns = {"run": "experiment", "species": "particle_type"}
    return pd.DataFrame(picks, columns=Pick._fields).rename(columns=columns)


def main(data: Path, folder: Path) -> None:
    """Set thresholds and score."""
    training = Set(data / "train")
    held_out, truth = read_picks(folder / "held-out.csv"), training.of(training.runs[-1])
    thresholds = {
        name: best_threshold(
            [p for p in held_out if p.species == name],
            [p for p in truth if p.species == name],
            distance=0.5 * training.radii[name],
        )
        for name in training.names
    }
    told: dict[str, object] = {"thresholds": {name: t for name, t in thresholds.items() if math.isfinite(t)}}
    for name in SETS:
        some = Set(data / name)
        kept = [p for p in read_picks(folder / f"{name}.csv") if p.score >= thresholds[p.species]]
        weighted, species = score(
            table(some.truth),
            table(kept),
            row_id_column_name="id",
            distance_multiplier=0.5,
            beta=BETA,
            particle_radius=some.radii,
            particle_weights=some.weights,
        )
        told[name] = {"weighted": float(weighted), "species": {n: float(f) for n, f in species.items()}}
    (folder / "score.json").write_text(json.dumps(told, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
