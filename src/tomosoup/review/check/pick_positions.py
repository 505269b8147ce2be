"""Findings on where picks are: none, outside, twice, of two species."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from scipy.spatial import KDTree

from tomosoup.core.types import Species
from tomosoup.review.check.findings import Finding
from tomosoup.review.check.sampling import Survey, within

TWICE = 0.5
"""Two picks nearer than so many radii cannot be told apart by the score, and no two particles stand so close."""
SAME = 0.1
"""Å between picks that were written twice."""
FEW = 10
"""Fewer picks may lie in a corner by chance."""
MANY_OUTSIDE = 0.05
"""A larger share of picks outside is no accident."""


def empty(surveys: Sequence[Survey], species: Sequence[Species]) -> Iterator[Finding]:
    """Runs and species without picks."""
    without = tuple(s.run for s in surveys if not any(map(len, s.picks.values())))
    if len(without) == len(surveys):
        yield Finding(
            "note", "picks", "No run has true picks (--truth names others): what takes picks was not looked at."
        )
        return
    if without:
        yield Finding("note", "picks", "No true picks: training leaves the run out, scores count all finds.", without)
    nowhere = [k.name for k in species if k.weight > 0 and not any(len(s.picks.get(k.name, ())) for s in surveys)]
    if nowhere:
        yield Finding("note", "picks", f"No run has picks of {', '.join(nowhere)}: nothing can be learned of them.")


def strangers(surveys: Sequence[Survey], species: Sequence[Species]) -> Iterator[Finding]:
    """Picks of species that the project does not list."""
    names = {s.name for s in species}
    for name in sorted({n for s in surveys for n in s.picks} - names):
        runs = tuple(s.run for s in surveys if name in s.picks)
        yield Finding(
            "error", "species", "The project does not list it: add it with a radius, or correct its name.", runs, name
        )


def outside(surveys: Sequence[Survey]) -> Iterator[Finding]:
    """Picks beyond the faces of their tomograms, and all in a corner, as positions in voxels would be."""
    pairs = [(s, name) for s in surveys for name, found in s.picks.items() if len(found)]
    if not pairs:
        return
    reach = max(float((s.picks[name].zyx.max(0) / s.tomogram.shape).max()) for s, name in pairs)
    if reach <= 1 and surveys[0].tomogram.voxel_size > 2 and sum(len(s.picks[name]) for s, name in pairs) >= FEW:
        yield Finding(
            "error",
            "outside",
            "All picks lie in the corner where they would be if their positions were voxels: they are read as Å.",
        )
    for name in sorted({name for _, name in pairs}):
        those = [(s, s.places(name)) for s, n in pairs if n == name]
        out = {s.run: int((~within(places, s.tomogram.shape)).sum()) for s, places in those}
        count, total = sum(out.values()), sum(len(places) for _, places in those)
        if not count:
            continue
        grave = count > MANY_OUTSIDE * total
        turned = all(within(places[:, ::-1], s.tomogram.shape).all() for s, places in those)
        hint = "is the voxel size true (--voxel-size), are positions in Å?" if grave else "drop them."
        hint = "are z and x exchanged?" if turned and grave else hint
        yield Finding(
            "error" if grave else "warning",
            "outside",
            f"{count} of {total} picks lie outside their tomogram: {hint}",
            tuple(run for run, n in out.items() if n),
            name,
        )


def twice(surveys: Sequence[Survey], species: Sequence[Species]) -> Iterator[Finding]:
    """Picks of one species that are one particle."""
    for kind in species:
        close: dict[str, int] = {}
        same = 0
        for s in surveys:
            if kind.name in s.picks and (pairs := pairs_within(s, kind.name, kind.name, TWICE * kind.radius)):
                close[s.run] = len(pairs)
                same += sum(d < SAME for d in pairs)
        if close:
            which = f", {same} of them at the same place" if same else ""
            yield Finding(
                "warning",
                "twice",
                f"{sum(close.values())} pairs of picks are closer than half a radius{which}: drop one of each.",
                tuple(close),
                kind.name,
            )


def of_two_species(surveys: Sequence[Survey], species: Sequence[Species]) -> Iterator[Finding]:
    """Particles that are picked as two species."""
    for one, other in combinations(species, 2):
        close = {}
        for s in surveys:
            if one.name in s.picks and other.name in s.picks:
                pairs = pairs_within(s, one.name, other.name, TWICE * min(one.radius, other.radius))
                if pairs:
                    close[s.run] = len(pairs)
        if close:
            yield Finding(
                "warning",
                "two species",
                f"{sum(close.values())} particles are picked as {other.name}, too: keep one of each.",
                tuple(close),
                one.name,
            )


def pairs_within(s: Survey, one: str, other: str, distance: float) -> list[float]:
    """The distances, Å, of all pairs of picks of two species, or of one, that are nearer than `distance`."""
    a, b = s.picks[one].zyx, s.picks[other].zyx
    if not len(a) or not len(b):
        return []
    near = KDTree(a).sparse_distance_matrix(KDTree(b), distance, output_type="ndarray")
    return [float(d) for i, j, d in near.tolist() if one != other or i < j]
