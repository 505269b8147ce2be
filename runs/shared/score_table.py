"""The tables of `ablations` and `soups`: a row a choice, F4 by seed and over runs, best first."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np


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


def print_scores(rows: Iterable[ScoreRow], seeds: Sequence[int]) -> None:
    """Print the table."""
    print(
        "| row | " + " | ".join(f"seed {seed}" for seed in seeds) + " | mean ± standard deviation of the runs | runs |"
    )
    print("| --- |" + " ---: |" * len(seeds) + " ---: | --- |")
    for row in sorted(rows, key=lambda row: row.mean, reverse=True):
        print(row.line(seeds))
