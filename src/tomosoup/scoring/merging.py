"""Several sets of picks of the same tomograms as one, with which set found what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree
from scipy.stats import rankdata

from tomosoup.core.errors import InputError
from tomosoup.core.types import NO_PICKS, Array, Picks, PicksByRun


@dataclass(frozen=True)
class Merged:
    """Particles of one species in one tomogram."""

    picks: Picks
    """Each at the mean position (Å) of the picks that it was made of."""
    found_by: NDArray[np.bool_]
    """`(n, sets)`: which sets have it."""

    def where(self, keep: NDArray[np.bool_]) -> Merged:
        """Those of `keep` `(n,)`."""
        return Merged(self.picks.where(keep), self.found_by[keep])


MergedByRun = dict[str, dict[str, Merged]]


def merge_picks(sets: Sequence[PicksByRun], distances: Mapping[str, float], *, at_least: int = 1) -> MergedByRun:
    """The particles that `at_least` of the sets hold: 1 is their union, the number of sets their intersection.

    Scores of different programs cannot be compared, their orders can: a pick's rank is the share of its set's picks of
    that species, over all runs, that score no more (the best has 1). From the highest rank down, a pick takes the
    nearest pick of each other set that is within the distance and not yet taken. A merged pick's score is the mean of
    its ranks over all sets, 0 in those without it (Borda's count). Orientations are left out.

    Args:
        sets: Picks by run and species, in Å.
        distances: By species, how far apart (Å, inclusive) picks of one particle are at most.
        at_least: How many sets must have a particle.

    Raises `InputError` where `at_least` is not between 1 and the number of sets.
    """
    if not 1 <= at_least <= len(sets):
        raise InputError(f"`at_least` must be between 1 and the number of sets, {len(sets)}, got {at_least}.")
    names = list(dict.fromkeys(name for found in sets for those in found.values() for name in those))
    merged: MergedByRun = {run: {} for run in dict.fromkeys(run for found in sets for run in found)}
    for name in names:
        ranks = [ranks_by_run(found, name) for found in sets]
        for run, species in merged.items():
            parts = [found.get(run, {}).get(name, NO_PICKS).zyx for found in sets]
            one = merged_positions(parts, [rank.get(run, np.zeros(0)) for rank in ranks], distance=distances[name])
            species[name] = one.where(one.found_by.sum(axis=1) >= at_least)
    return merged


def ranks_by_run(found: PicksByRun, name: str) -> dict[str, Array]:
    """The rank (0 to 1, 1 the best) of every pick of a species, in the order of each run's picks."""
    scores = {run: those[name].score for run, those in found.items() if name in those}
    if not scores:
        return {}
    every = np.concatenate(list(scores.values()))
    ranks = rankdata(every, method="max") / max(len(every), 1)
    ends = np.cumsum([len(score) for score in scores.values()])
    return dict(zip(scores, np.split(ranks, ends[:-1]), strict=True))


def merged_positions(parts: Sequence[Array], ranks: Sequence[Array], *, distance: float) -> Merged:
    """Positions `(n, 3)` (Å) of several sets with their ranks `(n,)`, as one; the highest score first."""
    trees = [KDTree(zyx) if len(zyx) else None for zyx in parts]
    free = [np.ones(len(zyx), dtype=bool) for zyx in parts]
    order = sorted(((-rank, s, i) for s, those in enumerate(ranks) for i, rank in enumerate(those.tolist())))
    zyx, scores, found_by = [], [], []
    for _, s, i in order:
        if not free[s][i]:
            continue
        members = {s: i}
        for other, tree in enumerate(trees):
            if other == s or tree is None:
                continue
            near = [k for k in tree.query_ball_point(parts[s][i], distance) if free[other][k]]
            if near:
                members[other] = min(near, key=lambda k: float(np.sum((parts[other][k] - parts[s][i]) ** 2)))
        for other, k in members.items():
            free[other][k] = False
        zyx.append(np.mean([parts[o][k] for o, k in members.items()], axis=0))
        scores.append(sum(ranks[o][k] for o, k in members.items()) / len(parts))
        found_by.append([o in members for o in range(len(parts))])
    best_first = np.argsort(-np.asarray(scores, dtype=float), kind="stable")
    picks = Picks(np.reshape(zyx, (-1, 3)).astype(float)[best_first], np.asarray(scores, dtype=float)[best_first])
    return Merged(picks, np.reshape(found_by, (-1, len(parts))).astype(bool)[best_first])


def counts_by_sets(merged: MergedByRun, names: Sequence[str]) -> dict[tuple[str, ...], int]:
    """How many particles each combination of sets has alone, the most first; `names` are the sets'."""
    counts: Counter[tuple[str, ...]] = Counter()
    for species in merged.values():
        for one in species.values():
            counts.update(tuple(n for n, has in zip(names, row, strict=True) if has) for row in one.found_by.tolist())
    return dict(counts.most_common())
