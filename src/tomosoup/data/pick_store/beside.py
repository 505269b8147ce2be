"""Where the picks of tomograms are that may not be written to: a copick project beside the table of the picks."""

from __future__ import annotations

import json
from pathlib import Path

from tomosoup.data.project import CopickProject, Project


def picks_projects(project: Project) -> list[Path]:
    """The folders (.copick) of the picks that `tomosoup pick` made of a project, sorted.

    A copick project holds its picks itself. For any other, the folders are searched beside the project, in it, and in
    the current folder.
    """
    if isinstance(project, CopickProject):
        return [project.path]
    own = project.path.absolute()
    places = {own.parent, own, Path.cwd()} if own.is_dir() else {own.parent, Path.cwd()}
    folders = {folder.resolve() for place in places for folder in place.glob("*.copick")}
    return sorted(folder for folder in folders if _tomograms_of(folder) in {str(own), str(own / "static")})


def _tomograms_of(folder: Path) -> str | None:
    """The folder of the tomograms of a copick project; None where it cannot be read."""
    try:
        root = json.loads((folder / "copick_config.json").read_text())["static_root"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return str(root).removeprefix("local://")
