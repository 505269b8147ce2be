"""Projects that a Croissant manifest describes, as copick writes them and POPSICLE publishes them.

Croissant/metadata.json    the manifest: objects with their radii, where the data are
Croissant/runs.csv         name, portal_run_id, split; further tables list tomograms and picks by their URLs
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tomosoup.core.errors import InputError, first_line
from tomosoup.data.copick.portal.portal import CROISSANT

PUBLIC = "s3://cryoet-data-portal-public"
"""The bucket of the CryoET Data Portal, which is read without an account."""


def manifest_at(path: Path) -> Path | None:
    """The manifest that a path names, or that its folder holds; None where there is none.

    Raises `InputError` for a manifest without what copick keeps in it, and for a folder of several benchmarks.
    """
    if several := sorted(file.parents[1] for file in path.glob("*/Croissant/metadata.json")):
        raise InputError(f"{path} is not a benchmark itself but holds some: name one, such as {several[0]}.")
    held = path / "Croissant" / "metadata.json"
    file = path if path.is_file() else held if held.is_file() else path / "metadata.json"
    content = _json(file) if file.is_file() and file.suffix == ".json" else {}
    if "recordSet" not in content:
        return None
    if "copick:config" not in content:
        raise InputError(
            f"{file} is a Croissant manifest of something else: expected one with copick:config, as `copick config "
            "export-croissant` writes it."
        )
    return file


def config_over(manifest: Path, overlay: Path) -> dict[str, Any]:
    """A copick configuration that reads what a manifest lists and writes to a folder, `overlay`."""
    public = str(_json(manifest).get("copick:baseUrl", "")).startswith(PUBLIC)
    return {
        "config_type": CROISSANT,
        "pickable_objects": [],  # copick takes those of the manifest
        "croissant_url": str(manifest.absolute()),
        "static_fs_args": {"anon": True} if public else {},
        "overlay_root": f"local://{overlay.absolute()}",
        "overlay_fs_args": {"auto_mkdir": True},
    }


def splits_of(root: Any) -> dict[str, list[str]]:
    """The runs of each split that the manifest of a copick root names; empty where it names none or there is none."""
    splits: dict[str, list[str]] = getattr(root, "splits", {})
    return splits


def names_of_runs(root: Any, runs: list[str]) -> dict[str, set[str]]:
    """All names of runs: their own and, of those in a manifest over the portal, the one in the portal's folders."""
    names = {run: {run} for run in runs}
    for row in root.index.tomograms if root.config.config_type == CROISSANT else ():
        parts = str(row["url"]).split("/")
        if row["run"] in names and "Reconstructions" in parts[1:]:
            names[row["run"]].add(parts[parts.index("Reconstructions") - 1])
    return names


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{file} cannot be read as JSON ({first_line(error)}).") from error
    return content if isinstance(content, dict) else {}
