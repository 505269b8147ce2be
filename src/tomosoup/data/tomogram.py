"""Which runs, tomograms and true picks of a project are meant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tomosoup.core.aliases import TOMO_TYPES
from tomosoup.core.errors import InputError, first_line, shortened
from tomosoup.core.types import Grid, OnGrid, Volume
from tomosoup.data.copick.names import valid_run
from tomosoup.data.copick.remote import StorageErrors
from tomosoup.data.copick.roots import where_runs_are, why_no_tomogram
from tomosoup.data.options import DataOptions
from tomosoup.data.project import ContestProject, CopickProject, Project, left_out, open_project
from tomosoup.data.volumes.voxel_size import doubtful_size, same_voxel_size

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Tomogram(OnGrid):
    """A volume on disk: `read` and `slices` read voxels, nothing else does."""

    run: str
    tomo_type: str
    voxel_size: float
    origin: tuple[float, float, float]
    array: Any
    inverted: bool = False
    """Whether `read` changes the sign of the stored values."""
    remarks: Callable[[], tuple[str, ...]] = tuple
    """What is odd about the file, though it can be read."""
    _rows: dict[int, Tensor] = field(default_factory=dict, repr=False, compare=False)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along (z, y, x)."""
        z, y, x = self.array.shape
        return z, y, x

    @property
    def grid(self) -> Grid:
        """Where its voxels are."""
        return Grid(self.voxel_size, self.origin, self.shape)

    def read(self, region: tuple[slice, slice, slice] = (slice(None), slice(None), slice(None))) -> Volume:
        """The voxels of `region` (z, y, x), or all, as float32: only the chunks it touches are read."""
        data = self._voxels(region)
        z, y, x = (o + (r.start or 0) * self.voxel_size for o, r in zip(self.origin, region, strict=True))
        return Volume(data, self.voxel_size, (z, y, x))

    def in_memory(self) -> Tomogram:
        """The same with all its voxels read, as they are stored."""
        return replace(self, array=self._read(slice(None)), _rows={})

    def slices(self, start: int, stop: int) -> Tensor:
        """Slices `(stop - start, y, x)`, float32. The rows of chunks that they touch are read and kept for the next."""
        deep = getattr(self.array, "chunks", (1,))[0]
        rows = range(start // deep, -(-stop // deep))
        for row in set(self._rows) - set(rows):
            del self._rows[row]
        for row in rows:
            if row not in self._rows:
                self._rows[row] = self._voxels(slice(row * deep, (row + 1) * deep))
        import torch  # takes seconds, and most commands about picks read no voxel

        joined = np.concatenate([self._rows[row].numpy() for row in rows])
        return torch.from_numpy(joined[start - rows.start * deep : stop - rows.start * deep])

    def _voxels(self, region: Any) -> Tensor:
        import torch

        values = np.array(self._read(region), dtype=np.float32)
        return torch.from_numpy(np.negative(values, out=values) if self.inverted else values)

    def _read(self, region: Any) -> Any:
        try:
            with StorageErrors(f"Tomogram {self.run}/{self.tomo_type}"):
                return self.array[region]
        except InputError:
            raise
        except Exception as error:  # each codec and file system has its own
            raise InputError(
                f"The voxels of run {self.run} cannot be read ({first_line(error)}): check the file, or copy it again."
            ) from error


def open_tomogram(
    project: Project | str | Path,
    run: str,
    *,
    tomo_type: str | None = None,
    voxel_spacing: float | None = None,
    voxel_size: float | None = None,
    first_voxel: float | None = None,
    invert: bool = False,
) -> Tomogram:
    """A run's tomogram; `read()` gives its voxels as a `Volume` in the project's frame, and `pick` takes either.

    Args:
        project: Open, or its path.
        run: The run's name.
        tomo_type: The tomogram type (denoised, wbp, ...), where the run has several.
        voxel_spacing: The voxel spacing (Å) by the name of its folder, where the run has several.
        voxel_size: The true voxel size (Å), in place of the file's.
        first_voxel: The position of the centre of voxel 0, in voxels: 0.5 (copick) or -0.5 (the contest's data).
        invert: Change the sign of grey values, where particles are bright.

    Raises `InputError` where no tomogram or more than one is meant, or its voxel size is unknown.
    """
    options = {
        "tomo_type": tomo_type,
        "voxel_spacing": voxel_spacing,
        "voxel_size": voxel_size,
        "first_voxel": first_voxel,
        "invert": invert,
    }
    return select_tomogram(open_project(project), run, DataOptions.of(options, source="open_tomogram"))


def chosen_runs(project: Project, data: DataOptions) -> list[str]:
    """The runs that `data` names, or all. Raises `InputError` for one that the project lacks, and for a bad name."""
    runs = project.runs
    unknown = [r for r in data.runs if r not in runs]
    if unknown:
        raise InputError(f"{project.path} has no run {', '.join(unknown)}; its runs are {shortened(runs)}.")
    if not runs:
        where = f": {where_runs_are(project.root)}" if isinstance(project, CopickProject) else ""
        raise InputError(f"{project.path} has no runs{where}.")
    return [valid_run(run) for run in sorted(set(data.runs)) or runs]


def remarks_on(project: Project, data: DataOptions) -> Iterator[str]:
    """Sentences for users, before tomograms are used: files that are not read, a voxel size that is probably none."""
    if text := left_out(project):
        yield text
    try:
        first = select_tomogram(project, chosen_runs(project, data)[0], data)
    except InputError:
        return  # whoever uses the run says so
    if data.voxel_size is None and (text := doubtful_size(first.voxel_size)):
        yield text


def select_tomogram(project: Project, run: str, data: DataOptions) -> Tomogram:
    """The tomogram of `run` that `data` means, by its type's name here or in the contest.

    Raises `InputError` where there is none or more than one, where voxel sizes disagree or are unknown.
    """
    everything = project.listings(run)
    holder = project.tomograms if isinstance(project, ContestProject) else project
    if not everything and isinstance(holder, CopickProject):
        raise InputError(f"Run {run}: its folder holds no tomogram ({why_no_tomogram(holder.root, run)}).")
    tomo_type = data.tomo_type
    if tomo_type not in {t.tomo_type for t in everything}:
        tomo_type = TOMO_TYPES.get(tomo_type or "", tomo_type)
    found = [
        t
        for t in everything
        if tomo_type in (None, t.tomo_type)
        and (data.voxel_spacing is None or same_voxel_size(t.spacing, data.voxel_spacing, tolerance=1e-3))
    ]
    if len(found) != 1:
        names = (f"{t.tomo_type} at {t.spacing:.3f} Å" if t.spacing else t.tomo_type for t in everything)
        wanted = f" of type {data.tomo_type}" if data.tomo_type else ""
        wanted += f" at {data.voxel_spacing:g} Å" if data.voxel_spacing else ""
        raise InputError(
            f"Run {run}: expected one tomogram{wanted}, found {len(found)}. The run has "
            f"{shortened([*names]) or 'none'}: choose one with `tomo_type` or `voxel_spacing`."
        )
    array, size = found[0].open(lenient=data.missing_chunks == "zero", voxel_size=data.voxel_size)
    spacing = found[0].spacing
    if data.voxel_size is None and size and spacing and not same_voxel_size(size, spacing):
        raise InputError(
            f"Run {run}: the folder says {spacing:g} Å a voxel and the file {size:g} Å: give the right one as "
            "`voxel_size`."
        )
    voxel_size = data.voxel_size or size or spacing
    if not voxel_size:
        raise InputError(f"Run {run}: the file does not say how large its voxels are: give `voxel_size` (Å).")
    start = (project.first_voxel if data.first_voxel is None else data.first_voxel) * voxel_size
    return Tomogram(run, found[0].tomo_type, voxel_size, (start, start, start), array, data.invert, found[0].remarks)
