"""The tables of `ablations`, `segmentation` and `soups`: a row a choice, F4 by seed and over runs, best first."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tomosoup.core.thresholds import apply_thresholds
from tomosoup.core.types import Picks, Species
from tomosoup.scoring.score import score
from tomosoup.scoring.thresholds import steady_thresholds

CrossValidated = dict[tuple[int, int], tuple[str, dict[str, Picks]]]
"""By fold and seed: the held-out run and its candidates."""


@dataclass
class ScoreRow:
    """What is known of one choice."""

    name: str
    by_seed: dict[int, list[float]] = field(default_factory=dict)
    """Weighted F4 of all scored runs together, for each seed."""
    runs: list[float] = field(default_factory=list)
    """Weighted F4 of each run."""

    @property
    def mean(self) -> float:
        """Over all seeds."""
        return float(np.mean([value for values in self.by_seed.values() for value in values]))

    def line(self, seeds: Sequence[int]) -> str:
        """In Markdown."""
        means = " | ".join(f"{np.mean(self.by_seed[seed]):.3f}" if seed in self.by_seed else "-" for seed in seeds)
        spread = f"{np.mean(self.runs):.3f} ± {np.std(self.runs, ddof=1):.3f}"
        return f"| {self.name} | {means} | {spread} | {' '.join(f'{value:.2f}' for value in self.runs)} |"


def cross_validated(
    name: str,
    found: CrossValidated,
    truth: Mapping[str, Mapping[str, Picks]],
    species: Sequence[Species],
    *,
    folds: Sequence[int],
) -> ScoreRow:
    """Scores of held-out runs; the thresholds of each come from the held-out runs of the same seed's other folds."""
    row = ScoreRow(name)
    for seed in sorted({seed for _, seed in found}):
        held_out = [found[fold, seed] for fold in folds if (fold, seed) in found]
        kept = {}
        for run, picks in held_out:
            others = [(p, truth[r]) for r, p in held_out if r != run]
            if others:
                kept[run] = apply_thresholds(picks, steady_thresholds(others, species))
                row.runs.append(score({run: kept[run]}, truth, species).weighted)
        if len(kept) == len(folds):
            row.by_seed[seed] = [score(kept, truth, species).weighted]
    return row


def print_scores(rows: Iterable[ScoreRow], seeds: Sequence[int]) -> None:
    """Print the table."""
    print(
        "| row | " + " | ".join(f"seed {seed}" for seed in seeds) + " | mean ± standard deviation of the runs | runs |"
    )
    print("| --- |" + " ---: |" * len(seeds) + " ---: | --- |")
    for row in sorted(rows, key=lambda row: row.mean, reverse=True):
        print(row.line(seeds))
