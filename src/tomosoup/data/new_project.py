"""Make a project of one's own: tomograms and true picks, in copick's naming or in the contest's."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tomosoup.core.errors import InputError
from tomosoup.core.files import written_aside
from tomosoup.core.types import PicksBySpecies, Species, Volume
from tomosoup.data.copick import files as copick_files
from tomosoup.data.copick.roots import open_root
from tomosoup.data.copick.tomograms import write_labels, write_tomogram
from tomosoup.data.pick_store.pick_set import ANNOTATOR_USER, PickSet

MARKER = "made-by-tomosoup"
"""A file in every folder of ours, with the settings that made it: only such a folder may be replaced."""
CONFIG = "copick_config.json"
"""The configuration in a folder of ours."""
TRUTH_USER = "simulation"
"""The copick user that true picks and labels are filed under."""


@dataclass(frozen=True)
class SimulatedRun:
    """What a run of a project of one's own holds. Volumes are `(z, y, x)`; all share one frame with the truth."""

    volumes: Mapping[str, Volume]
    """By tomogram type."""
    truth: PicksBySpecies
    labels: Volume | None = None
    """The number of the species in each voxel, from 1; 0 for none."""
    parameters: Mapping[str, Any] | None = None
    """What it was made with, for a JSON file beside it."""
    annotated: PicksBySpecies | None = None
    """The true picks with an annotator's errors, for a second set."""


@dataclass(frozen=True)
class NewProject:
    """A project that is being written. `contest` files picks under the object's name alone, as the contest does."""

    folder: Path
    species: tuple[Species, ...]
    contest: bool

    @property
    def runs(self) -> list[str]:
        """Runs that are written whole, sorted."""
        return sorted(p.name for p in (self.folder / "static" / "ExperimentRuns").glob("[!.]*"))

    def add_run(self, run: str, made: SimulatedRun) -> None:
        """Write a run: tomograms and labels as OME-Zarr, true picks as copick files. It appears once it is whole.

        The files are in the frame of the layout, where voxel 0 stands half a voxel after the origin (copick) or before
        it (contest).
        """
        aside = self.folder / f".{run}.{os.getpid()}"
        try:
            root = open_root(copick_files.config_of(self.species, static=aside, overlay=aside), name=str(self.folder))
            for tomo_type, volume in made.volumes.items():
                write_tomogram(root, run, volume, tomo_type=tomo_type)
                first = np.full(3, (-0.5 if self.contest else 0.5) * volume.voxel_size) - np.asarray(volume.origin)
            for user, picks in ((TRUTH_USER, made.truth), (ANNOTATOR_USER, made.annotated)):
                if picks is not None:
                    moved = {n: replace(p, zyx=p.zyx + first) for n, p in picks.items()}
                    copick_files.write_picks(root.get_run(run), moved, PickSet(user, "0"))
            if made.labels is not None:
                write_labels(root, run, made.labels, user=TRUTH_USER, session="0")
            written = aside / "ExperimentRuns" / run
            if made.parameters is not None:
                (written / "simulation.json").write_text(json.dumps(made.parameters, indent=1))
            if self.contest:
                self._file_as_contest(written / "Picks", run)
            place = self.folder / "static" / "ExperimentRuns" / run
            place.parent.mkdir(parents=True, exist_ok=True)
            written.rename(place)
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def _file_as_contest(self, written: Path, run: str) -> None:
        """Move picks to the overlay, named by their object alone."""
        bare = self.folder / "overlay" / "ExperimentRuns" / run / "Picks"
        shutil.rmtree(bare, ignore_errors=True)
        bare.mkdir(parents=True)
        for file in written.iterdir():
            shutil.move(file, bare / file.name.removeprefix(f"{TRUTH_USER}_0_"))
        written.rmdir()


@contextmanager
def new_project(
    folder: Path,
    species: Sequence[Species],
    *,
    contest: bool = False,
    overwrite: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> Iterator[NewProject]:
    """Write a project aside; it appears at `folder` once the block has ended well.

    A block that is stopped leaves its whole runs in `unfinished(folder)`, and the next one with the same `settings`
    finds them there; other settings require `overwrite`. A block that wrote no run leaves nothing.

    Raises `InputError` if `folder` or what is unfinished is there already and may not be replaced.
    """
    if folder.resolve() == Path.cwd():
        raise InputError(f"A project cannot replace the current folder ({folder}): name another.")
    if folder.exists() and not (overwrite and _is_project(folder)) and (folder.is_file() or any(folder.iterdir())):
        raise InputError(
            f"{folder} exists already: choose another folder"
            + (", or replace the project with `overwrite=True`." if _is_project(folder) else ".")
        )
    aside = unfinished(folder)
    marker = json.dumps(settings or {}, indent=1, sort_keys=True)
    if _is_project(aside) and (aside / MARKER).read_text() != marker:
        if not overwrite:
            raise InputError(
                f"{aside} holds an unfinished project with other settings: use those to resume it, or drop it with "
                "`overwrite=True`."
            )
        shutil.rmtree(aside)
    try:
        aside.mkdir(parents=True, exist_ok=True)
        with written_aside(aside / MARKER) as file:
            file.write_text(marker)
    except OSError as error:
        raise InputError(f"Cannot make the folder {folder} ({error.strerror}): choose another place.") from error
    project = NewProject(aside, tuple(species), contest)
    try:
        yield project
    except BaseException:
        if not project.runs:
            shutil.rmtree(aside, ignore_errors=True)
        raise
    for left in aside.glob(".*"):  # by processes that were killed while they wrote a run
        shutil.rmtree(left, ignore_errors=True)
    if not contest:
        (aside / "overlay").mkdir(exist_ok=True)
        config = copick_files.config_of(species, static=folder / "static", overlay=folder / "overlay")
        (aside / CONFIG).write_text(json.dumps(config, indent=2))
    if folder.exists():
        shutil.rmtree(folder)
    aside.rename(folder)


def unfinished(folder: Path) -> Path:
    """Where a project for `folder` is written until it is whole."""
    return folder.with_name(f".{folder.name}.unfinished")


def _is_project(folder: Path) -> bool:
    """Made by us: real data are never replaced."""
    return (folder / MARKER).is_file()


def picks_project(
    folder: Path, species: Sequence[Species], runs: Sequence[str], *, static: Path, keep: bool = False
) -> None:
    """Make a copick project for the picks of tomograms that may not be written to, or add runs to it.

    Its static root is `static`, so that a viewer opens picks and tomograms together where those are copick's layout.
    With `keep` its configuration stays as it is, but for the roots: somebody may have changed colours or radii.
    """
    for run in runs:
        (folder / "overlay" / "ExperimentRuns" / run).mkdir(parents=True, exist_ok=True)
    config, path = copick_files.config_of(species, static=static, overlay=folder / "overlay"), folder / CONFIG
    if keep:
        roots = {name: config[name] for name in ("static_root", "overlay_root")}
        config = json.loads(path.read_text()) | roots
    with written_aside(path) as aside:
        aside.write_text(json.dumps(config, indent=2))
