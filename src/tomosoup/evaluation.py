"""Picks against truth: a table a species, the weighted score, the best thresholds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tomosoup.errors import InputError
from tomosoup.io.picks import read_picks, read_true_picks, species_for
from tomosoup.io.tables import PicksByRun
from tomosoup.matching import Matches, best_threshold, match, steady_threshold
from tomosoup.recipes.commands import ScoreCommand
from tomosoup.recipes.portal import contest_name, translation
from tomosoup.types import Picks, PicksBySpecies, Progress, Species, quiet

MATCH_RADII = 0.5
"""A pick is right within this many radii of a true particle (the contest's rule)."""
NOTHING = Picks.of([])
UNTUNED = 0.5
"""Threshold of a species of which the tomograms tell nothing."""


@dataclass(frozen=True)
class Score:
    """Matches by species, pooled over `runs`; `left_out` are the truth's other runs."""

    species: Mapping[str, Matches]
    weights: Mapping[str, float]
    runs: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    @property
    def weighted(self) -> float:
        """The mean F4 of the species, by weight: the contest's score; species that occur nowhere do not count."""
        occurring = {name: m for name, m in self.species.items() if m != Matches()}
        total = sum(self.weights[name] for name in occurring)
        return sum(self.weights[name] * m.f_beta() for name, m in occurring.items()) / total if total else 0.0

    def as_dict(self) -> dict[str, Any]:
        """What `tomosoup score --json` prints."""
        return {
            "score": self.weighted,
            "species": {n: {"f4": m.f_beta(), "tp": m.tp, "fp": m.fp, "fn": m.fn} for n, m in self.species.items()},
            "runs": list(self.runs),
            "left_out": list(self.left_out),
        }


def score(picks: PicksByRun, truth: PicksByRun, species: Sequence[Species], *, runs: Sequence[str] = ()) -> Score:
    """The contest's metric: counts pooled over tomograms, F4 a species, weighted mean.

    Scored are `runs`, or the runs of the truth that `picks` knows (a run with an empty entry counts as picked), or all
    where it knows none.
    Raises `InputError` where a run or a species of the picks is unknown to the truth.
    """
    names = {s.name for s in species}
    strangers = sorted({n for found in picks.values() for n in found} - names)
    if strangers:
        raise InputError(
            f"The picks hold {', '.join(strangers)}, which the truth does not know: it has {', '.join(sorted(names))}."
        )
    chosen = tuple(runs) or tuple(sorted(set(picks) & set(truth) if picks else truth))
    unknown = [run for run in chosen if run not in truth]
    if unknown or not chosen:
        raise InputError(
            f"The truth has no run {', '.join(unknown) or 'in common with the picks'}: "
            f"it has {', '.join(sorted(truth))}, the picks have {', '.join(sorted(picks)) or 'none'}."
        )
    counts = {
        s.name: sum(
            (
                match(
                    picks.get(run, {}).get(s.name, NOTHING),
                    truth[run].get(s.name, NOTHING),
                    distance=MATCH_RADII * s.radius,
                )
                for run in chosen
            ),
            Matches(),
        )
        for s in species
    }
    return Score(counts, {s.name: s.weight for s in species}, chosen, tuple(sorted(set(truth) - set(chosen))))


Pairs = Sequence[tuple[PicksBySpecies, PicksBySpecies]]
"""(picks, truth), a pair a tomogram."""


def _of(kind: Species, pairs: Pairs) -> list[tuple[Picks, Picks]]:
    return [(picks.get(kind.name, NOTHING), truth.get(kind.name, NOTHING)) for picks, truth in pairs]


def best_thresholds(pairs: Pairs, species: Sequence[Species]) -> tuple[dict[str, float], Score]:
    """The F4-best threshold of each species over (picks, truth) of some tomograms, and the score that they give.

    A score at thresholds tuned on the same picks flatters: use it to choose, not to report.
    """
    found = {s.name: best_threshold(_of(s, pairs), distance=MATCH_RADII * s.radius) for s in species}
    thresholds = {name: threshold for name, (threshold, _) in found.items()}
    return thresholds, Score({n: m for n, (_, m) in found.items()}, {s.name: s.weight for s in species}, ())


def steady_thresholds(pairs: Pairs, species: Sequence[Species]) -> dict[str, float]:
    """A threshold a species for tomograms to come, from (picks, truth) of some; `UNTUNED` where nothing was hit."""
    found = {s.name: steady_threshold(_of(s, pairs), distance=MATCH_RADII * s.radius) for s in species}
    return {name: threshold if math.isfinite(threshold) else UNTUNED for name, threshold in found.items()}


def apply_thresholds(picks: PicksBySpecies, thresholds: Mapping[str, float]) -> dict[str, Picks]:
    """The picks that reach their species' threshold; species without one keep all."""
    return {name: found.above(thresholds.get(name, -math.inf)) for name, found in picks.items()}


def called_as(species: Sequence[Species], picks: PicksBySpecies) -> dict[str, Picks]:
    """Picks of the same particles, under the names that `species` has for them (`recipes.portal`)."""
    names = translation(picks, {s.name: contest_name(s.name) for s in species})
    return {names[name]: found for name, found in picks.items()}


def score_files(
    options: ScoreCommand, *, limits: Callable[[Sequence[str]], Mapping[str, float]], progress: Progress = quiet
) -> Score:
    """Score what two files or projects hold, as the `score` command is told; `limits` gives thresholds for species."""
    truth, true_species = read_true_picks(options.truth, options.truth_set, progress=progress)
    picks, found_species = read_picks(options.picks, options.picks_set, progress=progress)
    if true_species:
        picks = {run: called_as(true_species, found) for run, found in picks.items()}
    names = {name: None for found in (*truth.values(), *picks.values()) for name in found}
    species = species_for(names, true_species, found_species, table=options.species)
    thresholds = limits([s.name for s in species])
    kept = {run: apply_thresholds(found, thresholds) for run, found in picks.items()}
    runs = tuple(truth) if options.runs == ("all",) else options.runs
    return score(kept, truth, species, runs=runs)
