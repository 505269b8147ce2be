"""Distances of picks to the mask that they were searched in: copick has no place for them, so records keep them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tomosoup.core.types import NO_PICKS, Picks, PicksBySpecies

DISTANCE = "mask_distance"
"""The key in a record: by species, a distance (Å, or null) for each candidate, in their order."""


def recorded_distances(candidates: PicksBySpecies) -> dict[str, Any]:
    """What the record of a run keeps of its candidates; nothing without a mask."""
    if all(found.mask_distance is None for found in candidates.values()):
        return {}
    values = {name: [] if p.mask_distance is None else p.mask_distance.tolist() for name, p in candidates.items()}
    return {DISTANCE: {name: [round(v, 2) if np.isfinite(v) else None for v in of] for name, of in values.items()}}


def with_distances(picks: PicksBySpecies, candidates: PicksBySpecies, record: Mapping[str, Any]) -> PicksBySpecies:
    """Picks with the recorded distances of the candidates at their positions; NaN for a pick that was moved."""
    recorded = record.get(DISTANCE)
    if not isinstance(recorded, dict):
        return picks

    def measured(name: str, found: Picks) -> Picks:
        positions, values = candidates.get(name, NO_PICKS).zyx.tolist(), recorded.get(name)
        if not isinstance(values, list) or len(values) != len(positions):
            values = []
        known = dict(zip(map(tuple, positions), values, strict=False))
        distance = [known.get(tuple(at)) for at in found.zyx.tolist()]
        return replace(found, mask_distance=np.array([np.nan if d is None else d for d in distance], dtype=float))

    return {name: measured(name, found) for name, found in picks.items()}
