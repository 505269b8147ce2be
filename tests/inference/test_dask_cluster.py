"""Runs shared out over processes: the same picks as by one process, whatever dies."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from tomosoup.cli.main import main
from tomosoup.core.errors import InputError
from tomosoup.inference.jobs import dask_cluster as cluster
from tomosoup.inference.jobs.dask_cluster import environments, gpus
from tomosoup.inference.jobs.options import ClusterOptions

RUNS = ["run_000", "run_001", "run_002"]
SLOW = ["--stride", "8", "16", "16"]


@pytest.fixture
def picking(project: Path, model: Path, tmp_path: Path) -> list[str]:
    """The command, slow enough to be met while it works."""
    output = tmp_path / "p.csv"
    return ["pick", str(project), "--model", str(model), "--threshold", "0.14", *SLOW, "--output", str(output)]


def records(project: Path) -> list[str]:
    """The runs that are recorded as done."""
    return sorted(p.stem for p in project.glob("overlay/tomosoup/0/*/*.json") if not p.parent.name.endswith("-failed"))


def alone(picking: list[str], tmp_path: Path) -> bytes:
    """The table that one process makes, under another session."""
    main([*picking[:-1], str(tmp_path / "alone.csv"), "--session", "alone"])
    return (tmp_path / "alone.csv").read_bytes()


@contextmanager
def after_the_first_run(project: Path, do: Callable[[], None]) -> Iterator[None]:
    """Do something, in a thread, as soon as a run is done in the block."""

    def wait() -> None:
        while not records(project):
            time.sleep(0.02)
        do()

    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(wait)
        yield
        done.result()


def test_a_worker_that_is_killed_costs_nothing(picking: list[str], project: Path, tmp_path: Path) -> None:
    killed = []

    def kill() -> None:
        children = psutil.Process().children(recursive=True)
        workers = [p for p in children if "spawn_main" in " ".join(p.cmdline())]
        killed.append(max(workers, key=lambda p: p.cpu_times().user))
        killed[0].kill()

    with after_the_first_run(project, kill):
        main([*picking, "--cluster", "local:2"])
    assert len(killed) == 1
    assert records(project) == RUNS
    assert (tmp_path / "p.csv").read_bytes() == alone(picking, tmp_path)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[tuple[list[subprocess.Popen[bytes]], str]]:
    """A Dask scheduler and a worker, as programs of their own, and the scheduler's address."""
    file = tmp_path / "scheduler.json"
    programs = [
        f"dask_scheduler --port 0 --dashboard-address 127.0.0.1:0 --scheduler-file {file}",
        f"dask_worker --scheduler-file {file} --nthreads 1 --no-nanny",
    ]
    running = []
    try:
        for program in programs:
            words = [sys.executable, "-m", *f"distributed.cli.{program}".split()]
            running.append(subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            while not file.exists():
                time.sleep(0.02)
        yield running, json.loads(file.read_text())["address"]
    finally:
        for process in running:
            process.kill()
            process.wait()


def test_a_node_that_dies_with_the_scheduler_is_told_and_what_is_left_goes_on(
    node: tuple[list[subprocess.Popen[bytes]], str],
    picking: list[str],
    project: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    processes, address = node
    monkeypatch.setattr(cluster, "ANSWER", 3.0)

    def kill() -> None:
        for process in processes:
            process.kill()

    with after_the_first_run(project, kill), pytest.raises(SystemExit) as end:
        main([*picking, "--cluster", address])
    assert end.value.code == 1
    assert "The scheduler is gone" in capsys.readouterr().err
    assert 1 <= len(records(project)) < 3
    main(picking)
    assert records(project) == RUNS
    assert (tmp_path / "p.csv").read_bytes() == alone(picking, tmp_path)


def test_a_scheduler_that_is_not_there_is_told(picking: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "ANSWER", 0.5)
    with pytest.raises(InputError, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:9"), ExitStack() as stack:
        cluster.connect(ClusterOptions(cluster="tcp://127.0.0.1:9"), stack)
    with pytest.raises(SystemExit):
        main([*picking, "--cluster", "nonsense"])


def test_each_process_has_its_gpu_or_its_share_of_the_cores(tmp_path: Path) -> None:
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert gpus({}, tmp_path) == ["0", "1"]
    assert gpus({"CUDA_VISIBLE_DEVICES": "3,5"}, tmp_path) == ["3", "5"]
    assert gpus({"CUDA_VISIBLE_DEVICES": "-1"}, tmp_path) == gpus({"CUDA_VISIBLE_DEVICES": ""}, tmp_path) == []
    assert gpus({}, tmp_path / "nothing") == []
    assert environments(None, gpus=["3", "5"], cores=8) == [
        {"OMP_NUM_THREADS": "4", "CUDA_VISIBLE_DEVICES": "3"},
        {"OMP_NUM_THREADS": "4", "CUDA_VISIBLE_DEVICES": "5"},
    ]
    assert environments(4, gpus=[], cores=8) == [{"OMP_NUM_THREADS": "2"}] * 4
    assert environments(None, gpus=[], cores=8) == [{"OMP_NUM_THREADS": "8"}]


@pytest.mark.parametrize(
    ("kind", "lines"),
    [
        (
            "slurm",
            ["#SBATCH -p gpu", "lab", "#SBATCH --cpus-per-task=8", "#SBATCH -t 02:00:00", "--gres=gpu:1"],
        ),
        ("pbs", ["#PBS -q gpu", "lab", "select=1:ncpus=8:mem=32GB:ngpus=1", "walltime=02:00:00"]),
        ("lsf", ["#BSUB -q gpu", "lab", "#BSUB -n 8", "#BSUB -W 02:00", '-gpu "num=1"']),
    ],
)
def test_jobs_ask_the_batch_system_for_what_was_said(
    kind: str, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr("dask_jobqueue.core.JobQueueCluster.scale", lambda _, jobs: asked.append(jobs))
    recipe = ClusterOptions(
        cluster=kind,
        jobs=3,
        cores=8,
        memory="32GB",
        walltime="02:00:00",
        queue="gpu",
        account="lab",
        gpu=True,
        setup=("module load cuda",),
    )
    with cluster.batch_system(recipe) as made:
        script = made.job_script()
    assert asked[0] == 3
    for line in [*lines, "module load cuda", "export OMP_NUM_THREADS=8", "--nthreads 2"]:
        assert line in script, script


def test_the_array_that_is_written_picks_the_project(
    picking: list[str], project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "pick array.sbatch"
    options = [f"--write-sbatch={script}", "--jobs=2", "--queue=gpu", "--gpu", "--directives=--qos=long"]
    monkeypatch.setattr(sys, "argv", ["tomosoup", *picking, *options])
    main()
    assert not records(project)
    text = script.read_text()
    for line in ("--array=1-2", "--partition=gpu", "--gres=gpu:1", "--qos=long", "--cpus-per-task=4"):
        assert f"#SBATCH {line}\n" in text
    main([*picking, "--shard", "1/2"])
    environment = os.environ | {"SLURM_ARRAY_TASK_ID": "2", "SLURM_CPUS_PER_TASK": "1"}
    subprocess.run(["bash", script], check=True, capture_output=True, env=environment)
    assert records(project) == RUNS
    assert (tmp_path / "p.csv").is_file()
