"""What users should know after picks were exchanged: one line each, with a code for programs."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from tomosoup.core.errors import InputError, counted, shortened
from tomosoup.core.types import Grid, Picks, PicksByRun, Species

FEW = 10
"""Fewer picks may all be in one half of a tomogram along each axis by chance."""


@dataclass(frozen=True)
class Remark:
    """One line for users."""

    code: str
    """What it is about: outside, crowded, no-scores, scores-from, unknown-runs, renamed, species, pixel-size, centre,
    origin, left-out, masked, twice, import-list."""
    text: str


_hearing: ContextVar[list[Remark] | None] = ContextVar("hearing", default=None)


@contextmanager
def heard() -> Iterator[list[Remark]]:
    """Collects the remarks of what is done meanwhile; otherwise they are warnings of the logger `tomosoup`."""
    remarks: list[Remark] = []
    token = _hearing.set(remarks)
    try:
        yield remarks
    finally:
        _hearing.reset(token)


def remark(code: str, text: str) -> None:
    """Say something once."""
    said = _hearing.get()
    if said is None:
        logging.getLogger("tomosoup").warning(text)
    elif Remark(code, text) not in said:
        said.append(Remark(code, text))


def turned(picks: Picks) -> bool:
    """Whether picks have orientations that are more than the reference's own."""
    return picks.rotations is not None and not np.allclose(picks.rotations, np.eye(3))


def remark_outside(picks: PicksByRun, grids: Mapping[str, Grid]) -> None:
    """Say how many picks lie outside their tomograms, where the tomograms' sizes are known."""
    sized = {run: grid for run, grid in grids.items() if grid.shape is not None and run in picks}
    out = {run: sum(int((~grid.inside(p.zyx)).sum()) for p in picks[run].values()) for run, grid in sized.items()}
    if count := sum(out.values()):
        total = sum(len(found) for run in sized for found in picks[run].values())
        lie = "lies outside its" if count == 1 else "lie outside their"
        runs = shortened([run for run, n in out.items() if n], most=6)
        remark(
            "outside",
            f"{count} of {counted(total, 'pick')} {lie} tomogram ({runs}): check `pixel_size`, `voxel_size`, the "
            "binning and the format.",
        )


def remark_crowded(picks: PicksByRun, grids: Mapping[str, Grid]) -> None:
    """Say if all picks are in the first or the middle half of their tomograms, as with a unit that is too small."""
    places = [
        (grid.to_voxel(p.zyx) + 0.5) / grid.shape
        for run, grid in grids.items()
        if grid.shape is not None and run in picks
        for p in picks[run].values()
    ]
    fractions = np.concatenate(places) if places else np.zeros((0, 3))
    halves = {"first": fractions <= 0.5, "middle": np.abs(fractions - 0.5) <= 0.25}
    half = next((name for name, inside in halves.items() if inside.all()), "")
    if half and len(fractions) >= FEW:
        remark(
            "crowded",
            f"All {len(fractions)} picks are in the {half} half of their tomograms along x, y and z: check that "
            "`pixel_size` or `voxel_size` is not too small.",
        )


def remark_twice(picks: PicksByRun, species: Sequence[Species]) -> None:
    """Say how many picks are nearer to another of their species than its radius, as two particles cannot be."""
    for one in species:
        sets = [those[one.name].zyx for those in picks.values() if one.name in those]
        pairs = [KDTree(zyx).query_pairs(one.radius, output_type="ndarray") for zyx in sets if len(zyx)]
        if close := sum(len(np.unique(near)) for near in pairs):
            remark(
                "twice",
                f"{close} of {counted(sum(map(len, sets)), 'pick')} of {one.name} have another within their radius "
                f"({one.radius:g} Å): particles are there several times. `apart={one.radius:g}` keeps the best of "
                "each.",
            )


def check_runs(named: Iterable[str], runs: Sequence[str], *, source: str, project: str, do: str) -> list[str]:
    """The runs of `source` that `project` does not have. Raises `InputError` where it has none of them.

    `do` says what to do about it.
    """
    names = sorted(set(named))
    unknown = [name for name in names if name not in set(runs)]
    if unknown and len(unknown) == len(names):
        raise InputError(
            f"The runs of {source} ({shortened(unknown, most=6)}) are not in {project}, which has "
            f"{shortened(list(runs), most=6)}: {do}."
        )
    return unknown
