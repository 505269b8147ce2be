"""What is different in copick projects over datasets of the CryoET Data Portal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tomosoup.core.aliases import NO_RADIUS

PORTAL = "cryoet_data_portal"
"""The `config_type` of such a project."""


def of_portal(root: Any) -> bool:
    """Whether a copick root is over the portal."""
    return bool(root.config.config_type == PORTAL)


def radius_said(thing: Any) -> float | None:
    """The radius (Å) of a pickable object; None where nobody said any, which copick makes `NO_RADIUS` on the portal."""
    unsaid = of_portal(thing.root) and thing.radius == NO_RADIUS
    return None if unsaid else thing.radius


def session_of(file: Any) -> str:
    """The session of a pick file; of one on the portal its deposition, as copick makes each file a session there."""
    return str(annotation.portal_annotation.deposition_id if (annotation := annotated(file)) else file.session_id)


def annotated(file: Any) -> Any:
    """What the portal says of an annotation's file; None where the file is no annotation of its."""
    return file.meta.portal_metadata if file.read_only and hasattr(file.meta, "portal_metadata") else None


def distinct(files: Iterable[Any]) -> list[Any]:
    """The files but those that repeat an annotation at another spacing, or without its orientations."""
    kept: dict[Any, Any] = {}
    for i, file in enumerate(files):
        annotation = annotated(file)
        key = ("portal", annotation.annotation_id) if annotation else i
        if key not in kept or annotation.shape_type == "OrientedPoint":
            kept[key] = file
    return list(kept.values())
