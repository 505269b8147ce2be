"""Picks as an annotator would give them: some missing, some off, some named twice."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tomosoup.core.types import Array, Picks
from tomosoup.simulation.options.specimen import LabelOptions

TWICE = 40.0
"""Å: a second label is within this distance of the first. The contest's 1269 true picks have 9 pairs within 41 Å; in 8
of them the species differ."""


def annotated(
    truth: Mapping[str, Picks], recipe: LabelOptions, *, random: np.random.Generator
) -> dict[str, Picks] | None:
    """The true picks with an annotator's errors and without rotations; None where the recipe has no errors."""
    if not (recipe.missing or recipe.shift or recipe.duplicates):
        return None
    found: dict[str, list[Array]] = {name: [] for name in truth}
    for name, picks in truth.items():
        seen = picks.zyx[random.random(len(picks)) >= recipe.missing]
        placed = seen + recipe.shift * random.standard_normal(seen.shape)
        found[name].append(placed)
        others = [other for other in truth if other != name] or [name]
        for again in placed[random.random(len(placed)) < recipe.duplicates]:
            direction = random.standard_normal(3)
            beside = again + direction * (TWICE * random.uniform(0.25, 1.0) / np.linalg.norm(direction))
            found[str(random.choice(others))].append(beside[None])
    return {name: Picks.of(np.concatenate(places)) for name, places in found.items()}
