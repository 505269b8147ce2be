"""The nouns every module speaks: volumes, species, picks. The only place where Å become voxels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tomosoup.core.errors import InputError

if TYPE_CHECKING:  # torch takes seconds to import, and `tomosoup --help` needs none of it
    from torch import Tensor

Array = NDArray[np.float64]


class OnGrid:
    """What lies on a regular grid of voxels: the only place where Å become voxel indices, and back."""

    voxel_size: float
    origin: tuple[float, float, float]

    def to_angstrom(self, zyx_vox: ArrayLike) -> Array:
        """Positions `(..., 3)` in voxel indices -> the same in Å."""
        zyx: Array = np.asarray(zyx_vox, dtype=float) * self.voxel_size + np.asarray(self.origin)
        return zyx

    def to_voxel(self, zyx: ArrayLike) -> Array:
        """Positions `(..., 3)` in Å -> the same in (fractional) voxel indices."""
        zyx_vox: Array = (np.asarray(zyx, dtype=float) - np.asarray(self.origin)) / self.voxel_size
        return zyx_vox


@dataclass(frozen=True)
class Grid(OnGrid):
    """Where a tomogram's voxels are, without their values; lengths are in Å."""

    voxel_size: float
    origin: tuple[float, float, float]
    """Position, in Å (z, y, x), of the centre of voxel [0, 0, 0]."""
    shape: tuple[int, int, int] | None = None
    """Voxels along (z, y, x), where known."""
    centre_vox: tuple[float, float, float] | None = None
    """What programs that count from the tomogram's centre take for it, in voxels (z, y, x), where that is known; else
    it is half of `shape`."""

    def inside(self, zyx: ArrayLike) -> NDArray[np.bool_]:
        """`(n,)`: which positions `(n, 3)` in Å are inside; all, where the shape is not known."""
        places = self.to_voxel(zyx)
        return np.ones(len(places), dtype=bool) if self.shape is None else within(places, self.shape)


def within(zyx_vox: Array, shape: Sequence[int]) -> NDArray[np.bool_]:
    """`(n,)`: which positions `(n, 3)` (voxel indices) are inside a volume of `shape`, to its voxels' outer faces."""
    inside: NDArray[np.bool_] = np.all((zyx_vox >= -0.5) & (zyx_vox <= np.array(shape) - 0.5), axis=1)
    return inside


@dataclass(frozen=True, init=False)
class Volume(OnGrid):
    """Samples on a regular grid. `data` is `(..., z, y, x)`; lengths are in Å."""

    data: Tensor
    voxel_size: float
    origin: tuple[float, float, float]
    """Position, in Å (z, y, x), of the centre of voxel [0, 0, 0]."""

    def __init__(
        self, data: Tensor | ArrayLike, voxel_size: float, origin: tuple[float, float, float] | None = None
    ) -> None:
        """A tensor as it is, or a NumPy array, which is copied to a float32 tensor once.

        Args:
            data: Real numbers `(..., z, y, x)`.
            voxel_size: Å.
            origin: Position of the centre of voxel 0 (z, y, x), in Å. By default half a voxel along each axis: copick's
                frame and that of the command line for MRC files, so that Python and `tomosoup pick` give the same
                positions. For the contest's data it is minus half a voxel.

        Raises `InputError` for data that are no volume of real numbers, and for a voxel size that is not above 0.
        """
        import torch

        if not isinstance(data, torch.Tensor):
            array = np.asarray(data)
            if array.ndim < 3 or array.dtype.kind not in "biuf":
                raise InputError(
                    f"Expected a volume (z, y, x) of real numbers, got an array of shape {array.shape} and type "
                    f"{array.dtype}."
                )
            data = torch.from_numpy(np.array(array, dtype=np.float32))
        if not 0 < voxel_size < math.inf:
            raise InputError(f"Expected the voxel size in Å, a number above 0, got {voxel_size}.")
        half = voxel_size / 2
        object.__setattr__(self, "data", data)
        object.__setattr__(self, "voxel_size", voxel_size)
        object.__setattr__(self, "origin", (half, half, half) if origin is None else origin)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along (z, y, x)."""
        z, y, x = self.data.shape[-3:]
        return z, y, x

    def slices(self, start: int, stop: int) -> Tensor:
        """The part `data[..., start:stop, :, :]`."""
        return self.data[..., start:stop, :, :]


class Slices(Protocol):
    """A volume that is read slice by slice: a `Volume`, or a tomogram on disk of any depth."""

    @property
    def voxel_size(self) -> float:
        """Å."""

    @property
    def origin(self) -> tuple[float, float, float]:
        """Position, in Å (z, y, x), of the centre of voxel [0, 0, 0]."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along (z, y, x)."""

    def slices(self, start: int, stop: int) -> Tensor:
        """Slices `(stop - start, y, x)`, float32."""


@dataclass(frozen=True)
class SlicesOf:
    """Where and how large slices are that are made from those of another source."""

    source: Slices

    @property
    def voxel_size(self) -> float:
        """Å."""
        return self.source.voxel_size

    @property
    def origin(self) -> tuple[float, float, float]:
        """The source's."""
        return self.source.origin

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along (z, y, x)."""
        return self.source.shape


@dataclass(frozen=True)
class Searched(SlicesOf):
    """`Slices` of another source, of which only a part is searched."""

    where: Tensor
    """`(z, y, x)`, bool: that part."""

    def slices(self, start: int, stop: int) -> Tensor:
        """Slices `(stop - start, y, x)` of the source."""
        return self.source.slices(start, stop)


def check_name(name: str, *, what: str) -> str:
    """`name`, where it may be part of a file's name and be shown; names come from files of strangers, too.

    Raises `InputError` for one that would lead out of a folder, that is empty or longer than 100 bytes, or that holds
    what is not printed. File systems allow 255 bytes, and copick puts three names into one.
    """
    known = name.isprintable() and not set(name) & set("/\\") and name not in {"", ".", ".."}
    if not known or len(name.encode()) > 100:
        raise InputError(
            f"Expected the name of {what} to be 1 to 100 printable characters (bytes in UTF-8) without / and \\, got "
            f"{name[:100]!r}: rename it.",
            code="name",
        )
    return name


LARGEST_RADIUS = 1e4
"""Å of a particle's radius; a tomogram is hardly wider."""


@dataclass(frozen=True)
class Species:
    """A species of particles: radius in Å and weight in the mean score. Channels of maps follow a list of species."""

    name: str
    radius: float
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_name(self.name, what="a species")
        if not 0 < self.radius <= LARGEST_RADIUS:
            raise InputError(
                f"The radius of {self.name!r} must be above 0 and at most {LARGEST_RADIUS:g} Å, got {self.radius:g}."
            )
        if not 0 <= self.weight < math.inf:
            raise InputError(f"The weight of {self.name!r} must be a number from 0, got {self.weight:g}.")


@dataclass(frozen=True)
class Picks:
    """Particles of one species: `zyx` is `(n, 3)` in Å, `score` is `(n,)`; the order is free."""

    zyx: Array
    score: Array
    rotations: Array | None = field(default=None, repr=False)
    """`(n, 3, 3)`, acting on zyx column vectors: the reference map -> the particle. None where unknown."""
    mask_distance: Array | None = field(default=None, repr=False)
    """`(n,)`: Å to the surface of the mask that picks were searched in, below 0 outside; NaN where unknown."""

    def __post_init__(self) -> None:
        if self.zyx.shape != (len(self.score), 3):
            raise ValueError(f"zyx must be (n, 3) with one score each, got {self.zyx.shape} and {self.score.shape}.")
        if self.rotations is not None and self.rotations.shape != (len(self.score), 3, 3):
            raise ValueError(f"rotations must be (n, 3, 3), got {self.rotations.shape} for {len(self.score)} picks.")
        if self.mask_distance is not None and self.mask_distance.shape != (len(self.score),):
            raise ValueError(f"mask_distance must be (n,), got {self.mask_distance.shape} for {len(self.score)} picks.")

    def __len__(self) -> int:
        return len(self.score)

    @classmethod
    def of(cls, zyx: ArrayLike) -> Picks:
        """Picks at `zyx` `(n, 3)` Å, each with score 1."""
        points = np.asarray(zyx, dtype=float).reshape(-1, 3)
        return cls(points, np.ones(len(points)))

    def above(self, threshold: float) -> Picks:
        """The picks whose score is `threshold` or more."""
        return self.where(self.score >= threshold)

    def where(self, keep: NDArray[np.bool_]) -> Picks:
        """Those of `keep` `(n,)`, which is true or false of each pick."""
        rotations, distance = (None if of is None else of[keep] for of in (self.rotations, self.mask_distance))
        return Picks(self.zyx[keep], self.score[keep], rotations, distance)


NO_PICKS = Picks.of([])
PicksBySpecies = Mapping[str, Picks]
PicksByRun = Mapping[str, PicksBySpecies]
"""Run name -> species name -> picks."""
