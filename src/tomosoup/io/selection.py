"""Which runs, tomograms and true picks of a project are meant."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tomosoup.errors import InputError, first_line
from tomosoup.io.project import Project
from tomosoup.io.remote import StorageErrors
from tomosoup.io.tables import read_csv
from tomosoup.recipes.data import AnnotatedData, DataRecipe
from tomosoup.recipes.portal import KINDS
from tomosoup.types import Picks, Volume

VOXEL_SIZE_TOLERANCE = 0.02
"""Two voxel sizes closer than this (relative) are one: 10.000 and 10.012 are."""
OWN_USER = "tomosoup"
"""The copick user under which this program writes picks."""


@dataclass(frozen=True)
class Tomogram:
    """A volume on disk: nothing is read before `read`."""

    run: str
    kind: str
    voxel_size: float
    origin: tuple[float, float, float]
    array: Any
    inverted: bool = False
    """Whether its values are shown with the other sign than they are stored with."""
    _rows: dict[int, Tensor] = field(default_factory=dict, repr=False, compare=False)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along (z, y, x)."""
        z, y, x = self.array.shape
        return z, y, x

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
        joined = np.concatenate([self._rows[row].numpy() for row in rows])
        return torch.from_numpy(joined[start - rows.start * deep : stop - rows.start * deep])

    def _voxels(self, region: Any) -> Tensor:
        values = np.array(self._read(region), dtype=np.float32)
        return torch.from_numpy(np.negative(values, out=values) if self.inverted else values)

    def _read(self, region: Any) -> Any:
        try:
            with StorageErrors(f"Tomogram {self.run}/{self.kind}"):
                return self.array[region]
        except InputError:
            raise
        except Exception as error:  # each codec and file system has its own
            raise InputError(
                f"The voxels of run {self.run} cannot be read ({first_line(error)}): check the file, or copy it again."
            ) from error


def chosen_runs(project: Project, data: DataRecipe) -> list[str]:
    """The runs that `data` names, or all. Raises `InputError` for one that the project does not have."""
    runs = project.runs
    unknown = [r for r in data.runs if r not in runs]
    if unknown:
        raise InputError(f"{project.path} has no run {', '.join(unknown)}; its runs are {shortened(runs)}.")
    if not runs:
        raise InputError(f"{project.path} has no runs.")
    return sorted(set(data.runs)) or runs


def select_tomogram(project: Project, run: str, data: DataRecipe) -> Tomogram:
    """The tomogram of `run` that `data` means, by its kind's name here or in the contest.

    Raises `InputError` where there is none or more than one, where voxel sizes disagree or are unknown.
    """
    everything = project.listings(run)
    kind = data.kind if data.kind in {t.kind for t in everything} else KINDS.get(data.kind or "", data.kind)
    found = [
        t
        for t in everything
        if kind in (None, t.kind) and (data.voxel_spacing is None or _close(t.spacing, data.voxel_spacing, 1e-3))
    ]
    if len(found) != 1:
        has = shortened([f"{t.kind} at {t.spacing:.3f} Å" for t in everything]) or "none"
        wanted = f"{data.kind or 'any kind'} at {data.voxel_spacing or 'any spacing'}"
        raise InputError(
            f"Run {run}: expected one tomogram of {wanted}, found {len(found)} (it has {has}): "
            "set --kind or --voxel-spacing."
        )
    array, size = found[0].open(lenient=data.missing_chunks == "zero", voxel_size=data.voxel_size)
    spacing = found[0].spacing
    if data.voxel_size is None and size and spacing and not _close(size, spacing, VOXEL_SIZE_TOLERANCE):
        raise InputError(
            f"Run {run}: the folder says {spacing:g} Å a voxel and the file {size:g} Å: say which with --voxel-size."
        )
    voxel_size = data.voxel_size or size or spacing
    if not voxel_size:
        raise InputError(f"Run {run}: the file does not say how large its voxels are: set --voxel-size (Å).")
    start = (project.first_voxel if data.first_voxel is None else data.first_voxel) * voxel_size
    return Tomogram(run, found[0].kind, voxel_size, (start, start, start), array, data.invert)


def _close(a: float, b: float, tolerance: float) -> bool:
    return abs(a - b) <= tolerance * max(a, b)


def read_truth(project: Project, run: str, source: str | None = None) -> dict[str, Picks]:
    """True picks of a run: from a CSV file, from the set USER/SESSION, or from the project's only foreign set.

    Raises `InputError` where the set is missing or more than one could be meant.
    """
    return read_truths(project, AnnotatedData(runs=(run,), truth=source))[run]


def read_truths(project: Project, data: AnnotatedData) -> dict[str, dict[str, Picks]]:
    """True picks by run, for the runs that `data` names or, where it names none, for those that have any.

    Raises `InputError` where a named run has no true picks, no run has any, or a run has more sets than one.
    """
    chosen, source = chosen_runs(project, data), data.truth
    truths = truths_there(project, data)
    missing = [run for run in chosen if run not in truths]
    if missing and (data.runs or not truths) and source is not None and Path(source).is_file():
        raise InputError(f"{source} has no picks of run {shortened(missing)}: leave the run out (--runs) or add them.")
    if missing and data.runs:
        has = shortened(["/".join(key) for key in project.pick_sets(missing[0])]) or "none"
        raise InputError(
            f"Run {missing[0]}: expected one set of true picks{f' {source}' if source else ''}, found 0 "
            f"(it has {has}): name a CSV file or USER/SESSION with --truth."
        )
    if not truths:
        raise InputError(
            f"No run of {project.path} has true picks{f' {source}' if source else ''} "
            f"(looked at {shortened(chosen)}): name a CSV file or USER/SESSION with --truth."
        )
    return truths


def truths_there(project: Project, data: AnnotatedData) -> dict[str, dict[str, Picks]]:
    """True picks by run, for those of the runs that `data` means that have any.

    Raises `InputError` where a run has more sets than one.
    """
    chosen, source = chosen_runs(project, data), data.truth
    if source is not None and Path(source).is_file():
        table = read_csv(Path(source))
        return {run: table[run] for run in chosen if run in table}
    truths = {}
    for run in chosen:
        sets = project.pick_sets(run)
        keys = [key for key in sets if (key[0] != OWN_USER if source is None else "/".join(key) == source)]
        if len(keys) > 1:
            has = shortened(["/".join(key) for key in sets])
            raise InputError(
                f"Run {run}: expected one set of true picks{f' {source}' if source else ''}, found {len(keys)} "
                f"(it has {has}): name a CSV file or USER/SESSION with --truth."
            )
        if keys:
            truths[run] = sets[keys[0]]()
    return truths


def shortened(names: list[str], *, most: int = 12) -> str:
    """The names in one line; the rest counted where there are many."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
