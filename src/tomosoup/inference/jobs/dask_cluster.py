"""Distribute runs over the processes of a Dask cluster, one run per task."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

from tomosoup.core.errors import InputError, first_line
from tomosoup.core.progress import Progress
from tomosoup.core.runtime import keep_freed_memory
from tomosoup.inference.jobs.job import Job
from tomosoup.inference.jobs.options import ClusterOptions
from tomosoup.inference.jobs.run_picker import RunOutcome, RunPicker, Workers

TASKS_AT_ONCE = 2
"""Tasks of one process: while it picks one run, it reads the next."""
MISSING = "A cluster requires further packages: pip install 'tomosoup[cluster]'."
QUIET = {"memory_limit": 0, "silence_logs": logging.ERROR, "dashboard": False, "preload": "tomosoup.core.runtime"}
"""Of a local worker: no memory limit of its own, no log, no dashboard, ignores Ctrl-C."""
ANSWER = 15.0
"""Seconds within which a scheduler must answer."""
ONE_GPU = "gres=gpu:1"
"""SLURM's setting for a GPU a job."""
POLL = 0.2
"""Seconds between two checks for finished runs."""

_opening, _computing = Lock(), Lock()
_ready: list[RunPicker] = []
"""The picker of the last job of a worker."""


def pick_in_worker(job: Job, run: str) -> RunOutcome:
    """The task: pick a run. This process reads and picks one run at a time."""
    with _opening:
        if not _ready or _ready[0].job != job:
            keep_freed_memory()
            _ready[:] = [RunPicker(job)]
        picker = _ready[0]
        tomogram = picker.open(run)
    with _computing:
        return picker.pick(tomogram)


@contextmanager
def on_cluster(
    job: Job, options: ClusterOptions, *, log: Callable[[str], None], progress: Progress
) -> Iterator[Workers]:
    """The processes of a cluster, started or connected to for the duration of the block.

    `log` gets the address of its dashboard. Raises `InputError` if packages of the cluster are missing, and
    if no scheduler answers.
    """
    with ExitStack() as stack:
        client = connect(options, stack)
        log(f"Dashboard: {client.dashboard_link}")
        yield partial(_pick_on, client, job, progress=progress)


def connect(options: ClusterOptions, stack: ExitStack) -> Any:
    """A client of the cluster. A cluster that is started here stops with the stack. Raises `InputError`."""
    try:
        import dask

        dask.config.set(
            {"logging": dict.fromkeys(("distributed", "distributed.client"), "critical")}
        )  # before the next
        from distributed import Client
    except ImportError as error:
        raise InputError(MISSING) from error
    where = options.cluster or "local"
    if "://" in where:
        try:
            return stack.enter_context(Client(where, timeout=ANSWER))
        except (OSError, ValueError) as error:
            raise InputError(
                f"No Dask scheduler answers at {where} ({first_line(error)}): start one with `dask scheduler`, or "
                "correct the address."
            ) from error
    cluster = stack.enter_context(_local(where) if where.startswith("local") else batch_system(options))
    return stack.enter_context(Client(cluster))


def _local(where: str) -> Any:
    """Processes of this machine, each with its own GPU if there are GPUs, else with an equal number of cores."""
    from distributed import Nanny, Scheduler, SpecCluster

    asked = where.partition(":")[2]
    specs = {
        i: {"cls": Nanny, "options": {"nthreads": TASKS_AT_ONCE, "env": env, "name": i, **QUIET}}
        for i, env in enumerate(environments(int(asked) if asked else None, gpus=gpus(), cores=os.cpu_count() or 1))
    }
    scheduler = {"cls": Scheduler, "options": {"dashboard_address": "127.0.0.1:0", "host": "127.0.0.1"}}
    return SpecCluster(specs, scheduler=scheduler, name="tomosoup", silence_logs=logging.ERROR)


def environments(number: int | None, *, gpus: Sequence[str], cores: int) -> list[dict[str, str]]:
    """The environment variables of each of `number` processes, set before it imports torch.

    By default one process per GPU, or one. If there are more processes than GPUs, they share them in turn.
    """
    number = number or len(gpus) or 1
    threads = {"OMP_NUM_THREADS": str(max(1, cores // number))}
    return [threads | ({"CUDA_VISIBLE_DEVICES": gpus[i % len(gpus)]} if gpus else {}) for i in range(number)]


def gpus(environment: Mapping[str, str] = os.environ, devices: Path = Path("/dev")) -> list[str]:
    """The NVIDIA GPUs for this process, with their names in CUDA_VISIBLE_DEVICES. torch is not imported."""
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name.strip() and name.strip() != "-1"]
    found = sorted(int(path.name[6:]) for path in devices.glob("nvidia[0-9]*") if path.name[6:].isdigit())
    return [str(i) for i in range(len(found))]


def batch_system(options: ClusterOptions) -> Any:
    """Jobs of SLURM, PBS or LSF that ask this machine's scheduler for work, one process each."""
    try:
        from dask_jobqueue import LSFCluster, PBSCluster, SLURMCluster
    except ImportError as error:
        raise InputError(MISSING) from error
    common = {
        "cores": TASKS_AT_ONCE,
        "processes": 1,
        "memory": options.memory,
        "walltime": options.walltime,
        "queue": options.queue,
        "scheduler_options": {"dashboard_address": ":0"},
        "job_script_prologue": [*options.setup, f"export OMP_NUM_THREADS={options.cores}"],
    }
    extra = list(options.directives)
    if options.cluster == "slurm":
        extra += [f"--{ONE_GPU}"] * options.gpu
        cluster = SLURMCluster(**common, account=options.account, job_cpu=options.cores, job_extra_directives=extra)
    elif options.cluster == "pbs":
        select = f"select=1:ncpus={options.cores}:mem={options.memory}" + ":ngpus=1" * options.gpu
        cluster = PBSCluster(**common, account=options.account, resource_spec=select, job_extra_directives=extra)
    else:
        extra += ['-gpu "num=1"'] * options.gpu
        common["walltime"] = ":".join(options.walltime.split(":")[:2])  # LSF has no seconds
        cluster = LSFCluster(**common, project=options.account, ncpus=options.cores, job_extra_directives=extra)
    cluster.scale(jobs=options.jobs)
    return cluster


def _pick_on(client: Any, job: Job, runs: Sequence[str], *, progress: Progress) -> Iterator[RunOutcome]:
    """Raises `InputError` if the scheduler stops."""
    from distributed import CancelledError, as_completed
    from distributed.scheduler import KilledWorker

    names = {client.submit(pick_in_worker, job, run, pure=False): run for run in runs}
    finished, done = as_completed(names), 0
    try:
        while done < len(runs):
            progress("Picking", done, len(runs))  # Ctrl-C is handled here, too
            for future in finished.next_batch(block=False):
                run = names.pop(future)
                try:
                    outcome: RunOutcome = future.result()
                except KilledWorker as error:
                    outcome = _died(job, run, f"{error.allowed_failures + 1} processes ended while they picked it.")
                done += 1
                yield outcome
            if client.status != "running":
                raise CancelledError(client.status)
            time.sleep(POLL)
        progress("Picking", done, len(runs))
    except (CancelledError, OSError) as error:
        raise InputError(
            f"The scheduler is gone ({first_line(error)}). Runs not finished: {len(names)}. The same command resumes."
        ) from error
    finally:
        client.cancel(list(names))


def _died(job: Job, run: str, text: str) -> RunOutcome:
    recorded = job.store.record_failure(run, {"run": run, "error": text})
    return RunOutcome(run, error=text, final=not recorded)


def sbatch_script(options: ClusterOptions, command: str) -> str:
    """A SLURM job array of `options.jobs` jobs, each of which runs `command`."""
    settings = [
        "job-name=tomosoup",
        f"array=1-{options.jobs}",
        "ntasks=1",
        f"cpus-per-task={options.cores}",
        f"mem={options.memory.removesuffix('B')}",
        f"time={options.walltime}",
        "output=tomosoup-%A-%a.log",
        "requeue",
    ]
    settings += [f"partition={options.queue}"] if options.queue else []
    settings += [f"account={options.account}"] if options.account else []
    settings += [ONE_GPU] if options.gpu else []
    head = [f"#SBATCH {line}" for line in (*(f"--{setting}" for setting in settings), *options.directives)]
    threads = "export OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK"
    return "\n".join(["#!/usr/bin/env bash", *head, "", *options.setup, threads, command, ""])
