"""Measures what soups, averages of outputs, pretraining, views and both systems together are worth in F4.

    python -m runs.quality.soups train OUT PICKS WEIGHTS [--worker I/N]    # makes what is missing in OUT
    python -m runs.quality.soups pick OUT [--worker I/N]                   # picks the two runs that no training saw
    python -m runs.quality.soups table OUT                                 # prints the table of docs/models/soups.md

PICKS is the table of the contest's true particles (czii_train_picks.csv). WEIGHTS is the file that
runs/models/lite0_weights.py makes.

The seven tomograms are those of runs/shared/small_contest.py. Five take part in the trainings, each of which holds one
of three of them out; no training sees the other two. A small 3D U-Net (system B, "scratch") trains from random weights,
or first on nine smaller tomograms of random layout ("pretrained"). The heatmap model of system A starts from ImageNet
weights. Thresholds and the choice of a greedy soup come from one of the two unseen runs, the score from the other, and
the other way round; both are pooled.
"""

import json
from pathlib import Path

import torch

from runs.quality.soups.trainings import UNSEEN, train_all
from runs.quality.soups.ways import cells, pick
from runs.shared.command import run_step, share_of
from runs.shared.saved_picks import picks_from_json, picks_to_json, write_json
from runs.shared.score_table import ScoreRow, print_scores
from runs.shared.small_contest import SEEDS
from tomosoup.core.thresholds import apply_thresholds
from tomosoup.core.types import Picks
from tomosoup.data.project import open_project
from tomosoup.data.truth import read_truth
from tomosoup.scoring.score import score
from tomosoup.scoring.thresholds import best_thresholds, steady_thresholds


def pick_all(out: Path, *, worker: str = "0/1") -> None:
    """Pick what is missing of this worker's seeds."""
    number, workers = share_of(worker)
    torch.set_num_threads(1)
    project = open_project(out / "project")
    for seed in SEEDS[number::workers]:
        for row, fold, runs, checkpoints, plan in cells(out, project, seed):
            for run in runs:
                path = out / "picks" / f"{row}|{fold}|{seed}|{run}.json"
                if path.exists():
                    continue
                found = pick(project, run, checkpoints, plan)
                write_json(path, picks_to_json(found))
                value = best_thresholds([(found, read_truth(project, run))], project.species)[1].weighted
                print(path.stem, round(value, 3), flush=True)


def table(out: Path) -> None:
    """Print a row a choice, best first: weighted F4 of both unseen runs together by seed, then of each run."""
    project = open_project(out / "project")
    truth = {run: read_truth(project, run) for run in project.runs[-UNSEEN:]}
    found: dict[str, dict[tuple[str, str], dict[str, dict[str, Picks]]]] = {}
    for file in sorted((out / "picks").glob("*.json")):
        row, fold, seed, run = file.stem.split("|")
        found.setdefault(row, {}).setdefault((seed, fold), {})[run] = picks_from_json(json.loads(file.read_text()))
    rows = []
    for name, by_fold in found.items():
        row = ScoreRow(name)
        for (seed, _), by_run in by_fold.items():
            kept = {}
            for run, other in (tuple(by_run), tuple(by_run)[::-1]):
                thresholds = steady_thresholds([(by_run[other], truth[other])], project.species)
                kept[run] = apply_thresholds(by_run[run], thresholds)
                row.runs.append(score({run: kept[run]}, truth, project.species).weighted)
            row.by_seed.setdefault(int(seed), []).append(score(kept, truth, project.species).weighted)
        rows.append(row)
    print_scores(rows, SEEDS)


if __name__ == "__main__":
    run_step({"train": train_all, "pick": pick_all, "table": table}, description=__doc__)
