"""Tomograms that are added to runs of a copick project: where they lie, whose they are, written whole."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import zarr
from copick.impl.filesystem import CopickTomogramFSSpec, CopickVoxelSpacingFSSpec
from copick.models import CopickTomogramMeta
from copick.util.ome import volume_pyramid, write_ome_zarr_3d

from tomosoup.core.errors import InputError
from tomosoup.core.files import is_local, make_folders
from tomosoup.core.types import Volume
from tomosoup.data.copick.remote import StorageErrors
from tomosoup.data.copick.roots import overlay_of, run_of
from tomosoup.data.volumes.voxel_size import same_voxel_size

KEY = "tomosoup"
"""Where in the attributes of a tomogram stands what made it."""
LEVELS = 3
"""Resolutions of a written tomogram, as copick writes them."""


def maker_of(root: Any, run: str, *, tomo_type: str, voxel_size: float) -> str | None:
    """What `add_tomogram` was told of who made the tomogram of this type; "" for another's, None where there is none.

    Raises `InputError` where it is in the static root, so that it cannot be replaced.
    """
    old = _tomogram(root, run, tomo_type=tomo_type, voxel_size=voxel_size)
    if old is None:
        return None
    with StorageErrors(f"Tomogram {tomo_type} of run {run}"):
        return str(dict(zarr.open(old.zarr(), mode="r").attrs).get(KEY, ""))


def add_tomogram(root: Any, run: str, volume: Volume, *, tomo_type: str, maker: str) -> None:
    """Write a `(z, y, x)` volume as multiscale OME-Zarr beside the run's tomograms, into the root's overlay.

    On a disk it is written under another name first, and then takes the place of one of this type. Elsewhere, what made
    it is written last: what was stopped counts as another program's. Raises `InputError` where there is no
    overlay, where a tomogram of this type is in the static root, and where the storage does not take it.
    """
    overlay_of(root)
    old = _tomogram(root, run, tomo_type=tomo_type, voxel_size=volume.voxel_size)
    with StorageErrors(f"The place for tomograms of run {run}"):
        spacing = _spacing(root, run, volume.voxel_size)
        fs, place = spacing.fs_overlay, f"{spacing.overlay_path}/{tomo_type}.zarr"
        make_folders(fs, spacing.overlay_path)
        local = is_local(fs)
        if old is not None and not local:
            fs.rm(place, recursive=True)
        meta = CopickTomogramMeta(tomo_type=f".{tomo_type}" if local else tomo_type)
        written = CopickTomogramFSSpec(voxel_spacing=spacing, meta=meta)
        write_ome_zarr_3d(written.zarr(), volume_pyramid(volume.data.numpy(), volume.voxel_size, LEVELS))
        zarr.open(written.zarr(), mode="r+").attrs[KEY] = maker
        if local:
            shutil.rmtree(place, ignore_errors=True)
            Path(written.overlay_path).rename(place)


def _tomogram(root: Any, run: str, *, tomo_type: str, voxel_size: float) -> Any:
    """The tomogram of this type in the overlay, or None. Raises `InputError` where it is in the static root."""
    with StorageErrors(f"Run {run}"):
        spacing = _spacing(root, run, voxel_size)
        spacing.refresh_tomograms()
        found = next((t for t in spacing.tomograms if t.tomo_type == tomo_type), None)
    if found is not None and found.read_only:
        raise InputError(
            f"Run {run} has a tomogram of type {tomo_type} in the static root, where nothing is written: choose "
            "another `new_type`."
        )
    return found


def _spacing(root: Any, run: str, voxel_size: float) -> CopickVoxelSpacingFSSpec:
    """The voxel spacing of a run that is nearest to this size (Å)."""
    nearest = min(run_of(root, run).voxel_spacings, key=lambda s: abs(s.voxel_size - voxel_size))
    if not same_voxel_size(nearest.voxel_size, voxel_size):
        raise InputError(
            f"Run {run} has no folder for voxels of {voxel_size:g} Å: its nearest is for {nearest.voxel_size:g} Å."
        )
    return nearest


def write_tomogram(root: Any, run: str, volume: Volume, *, tomo_type: str) -> None:
    """Write a `(z, y, x)` volume as multiscale OME-Zarr into the root's overlay, making the run if it is new."""
    spacing = root.new_run(run, exist_ok=True).new_voxel_spacing(volume.voxel_size, exist_ok=True)
    spacing.new_tomogram(tomo_type, exist_ok=True).from_numpy(volume.data.numpy())


def write_labels(root: Any, run: str, labels: Volume, *, user: str, session: str) -> None:
    """Write `(z, y, x)` labels, the `label` of each pickable object, as a multilabel segmentation named "particles"."""
    made = root.get_run(run).new_segmentation(
        labels.voxel_size, "particles", session, is_multilabel=True, user_id=user, exist_ok=True
    )
    made.from_numpy(labels.data.numpy())
