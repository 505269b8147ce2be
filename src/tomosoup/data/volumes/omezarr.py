"""OME-Zarr volumes (versions 0.1 to 0.5, in Zarr 2 and 3), read chunk by chunk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from tomosoup.core.errors import InputError
from tomosoup.data.copick.remote import StorageErrors
from tomosoup.data.volumes.voxel_size import cube
from tomosoup.data.volumes.zarr.array import ChunkedArray
from tomosoup.data.volumes.zarr.metadata import Layout, read_json, read_layout
from tomosoup.data.volumes.zarr.storage import Files

ANGSTROM = {
    "picometer": 0.01,
    "angstrom": 1.0,
    "nanometer": 10.0,
    "micrometer": 1e4,
    "millimeter": 1e7,
    "meter": 1e10,
}
"""Å in the units of length that OME-Zarr files name."""
UNTITLED = "0"
"""The array that is read where the metadata name none."""


def open_omezarr(store: Any, *, name: str, lenient: bool = False, voxel_size: float | None = None) -> tuple[Any, float]:
    """The full-resolution `(z, y, x)` array, unread, and its voxel size in Å: `voxel_size`, or the metadata's (or 0).

    Axes that the store keeps in another order are brought into this one, and further axes of one voxel (a channel, a
    time) are left out. Chunks that are missing are an error where they are read; with `lenient` they hold the array's
    fill value, as a rule 0. Raises `InputError` for a store that holds no array, whose array is not one volume, and,
    with `lenient`, where not one chunk is there.

    Args:
        store: a folder, a mapping of keys to bytes, or a store of copick or of the library zarr.
        name: what the tomogram is called in messages.
        lenient: whether chunks may be missing.
        voxel_size: the true voxel size (Å).
    """
    with StorageErrors(f"Tomogram {name}"):
        files = Files.of(store)
        scales = _multiscales(files, name=name)
        datasets = scales.get("datasets")
        first = datasets[0] if isinstance(datasets, list) and datasets else {}
        path = first.get("path", UNTITLED) if isinstance(first, dict) else UNTITLED
        layout = _layout(files, path, name=name)
        axes = _axes(scales, layout.shape, name=name)
        array = ChunkedArray(files, path, layout, tuple(map(axes.index, "zyx")), name, lenient)  # type: ignore[arg-type]
        if 0 in array.shape or 1 in array.shape:
            raise InputError(f"{name} holds an array of shape {array.shape}; expected a volume of (z, y, x) voxels.")
        if lenient and not array.has_chunks:
            raise InputError(f"{name} has not one chunk of voxels in {path}: copy the tomogram again.")
    if voxel_size:
        return array, voxel_size
    try:
        sizes = _sizes(scales, first, axes)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return array, 0.0
    return array, cube(sizes, name=name)


def _multiscales(files: Files, *, name: str) -> dict[str, Any]:
    """What OME-Zarr says of the arrays, or nothing."""
    found = files.get(["zarr.json", ".zattrs"])
    if "zarr.json" in found:
        attributes = read_json(found["zarr.json"], name=name).get("attributes", {})
    else:
        attributes = read_json(found.get(".zattrs", b"{}"), name=name)
    for part in (attributes.get("ome"), attributes) if isinstance(attributes, dict) else ():
        listed = part.get("multiscales") if isinstance(part, dict) else None
        if isinstance(listed, list) and listed and isinstance(listed[0], dict):
            return listed[0]
    return {}


def _layout(files: Files, path: Any, *, name: str) -> Layout:
    """The array at `path`. Raises `InputError` where there is none."""
    if not isinstance(path, str) or ".." in path.split("/"):
        raise InputError(f"{name} names {path!r} as its array; expected the name of a folder in it.")
    versions: dict[str, Literal[2, 3]] = {f"{path}/zarr.json": 3, f"{path}/.zarray": 2}
    for key, content in files.get([*versions]).items():
        return read_layout(content, version=versions[key], name=name)
    raise InputError(
        f"{name} is not an OME-Zarr volume with an array {path!r} (there is neither .zarray nor zarr.json in {path}/); "
        "check the folder."
    )


def _axes(scales: Mapping[str, Any], shape: Sequence[int], *, name: str) -> list[str]:
    """The names of the axes of the array. Raises `InputError` where they are not z, y, x and others of one voxel.

    OME-Zarr 0.4 and later give each a name, 0.3 is a list of names, and before they were t, c, z, y, x.
    """
    listed = scales.get("axes")
    listed = listed if isinstance(listed, list) and listed else [*"tczyx"]
    said = [str(axis.get("name") if isinstance(axis, dict) else axis).lower() for axis in listed][-len(shape) :]
    if len(said) < len(shape) or not {*"zyx"} <= {*said} or len({*said}) < len(said):
        raise InputError(
            f"{name} holds an array of shape {tuple(shape)} with the axes {', '.join(said)}; expected a volume of z, y "
            "and x."
        )
    for axis, size in zip(said, shape, strict=True):
        if axis not in "zyx" and size != 1:
            raise InputError(
                f"{name} holds an array of shape {tuple(shape)} with {size} volumes along the axis {axis}; expected "
                "one: write the one that is meant to a tomogram of its own."
            )
    return said


def _sizes(scales: Mapping[str, Any], dataset: Any, axes: Sequence[str]) -> list[float]:
    """The size of a voxel along z, y, x in Å, as all scales together say. Raises one of several errors for others."""
    units = scales["axes"][-len(axes) :]
    said = {axis: unit.get("unit", "angstrom") for axis, unit in zip(axes, units, strict=True) if axis in "zyx"}
    sizes = {axis: ANGSTROM[unit.lower()] for axis, unit in said.items()}
    steps = [*dataset["coordinateTransformations"], *(scales.get("coordinateTransformations") or ())]
    factors = [step["scale"] for step in steps if step["type"] == "scale"]
    if not factors:
        raise KeyError("scale")
    for factor in factors:
        for axis, value in zip(axes, factor[-len(axes) :], strict=True):
            if axis in sizes:
                sizes[axis] *= float(value)
    return [sizes[axis] for axis in "zyx"]
