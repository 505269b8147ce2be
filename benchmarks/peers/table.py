"""The measurements as a table."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.exchange import SETS, Set, read_picks
from benchmarks.peers.peers import Peer
from tomosoup.core.thresholds import apply_thresholds
from tomosoup.core.types import Picks
from tomosoup.data.project import open_project
from tomosoup.data.truth import read_truth
from tomosoup.scoring.score import score

ALL = tuple(f"{name}{ending}" for name in SETS for ending in ("", ", best thresholds"))
HEADS = (
    "contest-like",
    "its best thresholds",
    "harder",
    "its best thresholds",
    "seeds",
    "updates",
    "training, CPU min",
    "picking, CPU s a run",
    "memory, GB",
    "weights, MB",
)
Measured = dict[str, Any]
"""Of one peer and seed: its score, training and picking."""


def read(folder: Path) -> Measured | None:
    """What was measured in a job's folder, or None where it is not done."""
    files = {name: folder / f"{name}.json" for name in ("train", "train-peak", "pick", "pick-peak", "score")}
    if not all(file.exists() for file in files.values()):
        return None
    return {name: json.loads(file.read_text()) for name, file in files.items()}


def spread(values: list[float], digits: int = 3) -> str:
    """Mean ± standard deviation, where there are several."""
    mean = f"{np.mean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {np.std(values, ddof=1):.{digits}f}"


def size(folder: Path, pattern: str) -> float:
    """MB of the files of a pattern."""
    return sum(file.stat().st_size for file in folder.glob(pattern)) / 1e6


def table(out: Path, peers: dict[str, Peer]) -> None:
    """Print the tables in Markdown, best first."""
    done: dict[str, list[Measured]] = {}
    for name in peers:
        folders = sorted((out / "jobs").glob(f"{name}-[0-9]"))
        if found := [measured for folder in folders if (measured := read(folder))]:
            done[name] = found

    def f4(name: str, of: str) -> list[float]:
        return [m["score"][of]["weighted"] for m in done[name]]

    best = sorted(done, key=lambda name: -np.mean([np.mean(f4(name, of)) for of in SETS]))
    print(f"| | {' | '.join(HEADS)} |\n| --- |{' ---: |' * len(HEADS)}")
    for name in best:
        some = done[name]
        cells = [
            *(spread(f4(name, of)) for of in ALL),
            str(len(some)),
            spread([m["train"]["updates"] for m in some], 0).split(" ")[0],
            spread([m["train"]["train_s"] / 60 for m in some], 1).split(" ")[0],
            spread([float(np.mean(m["pick"]["pick_s"])) for m in some], 0).split(" ")[0],
            f"{max(m[f'{step}-peak'] for m in some for step in ('train', 'pick')) / 1e9:.1f}",
            f"{size(out / 'jobs' / f'{name}-0', peers[name].weights):.1f}",
        ]
        print(f"| {peers[name].label} | {' | '.join(cells)} |")
    species = [name for name, weight in Set(out / "data" / SETS[0]).weights.items() if weight]
    for of in SETS:
        print(f"\n| {of} | {' | '.join(species)} |\n| --- |{' ---: |' * len(species)}")
        for name in best:
            cells = [spread([m["score"][of]["species"][kind] for m in done[name]], 2) for kind in species]
            print(f"| {peers[name].label} | {' | '.join(cells)} |")
    apart = max((difference(out, f"{name}-{seed}") for name in done for seed in seeds(out, name)), default=0.0)
    print(f"\nLargest difference between this score and tomosoup's own: {apart:.1e}")


def seeds(out: Path, name: str) -> list[int]:
    """Those that are done."""
    return [int(file.parent.name.rsplit("-", 1)[1]) for file in (out / "jobs").glob(f"{name}-[0-9]/score.json")]


def difference(out: Path, job: str) -> float:
    """How far tomosoup's score of the same picks is from the scorer's, on any set."""
    folder, apart = out / "jobs" / job, 0.0
    told = json.loads((folder / "score.json").read_text())
    for name in SETS:
        project, found = open_project(out / "data" / name / "copick_config.json"), read_picks(folder / f"{name}.csv")
        kept = {}
        for run in project.runs:
            by_species = {}
            for kind in project.species:
                of = [p for p in found if (p.run, p.species) == (run, kind.name)]
                picks = Picks(
                    np.array([(p.z, p.y, p.x) for p in of]).reshape(-1, 3), np.array([p.score for p in of], dtype=float)
                )
                by_species[kind.name] = picks
            limits = {kind.name: told["thresholds"].get(kind.name, np.inf) for kind in project.species}
            kept[run] = apply_thresholds(by_species, limits)
        ours = score(kept, {run: read_truth(project, run) for run in project.runs}, project.species).weighted
        apart = max(apart, abs(ours - told[name]["weighted"]))
    return apart
