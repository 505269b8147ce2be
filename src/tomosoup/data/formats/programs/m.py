"""M's own particles: the STAR file of a species, with columns wrp...

Sources, of github.com/warpem/warp. `Species.ParticlesToStar` (WarpLib/Sociology/Species.cs) writes the columns,
numbered from 1 also where there is a single point, wrpRandomSubset as 1 or 2, and the tilt series as wrpSourceName (its
.tomostar) and wrpSourceHash. `ParticleStarParsing.FromMStar` (MTools/Commands) reads as many points as there are whole
triples of columns, takes positions for Å, and asks for the angles and the hash; other columns are left alone. The hash
is M's, of the tilt series' data; it stands in the population's .source (WarpLib/Sociology/DataSource.cs). Particles of
RELION without halves are given to the two in turn (MTools/Commands/CreateSpecies.cs), as here.

The frame is that of Warp's tomograms, in Å: refinement hands positions to `GetPositionInAllTilts` (WarpLib/TiltSeries)
as they are, and so does `ReconstructFull` with voxel index x voxel size: voxel 0 is at 0. (Rot, tilt, psi) are
RELION's, which M takes over unchanged.

The points of a trajectory are evenly spaced in dose (`Particle`, WarpLib/Sociology/Particle.cs). Where M needs one
place (distances; `Species.ParticlesToRelionStar`) it takes the mean of all points, and so do we. It also takes means of
Euler angles, each by itself, which errs where one passes 180 degrees; we take the mean rotation.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tomosoup.core.types import Array, Picks
from tomosoup.data.formats.base import Block, Details
from tomosoup.data.formats.geometry.euler_angles import from_relion, mean_rotations, relion_angles
from tomosoup.data.formats.programs.star import SCORE, by_run, one_table, particle_tables, plain
from tomosoup.data.formats.tables.score_names import score_column, scores_of
from tomosoup.data.formats.tables.table import Table

POSITIONS = ["wrpCoordinateX", "wrpCoordinateY", "wrpCoordinateZ"]
ANGLES = ["wrpAngleRot", "wrpAngleTilt", "wrpAnglePsi"]
RUN = "wrpSourceName"


def encode(blocks: Sequence[Block], details: Details) -> dict[str, bytes]:  # noqa: ARG001
    """One table `particles`, of particles that stand still: a point each."""
    return one_table([_rows(block) for block in blocks], point(ANGLES, 1))


def _rows(block: Block) -> pd.DataFrame:
    picks = block.picks
    table = pd.DataFrame(picks.zyx[:, ::-1], columns=point(POSITIONS, 1))
    if picks.rotations is not None:
        table[point(ANGLES, 1)] = relion_angles(picks.rotations)
    table["wrpRandomSubset"] = np.arange(len(picks)) % 2 + 1
    table[RUN] = plain(block.run or "")
    table[SCORE] = picks.score
    return table


def decode(path: Path, details: Details) -> list[Block]:  # noqa: ARG001
    """One block per run, with particles at the mean of their trajectories; the run is None if no column names it."""
    return [
        Block(run, None, _picks(rows), scored_by=score_column(rows))
        for table, _ in particle_tables(path, point(POSITIONS, 1), [RUN])
        for run, rows in by_run(table, [RUN])
    ]


def _picks(rows: Table) -> Picks:
    xyz = trajectories(rows, POSITIONS)
    turned = any(name in rows for name in point(ANGLES, 1))
    rotations = [from_relion(angles) for angles in trajectories(rows, ANGLES)] if turned else None
    return Picks(
        xyz.mean(axis=0)[:, ::-1], scores_of(rows), None if rotations is None else mean_rotations(np.stack(rotations))
    )


def trajectories(rows: Table, names: Sequence[str]) -> Array:
    """Numbers `(points, n, 3)`. Raises `InputError` where a column of the first point is missing or has no numbers."""
    points = 1
    while set(point(names, points + 1)) <= set(rows.columns):
        points += 1
    return np.stack([rows.numbers(point(names, number)) for number in range(1, points + 1)])


def point(names: Sequence[str], number: int) -> list[str]:
    """The columns of one point of a trajectory; points count from 1."""
    return [f"{name}{number}" for name in names]
