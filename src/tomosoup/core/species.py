"""The particles that the contest asks for."""

from __future__ import annotations

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
