"""Where maps of tomograms are kept: heatmaps and label volumes, as files in a folder or in a copick project."""

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

from tomosoup.core.files import is_local, make_folders
from tomosoup.core.types import Volume
from tomosoup.data.copick.remote import StorageErrors
from tomosoup.data.copick.roots import run_of
from tomosoup.data.tomogram import Tomogram
from tomosoup.data.volumes.mrc import write_mrc

LABELS = "labels"
"""What a label volume is called; heatmaps are called by their species."""
OWN_USER, SEGMENTATION = "tomosoup", "particles"


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
            return [self.path / f"{run}_{LABELS if LABELS in names else 'heatmaps'}.zarr"]
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
    """A copick project: heatmaps are features of the tomogram, label volumes are multilabel segmentations."""

    root: Any
    name: str
    """Of the features, and of the segmentation's session."""

    def has(self, tomogram: Tomogram, names: Sequence[str]) -> bool:
        """Whether there are such features, or such a segmentation, in the overlay."""
        with StorageErrors(f"The maps of run {tomogram.run}"):
            place = self._place(tomogram, names)
            return bool(place.fs.exists(f"{place.path}/.zattrs"))

    def write(self, tomogram: Tomogram, maps: Volume, names: Sequence[str]) -> None:
        """Write them into the overlay."""
        with StorageErrors(f"The maps of run {tomogram.run}"):
            place = self._place(tomogram, names)
            make_folders(place.fs, place.path.rpartition("/")[0])
            write_omezarr(place.fs, place.path, maps, names)

    def _place(self, tomogram: Tomogram, names: Sequence[str]) -> CopickFeaturesFSSpec | CopickSegmentationFSSpec:
        """The features or the segmentation. (copick's `new_features` would make an empty folder at once.)"""
        run = run_of(self.root, tomogram.run)
        spacing = min(run.voxel_spacings, key=lambda s: abs(s.voxel_size - tomogram.voxel_size))
        if LABELS in names:
            about = {"user_id": OWN_USER, "session_id": self.name, "name": SEGMENTATION, "is_multilabel": True}
            meta = CopickSegmentationMeta(**about, voxel_size=spacing.voxel_size)
            return CopickSegmentationFSSpec(run=run, meta=meta)
        source = next(t for t in spacing.tomograms if t.tomo_type == tomogram.tomo_type)
        meta_of_map = CopickFeaturesMeta(tomo_type=tomogram.tomo_type, feature_type=self.name)
        return CopickFeaturesFSSpec(tomogram=source, meta=meta_of_map)


def write_omezarr(fs: Any, path: str, maps: Volume, names: Sequence[str]) -> None:
    """Write maps `(c, z, y, x)` as OME-Zarr 0.4 with a channel for each name; one label volume without channels.

    On a disk it is written aside first.
    """
    place = Path(path)
    aside = str(place.with_name(f".{place.name}.{uuid4().hex[:12]}")) if is_local(fs) else path
    data = maps.data.numpy()
    try:
        store = zarr.storage.FSStore(aside, fs=fs, mode="w", create=True, key_separator="/", dimension_separator="/")
        if LABELS in names:
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
