"""What a format of picks is: how its files are written and read, and where its program counts positions from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.spatial import KDTree

from tomosoup.core.errors import InputError
from tomosoup.core.types import Array, Grid, Picks, Species

ZYX = tuple[float, float, float]


@dataclass(frozen=True)
class Block:
    """The picks of one species in one run, in another program's terms: its names, its positions (as zyx)."""

    run: str | None
    """None where the file does not say."""
    species: str | None
    picks: Picks
    pixel_size: float | None = None
    """Å a unit of the positions, where the file says."""
    fractions: bool = False
    """Whether positions are fractions of the tomogram's size (Warp's template matching writes those)."""
    scored_by: str | None = None
    """Where the file has the scores (its column); None where it has none: each pick's is 1, or 0 where the
    program writes that."""
    unscored: int = 0
    """Picks without a score, where others have one; theirs is 1."""


@dataclass(frozen=True)
class Details:
    """What a writer or a reader may need besides the picks."""

    grids: Mapping[str, Grid] = field(default_factory=dict)
    """Where the voxels of a run's tomogram are, by its name in the other program."""
    species: Sequence[Species] = ()
    """In the order of their colours."""
    pixel_size: float | None = None
    """Å a pixel of the unbinned tilt series."""
    volume: str | None = None
    """The tomogram's file as the other program is to open it; `{run}` in it is the run."""
    file: str = ""
    """What the file of the picks is called."""

    def radius(self, name: str) -> float:
        """Å. Raises `InputError` where no table of species says."""
        radius = next((s.radius for s in self.species if s.name == name), None)
        if radius is None:
            raise InputError(
                f"The radius of {name}, which this format shows, is not known (known: "
                f"{', '.join(s.name for s in self.species)}): give a CSV table name,radius as `radii`."
            )
        return radius

    def number(self, name: str) -> int:
        """A species' place in the list, for its colour."""
        return next((i for i, s in enumerate(self.species) if s.name == name), 0)


@dataclass(frozen=True)
class Frame:
    """Where another program counts positions from, and in what.

    A pick at index i of the tomogram (0 is the centre of the first voxel) is at (i + first_voxel) there, or at
    (i + first_voxel - size / 2) where counting begins at the centre, times the voxel size in the program's unit.
    """

    unit: Literal["Å", "voxel", "pixel"] = "Å"
    """`pixel` is one of the unbinned tilt series."""
    first_voxel: ZYX | None = None
    """Where the centre of voxel 0 stands, in voxels (z, y, x). None: positions are those of the project, in Å."""
    centred: bool = False
    counted_from: int = 0
    """The program's number of the first voxel. It is added to positions in its voxels, whatever their size."""

    def with_first_voxel(self, value: float | None) -> Frame:
        """The same with voxel 0 elsewhere, unless `value` is None."""
        return self if value is None else replace(self, first_voxel=(value, value, value), counted_from=0)

    def there(self, zyx: Array, grid: Grid | None, *, pixel_size: float | None = None) -> Array:
        """Positions `(n, 3)` in Å of the project -> positions there."""
        if self.first_voxel is None:
            return zyx
        known = _known(grid)
        scale = known.voxel_size / self._unit(known, pixel_size)
        places: Array = (known.to_voxel(zyx) + self._shift(known)) * scale + self.counted_from
        return places

    def here(
        self, places: Array, grid: Grid | None, *, pixel_size: float | None = None, fractions: bool = False
    ) -> Array:
        """The inverse of `there`; `fractions` of the tomogram's size become voxels first."""
        if self.first_voxel is None:
            return places
        known = _known(grid)
        if fractions:
            return known.to_angstrom(places * _shape(known) - self._shift(known))
        unit = pixel_size if self.unit == "voxel" and pixel_size else self._unit(known, pixel_size)
        return known.to_angstrom((places - self.counted_from) * (unit / known.voxel_size) - self._shift(known))

    def _shift(self, grid: Grid) -> Array:
        first: Array = np.asarray(self.first_voxel, dtype=float)
        if not self.centred:
            return first
        return first - (_shape(grid) / 2 if grid.centre_vox is None else np.asarray(grid.centre_vox))

    def _unit(self, grid: Grid, pixel_size: float | None) -> float:
        if self.unit == "pixel" and not pixel_size:
            raise InputError(
                "This format counts in pixels of the unbinned tilt series: give their size as `pixel_size` (Å)."
            )
        return {"Å": 1.0, "voxel": grid.voxel_size, "pixel": pixel_size or 1.0}[self.unit]


def _known(grid: Grid | None) -> Grid:
    if grid is None:
        raise InputError(
            "This format counts in the tomogram's voxels: name the project that holds the tomograms as `project`, or "
            "give `voxel_size` (Å)."
        )
    return grid


def _shape(grid: Grid) -> Array:
    if grid.shape is None:
        raise InputError(
            "This format counts from the tomogram's centre or in fractions of its size: name the project that holds "
            "the tomograms as `project`, or give their voxels along z, y, x as `shape`."
        )
    return np.asarray(grid.shape, dtype=float)


@dataclass(frozen=True)
class Format:
    """A format of picks. Writers and readers know nothing of frames: they are given, and give, its own positions."""

    endings: tuple[str, ...]
    """Of its files; the first is that of the picks, the others lie beside it."""
    frame: Frame
    encode: Callable[[Sequence[Block], Details], dict[str, bytes]]
    """The content of each of these files. Raises `InputError` for what they cannot hold."""
    decode: Callable[[Path, Details], list[Block]]
    """What a file holds. Raises `InputError` where it is not of this format."""
    several_runs: bool = False
    """Whether a file may hold picks of several runs, and names them."""
    several_species: bool = False
    """Whether it may hold several species, and names them."""
    run: str = "{run}"
    """What the other program usually calls a run."""
    scored: bool = True
    """Whether it has a place for scores."""
    turned: bool = False
    """Whether it has a place for orientations."""
    measured: bool = False
    """Whether it has a place for distances to a mask."""
    bare: bool = False
    """Whether its files may be of any program, so that an export says what they count."""
    companions: Callable[[Path, Sequence[Block], Details], dict[Path, bytes]] | None = None
    """`(path, blocks, details)`: what the other program's import takes in place of a file of all runs: a list, and a
    file for each run."""
    merge: Callable[[bytes, bytes, Path], bytes] | None = None
    """`(old, new, path)`: what becomes of a file that is there and holds more than picks."""


def placed(zyx: Array, score: Array | None = None, rotations: Array | None = None) -> Picks:
    """Picks in another program's positions; score 1 where it has none."""
    return Picks(zyx, np.ones(len(zyx)) if score is None else score, rotations)


def apart(picks: Picks, distance: float | None) -> Picks:
    """The picks without those that are nearer than `distance` (Å) to one with a higher score."""
    if distance is None or not len(picks):
        return picks
    tree, order = KDTree(picks.zyx), np.argsort(-picks.score, kind="stable")
    keep = np.ones(len(picks), dtype=bool)
    for i in order:
        if keep[i]:
            keep[tree.query_ball_point(picks.zyx[i], distance)] = False
            keep[i] = True
    return picks.where(keep)
