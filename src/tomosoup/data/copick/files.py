"""What copick keeps: configuration, objects, pick files, tomograms."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePath
from typing import Any

import copick
import numpy as np
from copick.impl.filesystem import CopickPicksFSSpec, CopickRootFSSpec

from tomosoup.core.aliases import contest_name
from tomosoup.core.errors import InputError
from tomosoup.core.files import is_local, refuse_irregular, write_whole
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.core.types import Picks, PicksBySpecies, Species
from tomosoup.data.copick.pick_files import UNREADABLE, no_pick_file, pick_file, read_file, stored_picks
from tomosoup.data.copick.portal.portal import annotated, distinct, radius_said, session_of
from tomosoup.data.copick.remote import StorageErrors
from tomosoup.data.copick.roots import find_run, overlay_of
from tomosoup.data.pick_store.pick_set import PickSet

Config = dict[str, Any]
AT_ONCE = 16
"""Files or folders that are written or listed at the same time: each waits for the disk or a server."""


def config_of(species: Sequence[Species], *, static: Path, overlay: Path) -> Config:
    """A copick configuration over two local folders: tomograms in `static`, picks to be made in `overlay`."""
    return {
        "config_type": "filesystem",
        "name": "tomosoup",
        "description": "",
        "version": copick.__version__,
        "pickable_objects": [
            {
                "name": s.name,
                "is_particle": True,
                "label": i + 1,
                "radius": s.radius,
                "color": rgba(COLOURS[i % len(COLOURS)]),
                "metadata": {"weight": s.weight},
            }
            for i, s in enumerate(species)
        ],
        "overlay_root": f"local://{overlay.absolute()}",
        "overlay_fs_args": {"auto_mkdir": True},
        "static_root": f"local://{static.absolute()}",
        "static_fs_args": {"auto_mkdir": False},
    }


COLOURS = ["#e69f00", "#56b4e9", "#009e73", "#f0e442", "#cc79a7", "#d55e00", "#0072b2"]
"""The colours of the species, in turn. Colour-blind people can distinguish them, too (Okabe and Ito 2008)."""


def rgba(colour: str) -> tuple[int, int, int, int]:
    """A colour as copick writes it, opaque."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue, 255


def species_of(thing: Any) -> Species:
    """A pickable object as a `Species`; what it does not say comes from the contest's list, by name or identifier.

    The radius that copick gives all objects of a portal project is not taken for one where the contest's is known.
    """
    known = next((s for s in CONTEST_SPECIES if s.name == called_by_contest(thing)), None)
    radius = (radius_said(thing) or known.radius) if known else thing.radius
    if not radius:
        raise InputError(
            f"Object {thing.name!r} of the copick project has no radius: add one (Å) to its configuration."
        )
    weight = (thing.metadata or {}).get("weight", known.weight if known else 1.0)
    return Species(thing.name, float(radius), float(weight))


def called_by_contest(thing: Any) -> str:
    """The contest's name of a pickable object, or its own where the contest knows none."""
    return contest_name(thing.name, getattr(thing, "identifier", None))


def pick_sets(run: Any) -> dict[PickSet, Callable[[], dict[str, Picks]]]:
    """By set, a function that reads its picks by species, of what is stored now.

    The session of picks on the CryoET Data Portal is their deposition.
    Raises `InputError` where pick files are not named USER_SESSION_OBJECT.json, which copick cannot read.
    """
    try:
        run.refresh_picks()
        files = run.picks
    except IndexError as error:
        raise InputError(
            f"Run {run.name}: its pick files are not named USER_SESSION_OBJECT.json as copick expects; for the "
            "contest's own folders name the folder (train) in place of the configuration, else rename the files."
        ) from error
    sets: dict[PickSet, list[Any]] = {}
    for file in files:
        sets.setdefault(PickSet(file.user_id, session_of(file)), []).append(file)
    return {key: partial(_load, group) for key, group in sets.items()}


def runs_holding(root: Any, runs: Sequence[str], sets: Collection[PickSet]) -> list[str]:
    """Those of the runs that have picks of one of the sets; a run that is not there has none.

    In a project of files their names are enough: thousands of runs take seconds. Raises `InputError` where the storage
    does not answer.
    """
    if not isinstance(root, CopickRootFSSpec):
        found = ((name, find_run(root, name)) for name in runs)
        return [name for name, run in found if run is not None and not pick_sets(run).keys().isdisjoint(sets)]
    beginnings = tuple(f"{one.user}_{one.session}_" for one in sets)
    places = ((root.fs_overlay, root.root_overlay), (root.fs_static, root.root_static))

    def held(run: str) -> bool:
        for fs, folder in places:
            with suppress(FileNotFoundError, NotADirectoryError):
                files = fs.ls(f"{folder}/ExperimentRuns/{run}/Picks", detail=False)
                if any(PurePath(file).name.startswith(beginnings) for file in files):
                    return True
        return False

    with StorageErrors("The place for picks"), ThreadPoolExecutor(AT_ONCE) as pool:
        for fs, _ in places:
            fs.invalidate_cache()  # other processes write here
        return [run for run, there in zip(runs, pool.map(held, runs), strict=True) if there]


def _load(files: Iterable[Any]) -> dict[str, Picks]:
    picks: dict[str, Picks] = {}
    for file in distinct(files):
        name = file.pickable_object_name
        if file.run.root.get_object(name) is None:
            _refuse_misnamed(file)
        try:
            with StorageErrors(file.path):
                if (fs := getattr(file, "fs", None)) and is_local(fs):
                    refuse_irregular(Path(file.path), expected="a copick pick file")
                found = stored_picks(file)
        except InputError:
            raise
        except UNREADABLE as error:
            raise no_pick_file(file.path, error) from error
        picks[name] = _joined(picks[name], found) if name in picks and annotated(file) else found
    return picks


def _refuse_misnamed(file: Any) -> None:
    """Raises `InputError` where a pick file has a name with more than three parts, of which copick reads three."""
    beginning, names = f"{PurePath(file.path).stem}_", list[str]()
    with suppress(OSError, AttributeError, RuntimeError):  # not every project is of files
        names = [path.rpartition("/")[2] for path in file.fs.ls(file.directory, detail=False)]
    if misnamed := sorted(name for name in names if name.startswith(beginning)):
        raise InputError(
            f"{file.directory}{misnamed[0]} is not named USER_SESSION_OBJECT.json as copick expects: rename it so that "
            "none of the three parts has an underscore."
        )


def _joined(one: Picks, other: Picks) -> Picks:
    """The particles of both, with rotations where all have one."""
    rotations = None
    if one.rotations is not None and other.rotations is not None:
        rotations = np.concatenate((one.rotations, other.rotations))
    return Picks(np.concatenate((one.zyx, other.zyx)), np.concatenate((one.score, other.score)), rotations)


def read_files(paths: Iterable[Path]) -> dict[str, Picks]:
    """Picks by species from copick pick files, whatever the files are called; those of one species are joined."""
    picks: dict[str, Picks] = {}
    for _, name, found, _ in map(read_file, paths):
        picks[name] = _joined(picks[name], found) if name in picks else found
    return picks


def write_picks(run: Any, picks: PicksBySpecies, to: PickSet) -> None:
    """Write one pick set of a copick run: one file per species, with scores and, if known, orientations.

    Each file takes the place of what was there; species that the set no longer has are removed from it. Raises
    `InputError` where the project has no overlay, and where the storage does not take them.
    """
    overlay_of(run.root)
    with StorageErrors(f"The place for picks of run {run.name}"):
        run.refresh_picks()
        for old in run.get_picks(user_id=to.user, session_id=to.session):
            if old.pickable_object_name not in picks and not old.read_only:
                with suppress(FileNotFoundError):  # another process was first
                    old.fs.rm_file(old.path)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda name: _write(run, name, picks[name], to), picks))


def _write(run: Any, name: str, picks: Picks, to: PickSet) -> None:
    file = pick_file(picks, run=run.name, name=name, to=to)
    target = CopickPicksFSSpec(run=run, file=file)
    write_whole(target.fs, target.path, file.model_dump_json(indent=1))
