"""Findings on the positions of picks: none, outside, twice, of two species."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from scipy.spatial import KDTree

from tomosoup.core.errors import counted
from tomosoup.core.types import Species, within
from tomosoup.data.project import Project, assumed_species, where_species_are_listed
from tomosoup.review.check.findings import Finding
from tomosoup.review.check.sampling import Survey

TWICE = 0.5
"""Two picks closer than this many radii are one particle: real particles cannot be so close."""
SAME = 0.1
"""Å between picks that were written twice."""
FEW = 10
"""Fewer picks may be in a corner by chance."""
MANY_OUTSIDE = 0.05
"""A larger fraction of picks outside is no accident."""


def missing(surveys: Sequence[Survey], species: Sequence[Species]) -> Iterator[Finding]:
    """Runs and species without picks."""
    without = tuple(s.run for s in surveys if not any(map(len, s.picks.values())))
    if len(without) == len(surveys):
        text = "No run has true picks, so picks were not checked. Set `truth` if they are elsewhere."
        yield Finding("note", "picks", text)
        return
    if without:
        text = "No true picks: training leaves the run out, and a score counts all picks in it as false."
        yield Finding("note", "picks", text, without)
    nowhere = [k.name for k in species if k.weight > 0 and not any(len(s.picks.get(k.name, ())) for s in surveys)]
    if nowhere:
        yield Finding("note", "picks", f"No run has picks of {', '.join(nowhere)}: training cannot learn them.")


def unlisted_species(project: Project, surveys: Sequence[Survey]) -> Iterator[Finding]:
    """Picks of species that the project does not list; a folder of MRC files without a list."""
    listed, where = {s.name for s in project.species}, where_species_are_listed(project)
    if assumed := assumed_species(project):
        yield Finding("warning", "species", assumed)
    for name in sorted({n for s in surveys for n in s.picks} - listed):
        runs = tuple(s.run for s in surveys if name in s.picks)
        text = f"The project does not list this species: add it with a radius to {where}, or correct its name."
        yield Finding("error", "species", text, runs, name)


def outside(surveys: Sequence[Survey]) -> Iterator[Finding]:
    """Picks outside their tomograms, and picks that are all in a corner, as positions in voxels would be."""
    pairs = [(s, name) for s in surveys for name, found in s.picks.items() if len(found)]
    if not pairs:
        return
    reach = max(float((s.picks[name].zyx.max(0) / s.tomogram.shape).max()) for s, name in pairs)
    if reach <= 1 and surveys[0].tomogram.voxel_size > 2 and sum(len(s.picks[name]) for s, name in pairs) >= FEW:
        text = "All picks are in one corner of the tomograms. Positions must be in Å: these look like voxels."
        yield Finding("error", "outside", text)
    for name in sorted({name for _, name in pairs}):
        those = [(s, s.positions_vox(name)) for s, n in pairs if n == name]
        out = {s.run: int((~within(zyx_vox, s.tomogram.shape)).sum()) for s, zyx_vox in those}
        count, total = sum(out.values()), sum(len(zyx_vox) for _, zyx_vox in those)
        if not count:
            continue
        grave = count > MANY_OUTSIDE * total
        exchanged = all(within(zyx_vox[:, ::-1], s.tomogram.shape).all() for s, zyx_vox in those)
        is_outside, them = ("is outside its", "it") if count == 1 else ("are outside their", "them")
        hint = "check `voxel_size`, and that positions are in Å." if grave else f"remove {them}."
        hint = "check whether z and x are exchanged." if exchanged and grave else hint
        yield Finding(
            "error" if grave else "warning",
            "outside",
            f"{count} of {counted(total, 'pick')} {is_outside} tomogram: {hint}",
            tuple(run for run, n in out.items() if n),
            name,
        )


def twice(surveys: Sequence[Survey], species: Sequence[Species]) -> Iterator[Finding]:
    """Two picks of one species that are one particle."""
    for one in species:
        close: dict[str, int] = {}
        same = 0
        for s in surveys:
            if one.name in s.picks and (pairs := distances_within(s, one.name, one.name, TWICE * one.radius)):
                close[s.run] = len(pairs)
                same += sum(d < SAME for d in pairs)
        if close:
            total = sum(close.values())
            pairs_are = "1 pair of picks is" if total == 1 else f"{total} pairs of picks are"
            which = f", {same} of them at the same position" if same else ""
            text = f"{pairs_are} closer than half a radius{which}: remove one pick of each pair."
            yield Finding("warning", "twice", text, tuple(close), one.name)


def of_two_species(surveys: Sequence[Survey], species: Sequence[Species]) -> Iterator[Finding]:
    """Particles that are picked as two species."""
    for one, other in combinations(species, 2):
        close = {}
        for s in surveys:
            if one.name in s.picks and other.name in s.picks:
                pairs = distances_within(s, one.name, other.name, TWICE * min(one.radius, other.radius))
                if pairs:
                    close[s.run] = len(pairs)
        if close:
            total = sum(close.values())
            particles_are = "1 particle is" if total == 1 else f"{total} particles are"
            text = f"{particles_are} also picked as {other.name}: keep one pick of each."
            yield Finding("warning", "two species", text, tuple(close), one.name)


def distances_within(s: Survey, one: str, other: str, distance: float) -> list[float]:
    """The distances (Å) of all pairs of picks of two species, or of one, that are within `distance`."""
    a, b = s.picks[one].zyx, s.picks[other].zyx
    if not len(a) or not len(b):
        return []
    near = KDTree(a).sparse_distance_matrix(KDTree(b), distance, output_type="ndarray")
    return [float(d) for i, j, d in near.tolist() if one != other or i < j]
