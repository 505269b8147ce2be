"""What `tomosoup pick` and `tomosoup threshold` do: runs become picks, here or on a cluster, and go on after a stop."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tomosoup.arguments import read_thresholds
from tomosoup.errors import InputError
from tomosoup.recipes.commands import PickCommand, ThresholdCommand
from tomosoup.terminal import Stopped, fail, print_failures, progress_bars, say

if TYPE_CHECKING:  # --help must not wait for torch
    from tomosoup.picking_jobs import Job, Work
    from tomosoup.types import PicksBySpecies, Progress


def pick(options: PickCommand) -> None:
    """Pick a project."""
    if options.write_sbatch:
        write_sbatch(options)
        return
    from tomosoup.io.project import open_project
    from tomosoup.io.selection import chosen_runs
    from tomosoup.picking_jobs import pick_runs, share

    runs = chosen_runs(open_project(options.project), options.data)
    job = job_of(options, runs)
    mine = share(runs, *options.cluster.part)
    if options.redo:
        job.store.session.forget(mine, job.store.fingerprint)
    done = set(job.store.done())
    left = [run for run in mine if run not in done]
    if len(left) < len(mine):
        say(f"{len(mine) - len(left)} of {len(mine)} runs are done already")
    try:
        if left:
            with progress_bars() as progress, workers(options, job, progress) as work:
                for _ in pick_runs(work, left):
                    pass
    except KeyboardInterrupt:
        raise Stopped(
            f"Picking stopped; the runs finished so far are in {job.store.config}, no CSV was written: give the same "
            "command again for the rest."
        ) from None
    finish(options, job, runs)


def job_of(options: PickCommand, runs: Sequence[str]) -> Job:
    """The work of a command, its session begun. Raises `InputError` before anything is written where it cannot be."""
    from tomosoup.checkpoints import load
    from tomosoup.ensembles import all_species, all_thresholds, chosen_views, model_shares
    from tomosoup.io.picks import pick_store
    from tomosoup.io.project import open_project
    from tomosoup.picking_jobs import Job, settings_of
    from tomosoup.preparation import Nets

    if options.cluster.cluster is None:
        Nets(options.inference)  # complains now of engines that are not here, as these do of views and weights
    chosen_views(options.picking.views)
    models = [load(path) for path in options.model]
    model_shares(models, options.picking)
    species = all_species(models)
    thresholds = all_thresholds(models) | read_thresholds(options.threshold, [s.name for s in species])
    store = pick_store(
        open_project(options.project),
        runs,
        species,
        session=options.session,
        outputs=[path for path in (options.output, options.submission) if path],
        settings=settings_of(
            models, thresholds=thresholds, data=options.data, plan=options.picking, inference=options.inference
        ),
        overwrite=options.overwrite,
    )
    return Job(
        options.project.absolute(),
        tuple(path.absolute() for path in options.model),
        store,
        tuple(s.name for s in species),
        thresholds,
        data=options.data,
        plan=options.picking,
        inference=options.inference,
    )


@contextmanager
def workers(options: PickCommand, job: Job, progress: Progress) -> Iterator[Work]:
    """What picks the runs: this process, or a cluster for the time of the block."""
    if options.cluster.cluster is None:
        from tomosoup.picking_jobs import in_this_process

        yield in_this_process(job, tell=say, progress=progress)
        return
    from tomosoup.cluster import on_cluster

    with on_cluster(job, options.cluster, tell=say, progress=progress) as work:
        yield work


def finish(options: PickCommand, job: Job, runs: Sequence[str]) -> None:
    """Write the tables once no run is left, tell what was found, and exit with 1 where a run is missing."""
    from tomosoup.io.tables import write_csv

    store, session = job.store, job.store.session
    done = set(store.done())
    failures = {run: why for run, why in session.failures(store.fingerprint).items() if run in runs and run not in done}
    left = [run for run in runs if run not in done and run not in failures]

    def picks() -> Iterator[tuple[str, PicksBySpecies]]:
        for run in filter(done.__contains__, runs):
            found = store.read(run)
            yield run, {name: found[name] for name in job.species if name in found}

    for path, scores in ((options.output, True), (options.submission, False)):
        if path and not left:
            write_csv(path, picks(), scores=scores)
    counts = Counter(dict.fromkeys(job.species, 0))
    for run in filter(done.__contains__, runs):
        counts.update(session.about(run, store.fingerprint).get("picks", {}))
    found = ", ".join(f"{name} {count}" for name, count in counts.items())
    say(f"{counts.total()} picks in {len(done.intersection(runs))} runs: {found}")
    say(f"copick: {store.config}, user tomosoup, session {store.name}")
    summary = session.sum_up(store.fingerprint)
    if failures:
        print_failures({run: str(why.get("error", "")) for run, why in failures.items()})
    if left and options.cluster.shard and not failures:
        say(f"{len(left)} runs are left for other shards; the last to end writes the CSV.")
    elif left or failures:
        what = [f"{len(failures)} of {len(runs)} runs could not be picked (for programs: {summary})"] * bool(failures)
        what += [f"{len(left)} were not tried, and no CSV was written"] * bool(left)
        fail("; ".join(what) + ". The same command tries them again, and only them.", 1)


def write_sbatch(options: PickCommand) -> None:
    """The command as a SLURM job array."""
    from tomosoup.cluster import sbatch_script
    from tomosoup.io.files import refuse_existing, written_aside

    assert options.write_sbatch is not None
    refuse_existing(options.write_sbatch, overwrite=options.overwrite)
    words = iter(sys.argv[1:])
    kept = [word for word in words if not word.startswith("--write-sbatch=") and not _skip(word, words)]
    with written_aside(options.write_sbatch) as aside:
        aside.write_text(sbatch_script(options.cluster, shlex.join([sys.executable, "-m", "tomosoup", *kept])))
    say(f"{options.write_sbatch}: an array of {options.cluster.jobs} jobs; start it with sbatch")


def _skip(word: str, following: Iterator[str]) -> bool:
    """Whether this is the option --write-sbatch, whose value is then skipped, too."""
    if word == "--write-sbatch":
        next(following)
        return True
    return False


def threshold(options: ThresholdCommand) -> None:
    """Apply thresholds to what an earlier `pick` found."""
    from tomosoup.evaluation import apply_thresholds
    from tomosoup.io.files import refuse_existing
    from tomosoup.io.picks import read_candidates, with_thresholds
    from tomosoup.io.project import CopickProject, open_project
    from tomosoup.io.tables import write_csv

    if options.output:
        refuse_existing(options.output, overwrite=options.overwrite)
    project = open_project(options.project)
    if not isinstance(project, CopickProject):
        raise InputError(f"{options.project} is no copick project: name the .copick folder that `tomosoup pick` made.")
    candidates = read_candidates(project, options.session)
    limits = read_thresholds(options.threshold, [s.name for s in project.species])
    picks = {run: apply_thresholds(found, limits) for run, found in candidates.items()}
    with_thresholds(project, options.session, limits, picks)
    if options.output:
        write_csv(options.output, picks)
    say(f"{sum(len(p) for found in picks.values() for p in found.values())} picks in {len(picks)} runs pass")
