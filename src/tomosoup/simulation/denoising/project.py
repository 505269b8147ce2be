"""Denoise the tomograms of a project, with given weights or with weights trained on its half-sets."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import torch

from tomosoup.core.errors import InputError
from tomosoup.core.progress import Progress, no_log, no_progress, part
from tomosoup.core.types import Volume
from tomosoup.data.options import DataOptions
from tomosoup.data.project import Project, open_project
from tomosoup.data.tomogram import Tomogram, chosen_runs, select_tomogram
from tomosoup.simulation.denoising.apply import already_denoised, denoise_volume
from tomosoup.simulation.denoising.destination import MADE_BY, Destination
from tomosoup.simulation.denoising.half_sets import Pair
from tomosoup.simulation.denoising.noise2noise import differences, identity_of, train_denoiser
from tomosoup.simulation.denoising.options import Noise2NoiseOptions
from tomosoup.simulation.denoising.weights import Denoiser, read_denoiser


@dataclass(frozen=True)
class Sources:
    """Which tomograms of a project are denoised: those of a type, or the means of two half-sets."""

    data: DataOptions = field(default_factory=DataOptions)
    halves: tuple[str, str] | None = None
    """The types of the half-sets; they count where `data` names no type."""
    new_type: str = ""
    """A type that is none of them: what an earlier call wrote."""

    def tomograms(self, project: Project, run: str) -> list[Tomogram]:
        """A run's tomogram, or its two halves, unread. Raises `InputError` where it is not clear which is meant."""
        types: tuple[str | None, ...] = (self.data.tomo_type,)
        if self.data.tomo_type is None:
            others = {t.tomo_type for t in project.listings(run)} - {self.new_type}
            types = self.halves or (tuple(others) if len(others) == 1 else types)
        return [select_tomogram(project, run, self.data.model_copy(update={"tomo_type": name})) for name in types]


def refuse_others(project: Project, to: Destination, sources: Sources, *, overwrite: bool) -> None:
    """Raises `InputError` where a run lacks its source, or where the tomogram of another program is in the way.

    `denoise_project` does so, too; this is for those who train first.
    """
    for run in chosen_runs(project, sources.data):
        if to.maker(run, sources.tomograms(project, run)[0].voxel_size) == "" and not overwrite:
            raise _in_the_way(to, run)


def _in_the_way(to: Destination, run: str) -> InputError:
    return InputError(
        f"There is {to.place(run)} already, which these weights did not make of this type: choose another name, or "
        "replace it with `overwrite=True`."
    )


def denoise_project(
    project: Project | str | Path,
    denoiser: Denoiser,
    to: Destination,
    sources: Sources = Sources(),
    *,
    overwrite: bool = False,
    device: torch.device | None = None,
    progress: Progress = no_progress,
    log: Callable[[str], None] = no_log,
) -> tuple[list[str], list[str]]:
    """Denoise the tomograms of a project; the runs that were denoised now, and those that had been before.

    A tomogram that the same weights made of the same type is kept. Raises `InputError` for another that is in the
    way, before any is denoised, and later at a run with bad voxels.

    Args:
        project: open, or its path.
        denoiser: the weights.
        to: where the results go.
        sources: which tomograms.
        overwrite: replace tomograms that are in the way.
        device: where to compute.
        progress: called as the work advances.
        log: gets messages for users.
    """
    project = open_project(project)
    found = {run: sources.tomograms(project, run) for run in chosen_runs(project, sources.data)}
    makers = {run: _maker(denoiser, tomograms) for run, tomograms in found.items()}
    kept = []
    for run, tomograms in found.items():
        there = to.maker(run, tomograms[0].voxel_size)
        if there == makers[run]:
            kept.append(run)
        elif there is not None and not overwrite:
            raise _in_the_way(to, run)
    left = [run for run in found if run not in kept]
    if remarks := {text for run in left for t in found[run] if (text := already_denoised(t.tomo_type))}:
        log(min(remarks))
    for i, run in enumerate(left):
        one = part(progress, i, len(left), what=f"Denoising ({run})")
        try:
            made = denoise_volume(denoiser, _mean(found[run]), device=device, progress=one, log=no_log if i else log)
        except InputError as error:
            raise InputError(f"Run {run}: {error}") from error
        to.write(run, made, makers[run])
    return left, kept


def _mean(tomograms: Sequence[Tomogram]) -> Volume:
    """The mean of tomograms of one shape, read."""
    first = tomograms[0].read()
    for tomogram in tomograms[1:]:
        first.data.add_(tomogram.read().data)
    return replace(first, data=first.data.div_(len(tomograms)))


def _maker(denoiser: Denoiser, tomograms: Sequence[Tomogram]) -> str:
    """What makes a denoised tomogram, in less than 80 characters: equal for equal weights and tomograms."""
    said = [[t.run, t.tomo_type, t.voxel_size, t.inverted, list(t.shape)] for t in tomograms]
    digest = sha256(json.dumps([said, denoiser.voxel_size, denoiser.strength, denoiser.spectrum]).encode())
    for name, weight in sorted(denoiser.net.state_dict().items()):
        digest.update(name.encode() + weight.half().cpu().contiguous().numpy().tobytes())
    return f"{MADE_BY}{digest.hexdigest()[:40]}"


def denoiser_of(
    pairs: Sequence[Pair],
    options: Noise2NoiseOptions,
    *,
    save: Path,
    start: Denoiser | None = None,
    overwrite: bool = False,
    device: torch.device = torch.device("cpu"),  # noqa: B008 - immutable
    progress: Progress = no_progress,
    log: Callable[[str], None] = no_log,
) -> Denoiser:
    """A denoiser trained on half-sets and saved in the file `save`; a call that was stopped can be repeated.

    Where the file holds the result of the same training, it is read. Raises `InputError` as `train_denoiser`, and
    where the file, or what is unfinished, is of another training and may not be replaced.
    """
    identity = identity_of(pairs, options, start)
    if save.exists():
        if (finished := read_denoiser(save)).training == identity:
            return finished
        if not overwrite:
            raise InputError(
                f"{save} holds another denoiser: choose another name, or replace it with `overwrite=True`."
            )
    state = save.with_name(f".{save.name}.unfinished")
    if overwrite and state.exists() and differences(state, identity):
        state.unlink()
    made = train_denoiser(pairs, options, start=start, state=state, device=device, progress=progress, log=log)
    made.save(save)
    state.unlink(missing_ok=True)
    return read_denoiser(save)
