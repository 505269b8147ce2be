"""Where the picks of tomograms are that may not be written to: a copick project beside the table of the picks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tomosoup.core.errors import InputError, shortened
from tomosoup.data.project import CopickProject, MrcFolder, Project, open_project


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


def project_with_picks(project: Project) -> CopickProject:
    """The copick project that holds the picks which `tomosoup pick` made of a project: itself, or a folder beside it.

    Raises `InputError` where there is no such folder, or more than one.
    """
    if isinstance(project, CopickProject):
        return project
    found = picks_projects(project)
    if len(found) != 1:
        several = f"are in several folders ({shortened([str(f) for f in found])})"
        raise InputError(
            f"Picks of {project.path} {several if found else 'were not found beside it or in the current folder'}: "
            "give the .copick folder that `tomosoup pick` made, as `project`."
        )
    holder = open_project(found[0])
    assert isinstance(holder, CopickProject)  # a configuration opens as nothing else
    return holder


def refuse_own_tables(project: Project, outputs: Sequence[Path]) -> None:
    """Raises `InputError` for a table of picks that would take the place of what a folder of MRC files says itself."""
    if isinstance(project, MrcFolder):
        own = {project.path / "picks.csv": "its true picks", project.species_table: "its species"}
        places = {table.absolute(): what for table, what in own.items()}
        if path := next((path for path in outputs if path.absolute() in places), None):
            raise InputError(f"{path} is where {project.path} says {places[path.absolute()]}: choose another `output`.")


def project_with_tomograms(project: CopickProject) -> Project:
    """The project whose tomograms the picks in a copick project are of: itself, or, of a .copick folder, another.

    Raises `InputError` where the other one is gone.
    """
    folder = project.path.absolute().parent
    static = _tomograms_of(folder) if folder.suffix == ".copick" else None
    if static is None:
        return project
    return open_project(static if Path(static).is_dir() else Path(static).parent)


def _tomograms_of(folder: Path) -> str | None:
    """The folder of the tomograms of a copick project; None where it cannot be read."""
    try:
        root = json.loads((folder / "copick_config.json").read_text())["static_root"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return str(root).removeprefix("local://")
