"""What is different in copick projects over datasets of the CryoET Data Portal, and over manifests of them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from tomosoup.core.aliases import NO_RADIUS
from tomosoup.core.errors import InputError

PORTAL = "cryoet_data_portal"
"""The `config_type` of such a project."""
CROISSANT = "mlcroissant"
"""That of a project which a Croissant manifest describes."""
LISTED = "listed"
"""The session of the picks in a manifest whose sessions are only the numbers of the portal's files."""


def of_portal(root: Any) -> bool:
    """Whether a copick root is over the portal."""
    return bool(root.config.config_type == PORTAL)


def radius_said(thing: Any) -> float | None:
    """The radius (Å) of a pickable object; None where nobody said any, which copick makes `NO_RADIUS` on the portal."""
    unsaid = thing.radius == NO_RADIUS and (of_portal(thing.root) or _manifest_of_portal(thing.root))
    return None if unsaid else thing.radius


def _manifest_of_portal(root: Any) -> bool:
    """Whether a copick root is over a manifest that lists runs of the portal."""
    return root.config.config_type == CROISSANT and any(
        run["portal_run_id"] for run in root.index.runs_by_name.values()
    )


def session_of(file: Any) -> str:
    """The session of a pick file; of one on the portal its deposition, as copick makes each file a session there.

    A manifest of the portal's data does not keep the deposition: such files are of the session `LISTED`.
    """
    if annotation := annotated(file):
        return str(annotation.portal_annotation.deposition_id)
    return LISTED if _annotation_listed(file) else str(file.session_id)


def annotated(file: Any) -> Any:
    """What the portal says of an annotation's file; None for files that are not annotations of the portal."""
    return file.meta.portal_metadata if file.read_only and hasattr(file.meta, "portal_metadata") else None


def _annotation_listed(file: Any) -> str:
    """The number of the portal's annotation if a manifest lists the file under no session but its own number; or ""."""
    root = file.run.root
    if root.config.config_type != CROISSANT or not file.read_only:
        return ""
    return _annotations_by_file(root).get((file.run.name, file.pickable_object_name, file.session_id), "")


@lru_cache(maxsize=8)
def _annotations_by_file(root: Any) -> dict[tuple[str, str, str], str]:
    """The portal's annotation by run, object and session, of a manifest's files under no session but their number."""
    return {
        (row["run"], row["object_name"], row["session_id"]): str(row["portal_annotation_id"])
        for row in reversed(root.index.picks)
        if row["portal_annotation_file_id"] == row["session_id"]
    }


def distinct(files: Iterable[Any]) -> list[Any]:
    """The files but those that repeat an annotation at another spacing, or without its orientations.

    Raises `InputError` where a manifest lists two annotations of a species and does not say which one counts.
    """
    kept: dict[Any, Any] = {}
    listed: dict[str, str] = {}
    for i, file in enumerate(files):
        if number := _annotation_listed(file):
            name = file.pickable_object_name
            if listed.setdefault(name, number) != number:
                raise InputError(
                    f"Run {file.run.name}: the manifest lists two annotations of {name}, {listed[name]} and {number}: "
                    "expected one; export the manifest again with one of them (`copick config export-croissant`)."
                )
            kept.setdefault(("listed", number, name), file)
            continue
        annotation = annotated(file)
        key = ("portal", annotation.annotation_id) if annotation else i
        if key not in kept or annotation.shape_type == "OrientedPoint":
            kept[key] = file
    return list(kept.values())
