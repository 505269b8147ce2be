"""Motive lists: what STOPGAP's and those of TOM, AV3 and Artiatomi have in common.

Sources. Positions: STOPGAP cuts particles out around whole numbers, the positions rounded down, as MATLAB's indices
(src/extract/func/extract_parse_subtomo_positions.m): the first voxel is 1, at its centre. ArtiaX takes 1 off the same
rows of TOM's lists (src/io/Artiatomi/ArtiatomiParticleData.py). The shifts are added (cryoCAT, cryomotl.py,
`update_coordinates`); so we write whole positions, and the rest as shifts. Orientations: `euler_angles`; three zeros
everywhere are taken for orientations that are not known, and scores of zeros alone for none, as lists begin with them.
Tomograms are numbers. They are those that the names of runs end in, if each has its own, as with TOMOMAN's; else they
follow the order of the runs. The map beside the list says them, in the form of STOPGAP's tomolist
(src/extract/func/read_extract_tomolist.m).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tomosoup.core.types import Array, Picks
from tomosoup.data.formats.base import Block, Details
from tomosoup.data.formats.geometry.euler_angles import from_motive, motive_angles
from tomosoup.data.formats.name_template import run_numbers
from tomosoup.data.formats.tables.tomogram_map import map_content, names_of

MAP = ".txt"
"""The ending of the map of tomogram numbers."""


@dataclass(frozen=True)
class MotiveList:
    """The numbers of a list, a row a particle."""

    tomograms: Array
    """`(n,)`"""
    positions: Array
    """x, y, z `(n, 3)`, as are the shifts."""
    scores: Array
    shifts: Array
    angles: Array
    """Phi, psi, the in degrees `(n, 3)`."""

    @classmethod
    def of(cls, blocks: Sequence[Block], details: Details) -> tuple[MotiveList, bytes]:
        """The list of all blocks, and the map of its tomograms."""
        runs = dict.fromkeys(block.run or "" for block in blocks)
        numbers = run_numbers([*dict.fromkeys([*details.grids, *runs])])
        xyz = np.concatenate([block.picks.zyx[:, ::-1] for block in blocks])
        whole = np.floor(xyz + 0.5)
        made = cls(
            np.concatenate([np.full(len(block.picks), numbers[block.run or ""]) for block in blocks]),
            whole,
            np.concatenate([block.picks.score for block in blocks]),
            xyz - whole,
            np.concatenate([_angles(block.picks) for block in blocks]),
        )
        return made, map_content({run: numbers[run] for run in runs})

    def blocks(self, path: Path, *, score: str) -> list[Block]:
        """A block a tomogram: its run is the file in the map beside `path`, without a map its number.

        It is None where there is one tomogram and no map. `score` is what the file calls its scores.
        """
        numbers = np.unique(self.tomograms).tolist()
        names = names_of(numbers, path, MAP)
        turned, scored = self.angles.any(), score if self.scores.any() else None
        blocks = []
        for number in numbers:
            rows = self.tomograms == number
            run = names[number] if names else f"{number:g}" if len(numbers) > 1 else None
            rotations = from_motive(self.angles[rows]) if turned else None
            zyx = (self.positions + self.shifts)[rows, ::-1]
            blocks.append(Block(run, None, Picks(zyx, self.scores[rows], rotations), scored_by=scored))
        return blocks


def _angles(picks: Picks) -> Array:
    return np.zeros((len(picks), 3)) if picks.rotations is None else motive_angles(picks.rotations)
