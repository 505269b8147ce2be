"""Results on disk: picks and scores as JSON files, so that a stopped script continues where it was."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tomosoup.core.files import written_aside
from tomosoup.core.types import Picks

SavedPicks = dict[str, list[list[Any]]]
"""By species: positions in Å (z, y, x), then scores."""


def write_json(path: Path, what: Any) -> None:
    """Write a JSON file that exists only once it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(path) as file:
        file.write_text(json.dumps(what))


def picks_to_json(picks: Mapping[str, Picks]) -> SavedPicks:
    """Positions to 0.1 Å, scores to five digits."""
    return {name: [found.zyx.round(1).tolist(), found.score.round(5).tolist()] for name, found in picks.items()}


def picks_from_json(saved: SavedPicks) -> dict[str, Picks]:
    """The picks that `picks_to_json` wrote."""
    return {name: Picks(np.array(zyx).reshape(-1, 3), np.array(score)) for name, (zyx, score) in saved.items()}
