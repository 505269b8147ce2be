"""Whether picks are as they were written: a person's corrections are never replaced without being asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import numpy as np

from tomosoup.core.errors import InputError, shortened
from tomosoup.core.types import Picks, PicksBySpecies
from tomosoup.data.copick import files as copick_files
from tomosoup.data.copick.roots import run_of
from tomosoup.data.pick_store.pick_set import PickSet


def digests_of(picks: PicksBySpecies) -> dict[str, str]:
    """By species, 16 hexadecimal digits that tell picks apart: positions, scores, orientations, in order (SHA-256)."""

    def digest(found: Picks) -> str:
        parts = [found.zyx, found.score[:, None]]
        parts += [] if found.rotations is None else [found.rotations.reshape(-1, 9)]
        values = np.hstack(parts).astype("<f8") + 0.0  # which makes 0 of -0
        return sha256(values.tobytes()).hexdigest()[:16]

    return {name: digest(found) for name, found in picks.items()}


def refuse_edited(root: Any, place: PickSet, records: Mapping[str, Mapping[str, Any]], runs: Sequence[str]) -> None:
    """Raises `InputError` where the picks of `runs` are not as they were recorded: a person's work.

    Runs without a record, and those of version 0.1.0, which recorded no digests, pass.
    """
    recorded = {run: records[run].get("digests") for run in runs if run in records}
    edited = [
        run
        for run, digests in recorded.items()
        if digests is not None
        and (read := copick_files.pick_sets(run_of(root, run)).get(place))
        and digests_of(read()) != digests
    ]
    if edited:
        raise InputError(
            f"Picks {place} of run {shortened(edited)} have changed since tomosoup wrote them, and would be replaced: "
            "save them under another user or session first, or replace them with `overwrite=True`.",
            code="changed",
        )
