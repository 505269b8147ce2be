"""Make a project of one's own: tomograms and true picks, in copick's naming or in the contest's."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tomosoup.errors import InputError
from tomosoup.io import copick_files
from tomosoup.types import PicksBySpecies, Species, Volume

MARKER = "made-by-tomosoup"
"""An empty file in every folder of ours: only such a folder may be replaced."""
TRUTH_USER = "simulation"
"""The copick user that true picks are filed under."""


@dataclass(frozen=True)
class NewProject:
    """A project that is being written. `contest` files picks under the object's name alone, as the contest does."""

    folder: Path
    species: tuple[Species, ...]
    root: Any
    contest: bool

    def add_run(self, run: str, volume: Volume, truth: PicksBySpecies, *, kind: str) -> None:
        """Write a run: its tomogram `(z, y, x)` as OME-Zarr, its true picks as copick files.

        `volume.origin` and `truth` are in one frame; the files are in that of the layout, where voxel 0 stands half a
        voxel after the origin (copick) or before it (contest).
        """
        first = np.full(3, (-0.5 if self.contest else 0.5) * volume.voxel_size)
        copick_files.write_tomogram(self.root, run, volume, kind=kind)
        picks = {n: replace(p, zyx=p.zyx - np.asarray(volume.origin) + first) for n, p in truth.items()}
        copick_files.write_picks(self.root.get_run(run), picks, user=TRUTH_USER, session="0")
        if self.contest:
            written = self.folder / "static" / "ExperimentRuns" / run / "Picks"
            bare = self.folder / "overlay" / "ExperimentRuns" / run / "Picks"
            bare.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(written, bare)
            for file in bare.iterdir():
                file.rename(bare / file.name.removeprefix(f"{TRUTH_USER}_0_"))


@contextmanager
def new_project(
    folder: Path, species: Sequence[Species], *, contest: bool = False, overwrite: bool = False
) -> Iterator[NewProject]:
    """Write a project aside; it appears at `folder` once the block has ended well, and leaves nothing if it has not.

    Raises `InputError` if `folder` is there already and may not be replaced.
    """
    if folder.resolve() == Path.cwd():
        raise InputError(f"A project cannot take the place of the folder that you are in ({folder}): name another.")
    if folder.exists() and not (overwrite and _is_project(folder)) and (folder.is_file() or any(folder.iterdir())):
        raise InputError(
            f"{folder} exists already: choose another folder"
            + (", or replace the project with --overwrite." if _is_project(folder) else ".")
        )
    aside = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        aside.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"Cannot make the folder {folder} ({error.strerror}): choose another place.") from error
    try:
        # copick writes into overlays only: for writing, the tomograms' folder is one.
        writing = copick_files.config_of(species, static=aside / "static", overlay=aside / "static")
        (aside / MARKER).touch()
        yield NewProject(aside, tuple(species), copick_files.open_root(writing, name=str(folder)), contest)
        if not contest:
            (aside / "overlay").mkdir()
            config = copick_files.config_of(species, static=folder / "static", overlay=folder / "overlay")
            (aside / "copick_config.json").write_text(json.dumps(config, indent=2))
        if folder.exists():
            shutil.rmtree(folder)
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _is_project(folder: Path) -> bool:
    """Made by us: real data are never replaced."""
    return (folder / MARKER).is_file()


def picks_project(folder: Path, species: Sequence[Species], runs: Sequence[str], *, static: Path) -> Any:
    """Make a copick project for the picks of tomograms that may not be written to; returns its root.

    Its static root is `static`, so that a viewer opens picks and tomograms together where those are copick's layout.
    """
    for run in runs:
        (folder / "overlay" / "ExperimentRuns" / run).mkdir(parents=True, exist_ok=True)
    config = copick_files.config_of(species, static=static, overlay=folder / "overlay")
    (folder / "copick_config.json").write_text(json.dumps(config, indent=2))
    return copick_files.open_root(config, name=str(folder))
