"""What to compute on."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge

from tomosoup.recipes.base import Recipe


class InferenceRecipe(Recipe):
    """What to pick on."""

    device: str = "auto"
    """cpu, cuda, mps, or the best there is."""


class Hardware(Recipe):
    """What to compute on."""

    device: str = "auto"
    """cpu, cuda, mps, or the best there is."""
    devices: Annotated[int, Ge(1)] = 1
    """How many of them train side by side, each on its share of every batch (on a CPU: processes)."""
