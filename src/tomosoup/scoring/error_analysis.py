"""What goes wrong where the truth is known: which particles are missed, which picks are false, and what each costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tomosoup.core.thresholds import apply_thresholds
from tomosoup.core.types import NO_PICKS, Array, Picks, PicksBySpecies, Species
from tomosoup.scoring.matched_picks import HIT, REPEATED, hits
from tomosoup.scoring.matching import MATCH_RADII, Matches
from tomosoup.scoring.score import Score

TAKEN, FAINT, MISPLACED, UNSEEN = "taken for another kind", "below the threshold", "misplaced", "not seen"
"""Why a particle is missed: a pick of another kind that is nothing else's stands on it; its own peak is too low; a pick
of its kind stands half to one radius off; none of these. The first that holds."""
TWICE, BESIDE, OTHER, NOWHERE = "second pick of a particle", "beside its kind", "on another kind", "on nothing labelled"
"""What a false pick is: of a particle that a better pick hits; half to one radius off one of its kind; within the
radius of another kind's; none of these. The first that holds."""


@dataclass(frozen=True)
class Case:
    """A true particle, or a false pick (`true` False)."""

    run: str
    kind: str
    true: bool
    zyx: tuple[float, float, float]
    """Å."""
    neighbour: float
    """Å to the nearest true particle of any kind (a particle's: but itself)."""
    fate: str = ""
    """Why it is missed or false, empty where it is hit."""
    other: str = ""
    """The kind that it was taken for, or stands on."""

    @property
    def wrong(self) -> bool:
        """Whether it is an error."""
        return bool(self.fate)


def judge(
    run: str,
    candidates: PicksBySpecies,
    truth: PicksBySpecies,
    species: Sequence[Species],
    *,
    thresholds: Mapping[str, float],
) -> list[Case]:
    """Every true particle and every false pick of a run; `candidates` are all peaks, kept those at the thresholds."""
    kept = apply_thresholds(candidates, thresholds)
    everything = _All.of(truth, species)
    looks = {
        s.name: hits(kept.get(s.name, NO_PICKS), truth.get(s.name, NO_PICKS), distance=MATCH_RADII * s.radius)
        for s in species
    }
    wrong = {name: Picks(look.zyx[look.kind != HIT], look.score[look.kind != HIT]) for name, look in looks.items()}
    cases = []
    for s in species:
        look, reach = looks[s.name], MATCH_RADII * s.radius
        for zyx, at in zip(look.truth, look.hit_at, strict=True):
            case = Case(run, s.name, True, tuple(zyx.tolist()), everything.neighbour(zyx, itself=True))
            if at == -np.inf:
                others = [n for n, p in wrong.items() if n != s.name and _nearest(p.zyx, zyx) <= reach]
                if others:
                    case = replace(case, fate=TAKEN, other=others[0])
                elif _nearest(candidates.get(s.name, NO_PICKS).zyx, zyx) <= reach:
                    case = replace(case, fate=FAINT)
                else:
                    case = replace(case, fate=MISPLACED if _nearest(look.zyx, zyx) <= s.radius else UNSEEN)
            cases.append(case)
        for zyx, how in zip(look.zyx, look.kind, strict=True):
            if how != HIT:
                fate, other = (TWICE, "") if how == REPEATED else everything.what_is_at(zyx, s)
                cases.append(Case(run, s.name, False, tuple(zyx.tolist()), everything.neighbour(zyx), fate, other))
    return cases


@dataclass(frozen=True)
class _All:
    """All true particles of a run."""

    zyx: Array
    kinds: tuple[Species, ...]

    @classmethod
    def of(cls, truth: PicksBySpecies, species: Sequence[Species]) -> _All:
        """Those of all species together."""
        found = [(s, truth.get(s.name, NO_PICKS).zyx) for s in species]
        return cls(np.concatenate([zyx for _, zyx in found]), tuple(s for s, zyx in found for _ in zyx))

    def neighbour(self, zyx: Array, *, itself: bool = False) -> float:
        """Distance (Å) to the nearest particle of any kind, to the second where the place is that of one `itself`."""
        away = np.sort(np.linalg.norm(self.zyx - zyx, axis=1))
        return float(away[int(itself)]) if len(away) > int(itself) else float("inf")

    def what_is_at(self, zyx: Array, kind: Species) -> tuple[str, str]:
        """What a false pick of `kind` stands on: its class and, for another kind, which."""
        away = np.linalg.norm(self.zyx - zyx, axis=1)
        near = [self.kinds[i] for i in np.argsort(away) if away[i] <= self.kinds[i].radius]
        if kind in near:
            return BESIDE, ""
        return (OTHER, near[0].name) if near else (NOWHERE, "")


def _nearest(places: Array, zyx: Array) -> float:
    return float(np.linalg.norm(places - zyx, axis=1).min(initial=np.inf))


@dataclass(frozen=True)
class Group:
    """Cases of one class: how many particles, how many missed, how many false picks, and what it costs."""

    name: str
    particles: int
    missed: int
    false: int
    cost: float
    """How much the weighted F4 would rise, were these errors gone."""


def counts(cases: Iterable[Case], species: Sequence[Species]) -> Score:
    """The score that cases come to. A pick that hits two particles counts as two, as in `matching.match`."""
    found = {s.name: Matches() for s in species}
    for case in cases:
        one = Matches(fp=1) if not case.true else Matches(fn=1) if case.wrong else Matches(tp=1)
        found[case.kind] = found[case.kind] + one
    return Score(found, {s.name: s.weight for s in species}, ())


def groups(cases: Sequence[Case], species: Sequence[Species], *, by: Callable[[Case], str]) -> list[Group]:
    """The cases by class, in the order of the classes' names."""
    now = counts(cases, species).weighted
    result = []
    for name in sorted({by(case) for case in cases}):
        members = [case for case in cases if by(case) == name]
        left = [case if by(case) != name else replace(case, fate="") for case in cases if case.true or by(case) != name]
        true = [case for case in members if case.true]
        missed = sum(case.wrong for case in true)
        result.append(Group(name, len(true), missed, len(members) - len(true), counts(left, species).weighted - now))
    return result
