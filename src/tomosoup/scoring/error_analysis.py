"""Errors of picks with known truth: which particles are missed, which picks are false, and what each error costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tomosoup.core.thresholds import apply_thresholds
from tomosoup.core.types import NO_PICKS, Array, Picks, PicksBySpecies, Species
from tomosoup.scoring.matched_picks import HIT, REPEATED, MatchedPicks
from tomosoup.scoring.matching import MATCH_RADII, Matches
from tomosoup.scoring.score import Score

OTHER_SPECIES, LOW_SCORE, MISPLACED, UNSEEN = (
    "taken for another species",
    "below the threshold",
    "misplaced",
    "not seen",
)
"""Why a particle is missed, the first that holds: a pick of another species that hits nothing of its own is on it; its
own pick scores too low; a pick of its species is between half a radius and one radius away; none of these."""
REPEAT, BESIDE, ON_OTHER, ON_NOTHING = (
    "second pick of a particle",
    "beside its species",
    "on another species",
    "on nothing annotated",
)
"""What a false pick is, the first that holds: a pick of a particle that a better pick hits; between half a radius and
one radius from a particle of its species; within the radius of a particle of another species; none of these."""


@dataclass(frozen=True)
class Case:
    """A true particle, or a false pick."""

    run: str
    species: str
    is_particle: bool
    """True for a true particle, False for a false pick."""
    zyx: tuple[float, float, float]
    """Å."""
    neighbour: float
    """Å to the nearest true particle of any species, a particle itself not counted; infinite without any."""
    error: str = ""
    """Why it is missed or false; empty where it is hit."""
    other: str = ""
    """The species that it was picked as, or that it is on."""


def error_cases(
    run: str,
    candidates: PicksBySpecies,
    truth: PicksBySpecies,
    species: Sequence[Species],
    *,
    thresholds: Mapping[str, float],
) -> list[Case]:
    """Every true particle and every false pick of a run.

    Args:
        run: its name.
        candidates: all peaks by species, however low their scores.
        truth: true picks by species.
        species: in the order in which cases are listed.
        thresholds: the candidates that reach these are the picks.
    """
    kept = apply_thresholds(candidates, thresholds)
    particles = _Particles.of(truth, species)
    matched = {
        s.name: MatchedPicks.of(
            kept.get(s.name, NO_PICKS), truth.get(s.name, NO_PICKS), distance=MATCH_RADII * s.radius
        )
        for s in species
    }
    false = {name: picks.zyx[picks.outcome != HIT] for name, picks in matched.items()}
    cases: list[Case] = []
    for s in species:
        picks = matched[s.name]
        for zyx, found in zip(picks.truth, picks.found, strict=True):
            others = {n: p for n, p in false.items() if n != s.name}
            error, other = ("", "") if found else _why_missed(zyx, s, picks, candidates.get(s.name, NO_PICKS), others)
            near = particles.neighbour(zyx, itself=True)
            cases.append(Case(run, s.name, True, tuple(zyx.tolist()), near, error, other))
        for zyx, outcome in zip(picks.zyx, picks.outcome, strict=True):
            if outcome != HIT:
                error, other = (REPEAT, "") if outcome == REPEATED else particles.what_is_at(zyx, s)
                cases.append(Case(run, s.name, False, tuple(zyx.tolist()), particles.neighbour(zyx), error, other))
    return cases


def _why_missed(
    zyx: Array, species: Species, picks: MatchedPicks, candidates: Picks, false: Mapping[str, Array]
) -> tuple[str, str]:
    """The error of a missed particle and the species that it was picked as; `false` are other species' false picks."""
    distance = MATCH_RADII * species.radius
    for name, positions in false.items():
        if _nearest(positions, zyx) <= distance:
            return OTHER_SPECIES, name
    if _nearest(candidates.zyx, zyx) <= distance:
        return LOW_SCORE, ""
    return (MISPLACED if _nearest(picks.zyx, zyx) <= species.radius else UNSEEN), ""


@dataclass(frozen=True)
class _Particles:
    """All true particles of a run."""

    zyx: Array
    species: tuple[Species, ...]

    @classmethod
    def of(cls, truth: PicksBySpecies, species: Sequence[Species]) -> _Particles:
        """Those of all species together."""
        found = [(s, truth.get(s.name, NO_PICKS).zyx) for s in species]
        return cls(np.concatenate([zyx for _, zyx in found]), tuple(s for s, zyx in found for _ in zyx))

    def neighbour(self, zyx: Array, *, itself: bool = False) -> float:
        """Å to the nearest particle of any species; to the second nearest where one stands at `zyx` `itself`."""
        away = np.sort(np.linalg.norm(self.zyx - zyx, axis=1))
        return float(away[int(itself)]) if len(away) > int(itself) else float("inf")

    def what_is_at(self, zyx: Array, species: Species) -> tuple[str, str]:
        """What a false pick of `species` is on: its error and, for another species, which."""
        away = np.linalg.norm(self.zyx - zyx, axis=1)
        near = [self.species[i] for i in np.argsort(away) if away[i] <= self.species[i].radius]
        if species in near:
            return BESIDE, ""
        return (ON_OTHER, near[0].name) if near else (ON_NOTHING, "")


def _nearest(positions: Array, zyx: Array) -> float:
    return float(np.linalg.norm(positions - zyx, axis=1).min(initial=np.inf))


@dataclass(frozen=True)
class ErrorClass:
    """Cases of one class: numbers of true particles, missed particles and false picks, and the cost of the errors."""

    name: str
    particles: int
    missed: int
    false: int
    cost: float
    """How much the weighted F4 would rise without these errors."""


def score_of(cases: Iterable[Case], species: Sequence[Species]) -> Score:
    """The score of all cases of some runs. A pick that hits two particles counts twice, as in `matching.match`."""
    found = {s.name: Matches() for s in species}
    for case in cases:
        one = Matches(fp=1) if not case.is_particle else Matches(fn=1) if case.error else Matches(tp=1)
        found[case.species] = found[case.species] + one
    return Score(found, {s.name: s.weight for s in species}, ())


def error_classes(cases: Sequence[Case], species: Sequence[Species], *, by: Callable[[Case], str]) -> list[ErrorClass]:
    """The cases by class, in the order of the classes' names; `by` gives the name of a case's class."""
    now = score_of(cases, species).weighted
    result = []
    for name in sorted({by(case) for case in cases}):
        members = [case for case in cases if by(case) == name]
        corrected = [
            replace(case, error="") if by(case) == name else case
            for case in cases
            if case.is_particle or by(case) != name
        ]
        particles = [case for case in members if case.is_particle]
        missed = sum(bool(case.error) for case in particles)
        cost = score_of(corrected, species).weighted - now
        result.append(ErrorClass(name, len(particles), missed, len(members) - len(particles), cost))
    return result
