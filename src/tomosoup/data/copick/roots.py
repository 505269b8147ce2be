"""Copick projects opened, and their runs found, wherever they are."""

from __future__ import annotations

import importlib
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import copick
from copick.impl.filesystem import CopickConfigFSSpec, CopickRootFSSpec
from pydantic import ValidationError

from tomosoup.core.config import first_problem
from tomosoup.core.errors import InputError, first_line
from tomosoup.core.files import is_local
from tomosoup.data.copick.names import valid_names
from tomosoup.data.copick.portal.portal import CROISSANT, PORTAL, of_portal
from tomosoup.data.copick.remote import StorageErrors, check_storage, with_fresh_listings
from tomosoup.data.options import PROJECT_FORMS
from tomosoup.data.volumes.files import volume_name

FILES = "filesystem"
"""The `config_type` of a project whose files are reached by fsspec."""
UNUSABLE = (KeyError, ValueError, TypeError, OSError, AttributeError, RecursionError)
"""What copick raises of a configuration that it makes no sense of."""


def open_root(config: dict[str, Any], *, name: str) -> Any:
    """The copick root of a configuration.

    Raises `InputError` where copick cannot make sense of it, or its storage or the CryoET Data Portal does not answer.
    """
    try:
        check_storage(config, name=name)
        valid_names(_names_in(config), where=name)
        with _others_logs_untouched():
            if config.get("config_type") == FILES:  # copick.from_string imports the portal's client for these, too
                return CopickRootFSSpec(CopickConfigFSSpec(**with_fresh_listings(config)))
            if config.get("config_type") != PORTAL:
                return copick.from_string(json.dumps(with_fresh_listings(config)))
            importlib.import_module("copick.impl.cryoet_data_portal")
        with StorageErrors(f"The CryoET Data Portal, for {name},"), _others_logs_untouched():
            return copick.from_string(json.dumps(with_fresh_listings(config)))
    except InputError:
        raise
    except Exception as error:
        if not isinstance(error, UNUSABLE) and not _of_manifest(error):
            raise
        form = "Croissant manifest" if _of_manifest(error) else "copick configuration"
        raise InputError(f"{name} is not a {form} that copick can open ({_reason(error)}).") from error


def _names_in(config: dict[str, Any]) -> list[str]:
    """The names of the objects that a configuration lists, as far as it makes sense."""
    things = config.get("pickable_objects")
    names = [thing.get("name") for thing in things if isinstance(thing, dict)] if isinstance(things, list) else []
    return [name for name in names if isinstance(name, str)]


def _reason(error: Exception) -> str:
    """What copick found wrong with a configuration, or with the tables of a manifest."""
    if isinstance(error, ValidationError):
        return first_problem(error)
    return first_line(error.__cause__ if _of_manifest(error) and error.__cause__ else error)


def _of_manifest(error: Exception) -> bool:
    """Whether the tables of a Croissant manifest cannot be read, such as for other content than the manifest says."""
    return type(error).__module__.startswith("mlcroissant")


def open_config(config: Path) -> Any:
    """The copick root of a configuration file. Raises `InputError` where it is none, and where `open_root` does."""
    if run := volume_name(config):
        raise InputError(
            f"{config} is one volume, and a project is the folder that holds it: give {config.parent} and `runs={run}`."
        )
    try:
        text = json.loads(config.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{config} is not a copick configuration: it cannot be read as JSON ({first_line(error)}). Expected "
            f"{PROJECT_FORMS}."
        ) from error
    return open_root(text, name=str(config))


def overlay_of(root: Any) -> str:
    """The folder that a copick root writes to. Raises `InputError` for a manifest without one, which stays as it is."""
    if overlay := root.overlay_base_url if root.config.config_type == CROISSANT else root.root_overlay:
        return str(overlay)
    raise InputError(
        "A project that a Croissant manifest describes is not written to: add a folder for picks as overlay_root to "
        "its copick configuration."
    )


def where_runs_are(root: Any) -> str:
    """Where a copick root looks for runs, for messages; what to do if its folders depend on the current one."""
    if not isinstance(root, CopickRootFSSpec):
        return "its storage lists none"
    said = [url for url in (root.config.static_root, root.config.overlay_root) if url]
    relative = [url for url in said if is_local(root.fs_static) and not _path_in(url).startswith("/")]
    advice = f"; {' and '.join(map(_path_in, relative))} count from the current folder: write them as whole paths"
    places = " or ".join(dict.fromkeys([root.root_static, root.root_overlay])).replace("//", "/")
    return f"expected ExperimentRuns, with a folder a run, in {places}{advice if relative else ''}"


def why_no_tomogram(root: Any, run: str) -> str:
    """Why the folder of a run holds no tomogram, for messages."""
    sides = ("static", "overlay") if isinstance(root, CopickRootFSSpec) else ()
    places = [getattr(root, f"root_{side}") for side in sides if is_local(getattr(root, f"fs_{side}"))]
    for folder in (Path(place) / "ExperimentRuns" / run for place in places):
        for path in (folder, *(folder.glob("*") if folder.is_dir() else ())):
            if path.is_symlink() and not path.exists():
                return f"{path} is a link to itself or to nothing: remove the link, or restore the folder"
    return "expected VoxelSpacingSIZE/TYPE.zarr in it"


def _path_in(url: str) -> str:
    return url.rpartition("://")[2]


def is_config(path: Path) -> bool:
    """Whether a file is a copick configuration."""
    try:
        return "pickable_objects" in json.loads(path.read_text())
    except (OSError, ValueError, TypeError, RecursionError):
        return False


@contextmanager
def _others_logs_untouched() -> Iterator[None]:
    """Take back what importing copick does to the root logger: it shows all libraries' chatter on standard output."""
    try:
        yield
    finally:
        root = logging.getLogger()
        for handler in list(root.handlers):
            if any(type(f).__module__ == "copick.util.log" for f in handler.filters):
                root.removeHandler(handler)
                root.setLevel(logging.WARNING)


def find_run(root: Any, name: str) -> Any:
    """The run of this name, None where there is none. Raises `InputError` where the storage does not answer.

    It is looked up alone; on the portal, which copick would ask for each run, in the list that copick keeps.
    """
    with StorageErrors(f"Run {name}"):
        return next((r for r in root.runs if r.name == name), None) if of_portal(root) else root.get_run(name)


def run_of(root: Any, name: str) -> Any:
    """The run of this name. Raises `InputError` where `find_run` does, and where there is none.

    A run that is listed and not there is a link to itself, or to nothing.
    """
    run = find_run(root, name)
    if run is None:
        raise InputError(
            f"Run {name} cannot be opened: its folder is not there, or is a link that leads nowhere. Remove the link, "
            "or restore the folder."
        )
    return run
