"""The contest's score of picks: counts and F4 of each species, and their weighted mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tomosoup.core.errors import InputError
from tomosoup.core.types import NO_PICKS, PicksByRun, Species
from tomosoup.scoring.matching import MATCH_RADII, Matches, match


@dataclass(frozen=True)
class Score:
    """Matches by species, pooled over `runs`; `left_out` are the truth's other runs."""

    species: Mapping[str, Matches]
    weights: Mapping[str, float]
    runs: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    all_species: bool = False
    """Whether species without any true particle or pick count in the mean, with an F4 of 0, as in the contest."""

    @property
    def weighted(self) -> float:
        """The mean F4 of the species, by weight: the contest's score, and exactly so with `all_species`."""
        counted = {name: m for name, m in self.species.items() if self.all_species or m != Matches()}
        total = sum(self.weights[name] for name in counted)
        return sum(self.weights[name] * m.f_beta() for name, m in counted.items()) / total if total else 0.0

    def as_dict(self) -> dict[str, Any]:
        """The score in JSON's types."""
        return {
            "score": self.weighted,
            "species": {n: {"f4": m.f_beta(), "tp": m.tp, "fp": m.fp, "fn": m.fn} for n, m in self.species.items()},
            "runs": list(self.runs),
            "left_out": list(self.left_out),
        }


def score(
    picks: PicksByRun,
    truth: PicksByRun,
    species: Sequence[Species],
    *,
    runs: Sequence[str] = (),
    all_species: bool = False,
) -> Score:
    """The contest's metric: counts pooled over tomograms, the F4 of each species, and their weighted mean.

    Raises `InputError` where the picks name a species that is not listed, and where the truth lacks a run.

    Args:
        picks: run -> species -> picks. A run with an empty entry counts as picked.
        truth: run -> species -> true picks.
        species: with their radii and weights. A pick counts within half a radius of a true particle.
        runs: runs to score; by default those of the truth that `picks` has, or all where it has none.
        all_species: divide by the weights of all species, as the contest does, also of those that occur nowhere.
    """
    names = {s.name for s in species}
    strangers = sorted({n for found in picks.values() for n in found} - names)
    if strangers:
        raise InputError(
            f"The picks name {', '.join(strangers)}, which the truth does not have: it has {', '.join(sorted(names))}."
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
                    picks.get(run, {}).get(s.name, NO_PICKS),
                    truth[run].get(s.name, NO_PICKS),
                    distance=MATCH_RADII * s.radius,
                )
                for run in chosen
            ),
            Matches(),
        )
        for s in species
    }
    left_out = tuple(sorted(set(truth) - set(chosen)))
    return Score(counts, {s.name: s.weight for s in species}, chosen, left_out, all_species)
