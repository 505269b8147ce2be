"""The runs of a job, picked one by one: what each process does."""

from __future__ import annotations

import errno
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from math import prod
from typing import Any

from tomosoup.core.errors import InputError, as_sentence
from tomosoup.core.progress import Progress, no_log, no_progress, part
from tomosoup.data.copick.masks.mask import mask_digests
from tomosoup.data.copick.masks.region import region_of
from tomosoup.data.copick.remote import of_storage
from tomosoup.data.project import Project, open_project
from tomosoup.data.tomogram import Tomogram, select_tomogram
from tomosoup.inference.engines.net_cache import Nets
from tomosoup.inference.jobs.job import Job
from tomosoup.inference.jobs.probabilities import recorded
from tomosoup.inference.pick import calibrations_for, chosen, chosen_maps, limits_for, pick_with
from tomosoup.inference.readout.second_stage import chosen_second_stage
from tomosoup.inference.readout.template_check import Maps
from tomosoup.inference.sliding_window import ahead
from tomosoup.models.adapt import named_for
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.models.second_stage import SecondStage

READ_AHEAD = 2**27
"""Voxels of a tomogram that is read whole while the one before is picked: larger ones are read during picking."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""Errors of a full or read-only disk: every further run would fail, too."""


@dataclass(frozen=True)
class RunOutcome:
    """The result of picking a run."""

    run: str
    picks: Mapping[str, int] = field(default_factory=dict)
    """Number of picks above the thresholds, by species."""
    error: str = ""
    """Why the run could not be picked; empty after success."""
    passing: bool = False
    """A second attempt may succeed: the file system failed, not the data."""
    final: bool = False
    """Nothing can be written any more, so further runs would fail, too."""


class RunPicker:
    """A job in one process: the project stays open and the nets in memory from one run to the next."""

    def __init__(self, job: Job, *, log: Callable[[str], None] = no_log) -> None:
        """`log` gets a line about the chosen engine."""
        self.job, self.log = job, log
        self.messages: list[str] = []
        self.nets = Nets(job.options.inference, log=self._note)

    def _note(self, text: str) -> None:
        self.messages.append(text)
        self.log(text)

    @cached_property
    def project(self) -> Project:
        """The project, opened at the first use."""
        return open_project(self.job.project)

    @cached_property
    def models(self) -> list[Checkpoint]:
        """The checkpoints, with the species names of the project."""
        return named_for(self.project, [load(path) for path in self.job.models])

    @cached_property
    def maps(self) -> Maps:
        """The density maps of the template check; empty without one."""
        return chosen_maps(self.job.options.plan, self.models)

    @cached_property
    def second(self) -> SecondStage | None:
        """The second stage, where the plan has one."""
        return chosen_second_stage(self.job.options.plan, self.project)

    def open(self, run: str) -> Tomogram | RunOutcome:
        """The run's tomogram, in memory unless it is very large; or why it cannot be opened."""
        try:
            tomogram = select_tomogram(self.project, run, self.job.options.data)
            return tomogram.in_memory() if prod(tomogram.shape) <= READ_AHEAD else tomogram
        except Exception as error:
            return self._failure(run, error)

    def pick(self, tomogram: Tomogram | RunOutcome, *, progress: Progress = no_progress) -> RunOutcome:
        """Pick the result of `open`, and write the picks. A failure is recorded and returned, not raised."""
        if isinstance(tomogram, RunOutcome):
            return tomogram
        run, store, plan, began = tomogram.run, self.job.store, self.job.options.plan, time.monotonic()
        mask = self.job.options.region.mask
        try:
            digests = {"mask": mask_digests(mask, self.project, run)} if mask else {}
            region = region_of(self.job.options.region, run, tomogram.grid, self.project)
            candidates = pick_with(
                self.nets, tomogram, self.models, plan=plan, second=self.second, region=region, progress=progress
            )
            thresholds = limits_for(candidates, self.models, self.job.thresholds, self.second)
            calibrations = calibrations_for(candidates, self.models, self.second)
            picks = chosen(candidates, tomogram, self.models, thresholds=thresholds, plan=plan, maps=self.maps)
            candidates, picks = self.job.of_species(candidates), self.job.of_species(picks)
            counts = {name: len(found) for name, found in picks.items()}
            record = {
                "run": run,
                "picks": counts,
                "candidates": {name: len(found) for name, found in candidates.items()},
                "tomogram": {"kind": tomogram.tomo_type, "voxel_size": tomogram.voxel_size, "shape": tomogram.shape},
                "nets": self.messages,
                "seconds": round(time.monotonic() - began, 3),
                "tomosoup": version("tomosoup"),
                **recorded(calibrations, picks),
                **digests,
            }
            store.write(run, candidates, picks, record=record)
        except Exception as error:
            return self._failure(run, error)
        return RunOutcome(run, counts)

    def _failure(self, run: str, error: Exception) -> RunOutcome:
        cause = error.__cause__ if isinstance(error, InputError) else error
        record: dict[str, Any] = {"run": run, "error": as_sentence(error), "tomosoup": version("tomosoup")}
        if not isinstance(error, InputError):
            record["traceback"] = traceback.format_exception(error)
        final = not self.job.store.record_failure(run, record) or (isinstance(cause, OSError) and cause.errno in FULL)
        return RunOutcome(run, error=record["error"], passing=of_storage(cause) and not final, final=final)


Workers = Callable[[Sequence[str]], Iterator[RunOutcome]]
"""Runs -> their outcomes, in the order of completion."""


def in_this_process(job: Job, *, log: Callable[[str], None] = no_log, progress: Progress = no_progress) -> Workers:
    """This process picks one run after the other, and reads the next run meanwhile."""
    picker = RunPicker(job, log=log)

    def work(runs: Sequence[str]) -> Iterator[RunOutcome]:
        for i, (run, tomogram) in enumerate(zip(runs, ahead(map(picker.open, runs)), strict=True)):
            yield picker.pick(tomogram, progress=part(progress, i, len(runs), what=f"Picking ({run})"))

    return work


def pick_runs(workers: Workers, runs: Sequence[str]) -> Iterator[RunOutcome]:
    """The outcome of every run. Runs whose files failed are tried again after all others.

    Stops early if nothing can be written any more.
    """
    again = []
    for outcome in workers(runs):
        if outcome.passing:
            again.append(outcome.run)
        else:
            yield outcome
            if outcome.final:
                return
    for outcome in workers(again) if again else ():
        yield outcome
        if outcome.final:
            return
