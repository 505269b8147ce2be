"""Where maps of tomograms are kept: heatmaps, label volumes and masks, as files in a folder or in a copick project."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import zarr
from copick.impl.filesystem import CopickFeaturesFSSpec, CopickSegmentationFSSpec
from copick.models import CopickFeaturesMeta, CopickSegmentationMeta
from copick.util.ome import write_ome_zarr_3d

from tomosoup.core.errors import InputError
from tomosoup.core.files import is_local, make_folders
from tomosoup.core.types import Volume
from tomosoup.data.copick.names import valid_name
from tomosoup.data.copick.portal.portal import of_portal
from tomosoup.data.copick.remote import StorageErrors
from tomosoup.data.copick.roots import overlay_of, run_of
from tomosoup.data.project import CopickProject, Project
from tomosoup.data.tomogram import Tomogram
from tomosoup.data.volumes.mrc import write_mrc

LABELS, SLAB, ANNOTATED = "labels", "slab", "annotated"
"""What a label volume and the masks of a slab and of annotated boxes are called; heatmaps are called by their
species."""
OWN_USER = "tomosoup"
SEGMENTATIONS = {LABELS: ("particles", True), SLAB: ("slab", False), ANNOTATED: ("annotated", False)}
"""What copick keeps as a segmentation: its name there, and whether it holds several labels."""


class MapStore(Protocol):
    """A place for the maps of each run."""

    def has(self, tomogram: Tomogram, names: Sequence[str]) -> bool:
        """Whether maps of these names are there."""

    def write(self, tomogram: Tomogram, maps: Volume, names: Sequence[str]) -> None:
        """Write maps `(c, z, y, x)` on the voxels of a tomogram, each map whole or not at all."""


@dataclass(frozen=True)
class MapFolder:
    """A folder: an MRC file for each map (RUN_NAME.mrc), or an OME-Zarr for all maps of a run."""

    path: Path
    omezarr: bool = False

    def _places(self, run: str, names: Sequence[str]) -> list[Path]:
        if self.omezarr:
            return [self.path / f"{run}_{names[0] if names[0] in SEGMENTATIONS else 'heatmaps'}.zarr"]
        return [self.path / f"{run}_{name}.mrc" for name in names]

    def has(self, tomogram: Tomogram, names: Sequence[str]) -> bool:
        """Whether all files are there."""
        return all(place.exists() for place in self._places(tomogram.run, names))

    def write(self, tomogram: Tomogram, maps: Volume, names: Sequence[str]) -> None:
        """Write the files."""
        places = self._places(tomogram.run, names)
        if self.omezarr:
            self.path.mkdir(parents=True, exist_ok=True)
            write_omezarr(zarr.storage.FSStore(str(self.path)).fs, str(places[0].absolute()), maps, names)
            return
        for place, data in zip(places, maps.data, strict=True):
            write_mrc(place, Volume(data, maps.voxel_size, maps.origin), label=f"tomosoup maps {place.stem}"[:80])


@dataclass(frozen=True)
class CopickMaps:
    """A copick project: heatmaps are features of the tomogram, label volumes and masks are segmentations."""

    root: Any
    name: str
    """Of the features, and of the segmentation's session."""

    def has(self, tomogram: Tomogram, names: Sequence[str]) -> bool:
        """Whether there are such features, or such a segmentation, in the overlay."""
        with StorageErrors(f"The maps of run {tomogram.run}"):
            place = self._place(tomogram, names)
            return bool(place.fs.exists(f"{place.path}/.zattrs"))

    def write(self, tomogram: Tomogram, maps: Volume, names: Sequence[str]) -> None:
        """Write them into the overlay. Raises `InputError` where there is none."""
        overlay_of(self.root)
        with StorageErrors(f"The maps of run {tomogram.run}"):
            place = self._place(tomogram, names)
            make_folders(place.fs, place.path.rpartition("/")[0])
            write_omezarr(place.fs, place.path, maps, names)

    def remove(self, tomogram: Tomogram, names: Sequence[str]) -> None:
        """Remove them from the overlay, if they are there."""
        with StorageErrors(f"The maps of run {tomogram.run}"):
            place = self._place(tomogram, names)
            if place.fs.exists(place.path):
                place.fs.rm(place.path, recursive=True)

    def _place(self, tomogram: Tomogram, names: Sequence[str]) -> CopickFeaturesFSSpec | CopickSegmentationFSSpec:
        """The features or the segmentation. (copick's `new_features` would make an empty folder at once.)"""
        run = run_of(self.root, tomogram.run)
        spacing = min(run.voxel_spacings, key=lambda s: abs(s.voxel_size - tomogram.voxel_size))
        if names[0] in SEGMENTATIONS:
            name, multilabel = SEGMENTATIONS[names[0]]
            about = {"user_id": OWN_USER, "session_id": self.name, "name": name, "is_multilabel": multilabel}
            meta = CopickSegmentationMeta(**about, voxel_size=spacing.voxel_size)
            return CopickSegmentationFSSpec(run=run, meta=meta)
        source = next(t for t in spacing.tomograms if t.tomo_type == tomogram.tomo_type)
        meta_of_map = CopickFeaturesMeta(tomo_type=tomogram.tomo_type, feature_type=self.name)
        return CopickFeaturesFSSpec(tomogram=source, meta=meta_of_map)


def map_store(project: Project, folder: Path | None, name: str, *, omezarr: bool = False) -> MapStore:
    """The place for maps: a folder, or the project. `name` is that of features, or the session of segmentations.

    Raises `InputError` where the project takes none and no folder is given.
    """
    if folder:
        if folder.is_file():
            raise InputError(f"Expected a folder for the maps, got the file {folder}: name another `output`.")
        return MapFolder(folder, omezarr=omezarr)
    if isinstance(project, CopickProject) and not of_portal(project.root):
        return CopickMaps(project.root, valid_name(name, what="Name"))
    raise InputError(f"{project.path} takes no maps: give a folder for them as `output`.")


def write_omezarr(fs: Any, path: str, maps: Volume, names: Sequence[str]) -> None:
    """Write maps `(c, z, y, x)` as OME-Zarr 0.4 with a channel for each name; a segmentation without channels.

    On a disk it is written aside first.
    """
    place = Path(path)
    aside = str(place.with_name(f".{place.name}.{uuid4().hex[:12]}")) if is_local(fs) else path
    data = maps.data.numpy()
    try:
        store = zarr.storage.FSStore(aside, fs=fs, mode="w", create=True, key_separator="/", dimension_separator="/")
        if names[0] in SEGMENTATIONS:
            write_ome_zarr_3d(store, {maps.voxel_size: data[0]})
        else:
            write_ome_zarr_3d(store, {maps.voxel_size: data}, channel_axis=True)
            zarr.open(store, mode="r+").attrs["omero"] = {"channels": [{"label": name} for name in names]}
        if is_local(fs):
            shutil.rmtree(place, ignore_errors=True)
            Path(aside).rename(place)
    finally:
        if is_local(fs):
            shutil.rmtree(aside, ignore_errors=True)
