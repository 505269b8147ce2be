"""Our CSV, the contest's, and copick's pick files: positions in Å, as the project has them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tomosoup.core.types import PicksBySpecies
from tomosoup.data.copick.pick_files import pick_file, read_file
from tomosoup.data.formats.base import Block, Details
from tomosoup.data.formats.tables.picks_csv import picks_of, read_table, write_rows
from tomosoup.data.formats.tables.score_names import score_column
from tomosoup.data.pick_store.pick_set import OWN_USER, PickSet


def _encode_table(blocks: Sequence[Block], details: Details, *, scores: bool) -> dict[str, bytes]:  # noqa: ARG001
    file = io.StringIO(newline="")
    runs: dict[str, PicksBySpecies] = {}
    for block in blocks:
        runs[block.run or ""] = {**runs.get(block.run or "", {}), block.species or "": block.picks}
    write_rows(file, runs, scores=scores)
    return {".csv": file.getvalue().encode()}


encode_csv = partial(_encode_table, scores=True)
encode_contest = partial(_encode_table, scores=False)


def decode_csv(path: Path, details: Details) -> list[Block]:  # noqa: ARG001
    """One block per run and species; the contest's table has no scores."""
    table = read_table(path)
    return [
        Block(run, name, picks, scored_by=score_column(table))
        for run, species in picks_of(table).items()
        for name, picks in species.items()
    ]


def encode_copick(blocks: Sequence[Block], details: Details) -> dict[str, bytes]:  # noqa: ARG001
    """A pick file of user `tomosoup`, session 0, with orientations as 4 x 4 matrices."""
    (block,) = blocks
    file = pick_file(block.picks, run=block.run or "", name=block.species or "", to=PickSet(OWN_USER, "0"))
    return {".json": file.model_dump_json(indent=1).encode()}


def decode_copick(path: Path, details: Details) -> list[Block]:  # noqa: ARG001
    """One block. Files that say no run are of the run that their name says."""
    run, name, picks, scored = read_file(path)
    unscored = len(picks) - scored
    return [Block(run or None, name, picks, scored_by="score" if scored else None, unscored=unscored)]
