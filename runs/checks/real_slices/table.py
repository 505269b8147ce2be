"""The rows of the tables, and whether a project reaches its goals."""

from collections.abc import Iterable

import numpy as np

from runs.checks.real_slices.planes import Array

DARK, PROFILE = -1.0, 0.25
"""Where the real profile is below -1, the simulated one shall be within 25 % of it."""
HALO, NO_HALO = 0.3, 0.1
"""A halo is a simulated value above 0.3 where the real one is below 0.1, outside the last real value below -1."""
TRUSTED = 6
"""Bands with a goal: those that read-back planes still hold."""
FACTORS = {"xy": 1.5, "xz": 1.5, "yz": 2.0}
"""By which band powers may be off, by direction."""
AREAS = {"bands 0-5": 0.70, "grey values": 0.85}
"""Areas under the curve that the patch classifier shall not exceed, by group of features."""
PRECISION = 0.50
"""Mean average precision that networks taught by simulated planes shall have on real ones."""
CAPSIDS, NAMED = "virus-like-particle", 7 / 9
"""Of these particles, so many shall be named rightly."""


def profile_misses(real: Array, simulated: Array) -> Array:
    """Radii where the real mean profile is dark and the simulated one is not within 25 % of it."""
    return np.flatnonzero((real < DARK) & (np.abs(simulated - real) > PROFILE * np.abs(real)))


def halo(real: Array, simulated: Array) -> Array:
    """Radii of a bright ring that the real profile lacks, beyond the last radius where the real one is dark."""
    dark = np.flatnonzero(real < DARK)
    outside = np.arange(len(real)) > (dark[-1] if len(dark) else -1)
    return np.flatnonzero(outside & (simulated > HALO) & (real < NO_HALO))


def band_misses(real: Array, simulated: Array, factor: float) -> Array:
    """Bands of the first six, counted from 1, whose powers differ by more than a factor."""
    return 1 + np.flatnonzero(np.abs(np.log(simulated / real))[:TRUSTED] > np.log(factor))


def verdict(met: bool, goal: str) -> str:
    """What stands beside a value that has a goal."""
    return f"{'ok' if met else 'off'} (goal: {goal})"


def row(name: str, values: Iterable[float], end: str = "") -> None:
    """Print one line; a value that does not exist is a dash."""
    cells = ("      -" if np.isnan(v) else f"{v:7.2f}" if abs(v) < 100 else f"{v:7.0f}" for v in values)
    print(f"{name:<40}{' '.join(cells)}  {end}".rstrip())


def both(name: str, real: Array, simulated: Array, end: str | None = None) -> None:
    """Print real values and simulated ones and, where they have a goal (`end`), their ratio."""
    row(f"{name} real", real)
    row(f"{name} simulated", simulated)
    if end is not None:
        row(f"{name} ratio", simulated / real, end)


class Goals:
    """Counts the goals that are met."""

    def __init__(self) -> None:
        self.counts: dict[str, list[bool]] = {}

    def count(self, goal: str, misses: Array, among: Iterable[int] | None = None) -> str:
        """Count a goal, once or for each position in `among`; returns `ok`, or the positions that miss it."""
        missed = [at in misses for at in among] if among is not None else [len(misses) > 0]
        self.counts.setdefault(goal, []).extend(not m for m in missed)
        return f"off at {' '.join(map(str, misses))}" if len(misses) else "ok"

    def summary(self) -> None:
        """Print how many are met, by kind."""
        print("\ngoals met")
        for goal, met in self.counts.items():
            print(f"  {sum(met):2d} of {len(met):2d}  {goal}")
