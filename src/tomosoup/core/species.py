"""The particles that the contest asks for, and those that a file names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tomosoup.core.errors import InputError
from tomosoup.core.thresholds import finite
from tomosoup.core.types import Species

CONTEST_SPECIES = (
    Species("apo-ferritin", 60.0, 1.0),
    Species("beta-amylase", 65.0, 0.0),
    Species("beta-galactosidase", 90.0, 2.0),
    Species("ribosome", 150.0, 1.0),
    Species("thyroglobulin", 130.0, 2.0),
    Species("virus-like-particle", 135.0, 1.0),
)
"""Radii in Å and weights in the score, as the contest's organisers set them."""


def stored_species(records: Iterable[Mapping[str, Any]]) -> tuple[Species, ...]:
    """Species of a file's metadata, each listed once. Raises `ValueError` or `TypeError` for anything else."""
    try:
        species = tuple(Species(str(r["name"]), finite(r["radius"]), finite(r.get("weight", 1.0))) for r in records)
    except InputError as error:
        raise ValueError(f"species: {error}") from error
    if len({s.name for s in species}) < len(species):
        raise ValueError("species, of which one is listed twice")
    return species
