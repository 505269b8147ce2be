"""A project picked run by run, so that any number of processes can share it and any of them can be started again."""

from __future__ import annotations

import errno
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from math import prod
from pathlib import Path
from typing import Any

from tomosoup.core.errors import InputError, as_sentence
from tomosoup.core.progress import Progress, no_log, no_progress
from tomosoup.core.types import Picks
from tomosoup.data.copick.remote import of_storage
from tomosoup.data.options import DataOptions
from tomosoup.data.pick_store.store import PickStore, pick_store
from tomosoup.data.project import Project, open_project
from tomosoup.data.tomogram import Tomogram, select_tomogram
from tomosoup.inference.engines.net_cache import Nets
from tomosoup.inference.ensemble import AS_TRAINED, all_species, all_thresholds, chosen_views, model_shares
from tomosoup.inference.options.hardware import InferenceOptions
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.inference.pick import chosen, chosen_maps, pick_with
from tomosoup.inference.readout.template_check import Maps, fingerprints
from tomosoup.inference.sliding_window import ahead
from tomosoup.models.checkpoint import Checkpoint, checkpoint_file, load
from tomosoup.models.rename import named_for

READ_AHEAD = 2**27
"""Voxels of a tomogram that is read whole while the one before is picked: larger ones are read as they are picked."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""A disk that is full or may not be written to fails every further run, too."""


@dataclass(frozen=True)
class Recipes:
    """Which tomograms, how they are picked, and by what engines."""

    data: DataOptions = field(default_factory=DataOptions)
    plan: PickingPlan = AS_TRAINED
    inference: InferenceOptions = field(default_factory=InferenceOptions)


DEFAULTS = Recipes()


@dataclass(frozen=True)
class Job:
    """All that a process needs to pick runs of a project. It pickles."""

    project: Path
    models: tuple[Path, ...]
    store: PickStore
    species: tuple[str, ...]
    """What the models find, by the project's names."""
    thresholds: Mapping[str, float]
    recipes: Recipes

    def read(self, run: str) -> dict[str, Picks]:
        """The picks of a run that is done, in the models' order."""
        found = self.store.read(run)
        return {name: found[name] for name in self.species if name in found}


def begin_job(
    project: Path,
    models: Sequence[Path],
    runs: Sequence[str],
    *,
    session: str = "0",
    outputs: Sequence[Path] = (),
    limits: Callable[[Sequence[str]], Mapping[str, float]] = lambda _: {},
    recipes: Recipes = DEFAULTS,
    overwrite: bool = False,
) -> Job:
    """The work of picking `runs`, its session begun, or found as an earlier process with the same settings left it.

    `limits` gives, from the names of the species, thresholds in place of the models' own. Raises `InputError`, before
    anything is written, as `io.picks.pick_store`, and for models, views and weights that do not go together.
    """
    plan = recipes.plan
    chosen_views(plan.views)
    opened = open_project(project)
    checkpoints = named_for(opened, [load(path) for path in models])
    model_shares(checkpoints, plan)
    species = all_species(checkpoints)
    thresholds = {**all_thresholds(checkpoints), **limits([s.name for s in species])}
    # Engines and devices are left out: what they change is far below what tells a particle.
    settings = {
        "models": [checkpoint.fingerprint() for checkpoint in checkpoints],
        "plan": plan.model_dump(mode="json", exclude={"templates": {"folder"}}),
        "tomograms": recipes.data.model_dump(mode="json", exclude={"runs"}),
        "thresholds": thresholds,
        "precision": recipes.inference.precision,
        "maps": fingerprints(chosen_maps(plan, checkpoints)),
    }
    store = pick_store(
        opened,
        runs,
        species,
        session=session,
        outputs=outputs,
        settings=settings,
        overwrite=overwrite,
    )
    names = tuple(s.name for s in species)
    paths = tuple(checkpoint_file(path).absolute() for path in models)
    return Job(project.absolute(), paths, store, names, thresholds, recipes)


@dataclass(frozen=True)
class Outcome:
    """What became of a run."""

    run: str
    picks: Mapping[str, int] = field(default_factory=dict)
    """How many pass the thresholds, by species."""
    error: str = ""
    """Why it could not be picked; empty where all went well."""
    passing: bool = False
    """The failure may be gone at a second attempt: a file system's, not the data's."""
    final: bool = False
    """Nothing more can be written, not even why this run failed: further runs would fail as this one."""


class Bench:
    """A job in one process: its project is open, and its nets stay ready from one run to the next."""

    def __init__(self, job: Job, *, tell: Callable[[str], None] = no_log) -> None:
        """`tell` hears what engine was chosen."""
        self.job, self.tell = job, tell
        self.told: list[str] = []
        self.nets = Nets(job.recipes.inference, tell=self._hear)

    def _hear(self, text: str) -> None:
        self.told.append(text)
        self.tell(text)

    @cached_property
    def project(self) -> Project:
        """The project, opened when it is first needed."""
        return open_project(self.job.project)

    @cached_property
    def models(self) -> list[Checkpoint]:
        """The checkpoints, their species called as the project calls them."""
        return named_for(self.project, [load(path) for path in self.job.models])

    @cached_property
    def maps(self) -> Maps:
        """The density maps that have the last word, if any."""
        return chosen_maps(self.job.recipes.plan, self.models)

    def open(self, run: str) -> Tomogram | Outcome:
        """The run's tomogram, in memory unless it is very large; or why it cannot be opened."""
        try:
            tomogram = select_tomogram(self.project, run, self.job.recipes.data)
            return tomogram.in_memory() if prod(tomogram.shape) <= READ_AHEAD else tomogram
        except Exception as error:
            return self._failure(run, error)

    def pick(self, tomogram: Tomogram | Outcome, *, progress: Progress = no_progress) -> Outcome:
        """Pick what `open` gave, and write the picks; a failure is recorded and told, not raised."""
        if isinstance(tomogram, Outcome):
            return tomogram
        run, store, plan, began = tomogram.run, self.job.store, self.job.recipes.plan, time.monotonic()
        try:
            candidates = pick_with(self.nets, tomogram, self.models, plan=plan, progress=progress)
            limits = self.job.thresholds
            picks = chosen(candidates, tomogram, self.models, thresholds=limits, plan=plan, maps=self.maps)
            counts = {name: len(found) for name, found in picks.items()}
            about = {
                "run": run,
                "picks": counts,
                "candidates": {name: len(found) for name, found in candidates.items()},
                "tomogram": {"kind": tomogram.kind, "voxel_size": tomogram.voxel_size, "shape": tomogram.shape},
                "nets": self.told,
                "seconds": round(time.monotonic() - began, 3),
                "tomosoup": version("tomosoup"),
            }
            store.write(run, candidates, picks, about=about)
        except Exception as error:
            return self._failure(run, error)
        return Outcome(run, counts)

    def _failure(self, run: str, error: Exception) -> Outcome:
        cause = error.__cause__ if isinstance(error, InputError) else error
        about: dict[str, Any] = {"run": run, "error": as_sentence(error), "tomosoup": version("tomosoup")}
        if not isinstance(error, InputError):
            about["traceback"] = traceback.format_exception(error)
        final = isinstance(cause, OSError) and cause.errno in FULL
        try:
            self.job.store.session.record_failure(run, self.job.store.fingerprint, about)
        except InputError:
            final = True
        return Outcome(run, error=about["error"], passing=of_storage(cause) and not final, final=final)


Work = Callable[[Sequence[str]], Iterator[Outcome]]
"""Runs -> what became of them, in any order, as they are finished."""


def in_this_process(job: Job, *, tell: Callable[[str], None] = no_log, progress: Progress = no_progress) -> Work:
    """Work that picks run after run; each is read while the one before is picked."""
    bench = Bench(job, tell=tell)

    def work(runs: Sequence[str]) -> Iterator[Outcome]:
        for i, (run, tomogram) in enumerate(zip(runs, ahead(map(bench.open, runs)), strict=True)):

            def report(_: str, done: int, total: int, i: int = i, run: str = run) -> None:
                progress(f"Picking ({run})", i * total + done, len(runs) * total)

            yield bench.pick(tomogram, progress=report)

    return work


def pick_runs(work: Work, runs: Sequence[str]) -> Iterator[Outcome]:
    """What became of every run: those whose files failed are tried once more, after all others.

    It ends early, without the runs that are left, once nothing more can be written.
    """
    again = []
    for outcome in work(runs):
        if outcome.passing:
            again.append(outcome.run)
        else:
            yield outcome
            if outcome.final:
                return
    for outcome in work(again) if again else ():
        yield outcome
        if outcome.final:
            return


def share(runs: Sequence[str], number: int, of: int) -> list[str]:
    """The part of the runs that process `number` of `of` (from 1) picks."""
    return list(runs[number - 1 :: of])
