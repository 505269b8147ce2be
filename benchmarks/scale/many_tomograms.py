"""Measures picking of many tomograms, and how to use a machine's cores: one process or several, in one run.

    python -m benchmarks.scale.many_tomograms runs MODEL OUT [--runs 500] [--figure PNG]    # 32 x 128 x 128 each
    python -m benchmarks.scale.many_tomograms processes MODEL OUT                           # four full-size tomograms

MODEL is a checkpoint, the demo's say. Every row is the command `tomosoup pick` in processes of its own, on noise.
Memory is resident memory, looked at four times a second: of the command's own process (with a cluster that is client
and scheduler), and of its largest worker.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import zarr
from matplotlib.figure import Figure

from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.data.copick.files import config_of
from tomosoup.data.project import open_project


@dataclass
class Taken:
    """What a command took: seconds in all, and by look (runs done, GiB of the command, GiB of the largest worker)."""

    seconds: float = 0.0
    looks: list[tuple[int, float, float]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def at(self, runs: int) -> tuple[float, float]:
        """The most memory, of the command and of a worker, in ten looks from that on at which `runs` were done."""
        first = next(i for i, look in enumerate(self.looks) if look[0] >= runs)
        here = self.looks[first : first + 10]
        return max(look[1] for look in here), max(look[2] for look in here)

    def rate(self, first: int) -> float:
        """Runs a second after the first so many: without the start of processes and the preparation of nets."""
        start = next(i for i, look in enumerate(self.looks) if look[0] >= first)
        end = next(i for i, look in enumerate(self.looks) if look[0] >= self.looks[-1][0])
        return (self.looks[end][0] - self.looks[start][0]) / (self.times[end] - self.times[start])


def noise_project(folder: Path, runs: int, shape: Sequence[int]) -> Path:
    """A copick project of `runs` tomograms of noise, all the same."""
    if not folder.exists():
        static = folder / "static" / "ExperimentRuns"
        first = static / "run_0000"
        store = first / "VoxelSpacing10.000" / "denoised.zarr"
        group = zarr.open_group(zarr.NestedDirectoryStore(str(store)), mode="w")
        noise = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        chunks = [min(n, 128) for n in shape]
        group.create_dataset("0", data=noise, chunks=chunks, dimension_separator="/")
        for i in range(1, runs):
            shutil.copytree(first, static / f"run_{i:04}")
        (folder / "overlay").mkdir()
        config = config_of(CONTEST_SPECIES, static=folder / "static", overlay=folder / "overlay")
        (folder / "copick_config.json").write_text(json.dumps(config))
    return folder


def pick(project: Path, model: Path, session: str, *options: str) -> Taken:
    """The command, watched."""
    words = ["pick", project, "--model", model, "--session", session, *options]
    records = project / "overlay" / "tomosoup" / session
    shutil.rmtree(records, ignore_errors=True)
    for old in (project / "overlay").rglob(f"tomosoup_{session}*.json"):
        old.unlink()
    taken, began = Taken(), time.perf_counter()
    command = subprocess.Popen([sys.executable, "-m", "tomosoup", *map(str, words)], stdout=subprocess.DEVNULL)
    process = psutil.Process(command.pid)
    while command.poll() is None:
        done = sum(1 for _ in records.glob("*/*.json"))
        memory = [resident(p) for p in [process, *process.children(recursive=True)]]
        taken.looks.append((done, memory[0], max(memory[1:], default=0.0)))
        taken.times.append(time.perf_counter() - began)
        time.sleep(0.25)
    taken.seconds = time.perf_counter() - began
    if command.returncode:
        raise SystemExit(f"the command failed with {command.returncode}")
    taken.looks.append((sum(1 for _ in records.glob("*/*.json")), *taken.looks[-1][1:]))
    taken.times.append(taken.seconds)
    return taken


def resident(process: psutil.Process) -> float:
    """GiB."""
    try:
        return float(process.memory_info().rss) / 2**30
    except psutil.NoSuchProcess:
        return 0.0


def rows(project: Path, model: Path, ways: dict[str, list[str]]) -> Iterator[tuple[str, Taken]]:
    """Every way in turn, told as it is done."""
    first = 0.0
    for i, (name, options) in enumerate(ways.items()):
        taken = pick(project, model, f"way{i}", *options)
        first = first or taken.seconds
        print(f"{name:38} {taken.seconds:7.1f} s  {first / taken.seconds:5.2f} x", end="  ", flush=True)
        yield name, taken


def runs(options: argparse.Namespace) -> None:
    """Hundreds of small tomograms: throughput, memory at runs 50, 200 and the last, and what a task costs by itself."""
    project = noise_project(options.out / f"{options.runs}-small", options.runs, (32, 128, 128))
    ways = {
        "in this process, both threads": [],
        "a cluster of one process": ["--cluster", "local:1"],
        "a cluster of two processes": ["--cluster", "local:2"],
    }
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.add_subplot(xlabel="runs done", ylabel="resident memory, GiB", ylim=(0, 2))
    for name, taken in rows(project, options.model, ways):
        marks = [*(n for n in (50, 200) if n < options.runs), options.runs]
        here, workers = zip(*map(taken.at, marks), strict=True)
        print(f"{taken.rate(50):5.2f} runs/s after 50; GiB at run {marks}: ", end="")
        print("command", *(f"{gib:.2f}" for gib in here), "worker", *(f"{gib:.2f}" for gib in workers))
        done, command, worker = zip(*taken.looks, strict=True)
        axes.plot(done, command, label=f"{name}: command")
        if max(worker):
            axes.plot(done, worker, "--", label=f"{name}: largest worker")
    axes.legend(fontsize="small")
    if options.figure:
        figure.savefig(options.figure, dpi=110)
    print(f"a task that does nothing: {1000 * idle_task():.1f} ms")


def idle_task(tasks: int = 500) -> float:
    """Seconds that client, scheduler and two workers take for a task that does nothing."""
    from distributed import Client, LocalCluster, as_completed

    with LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=None) as cluster, Client(cluster) as client:
        client.submit(int, 0).result()
        began = time.perf_counter()
        for _ in as_completed([client.submit(int, i, pure=False) for i in range(tasks)]):
            pass
        return (time.perf_counter() - began) / tasks


def processes(options: argparse.Namespace) -> None:
    """Four full-size tomograms: one process with all threads, or several with their share."""
    project = noise_project(options.out / "4-full", 4, (184, 630, 630))
    assert len(open_project(project).runs) == 4
    ways = {
        "one process, two threads": [],
        "a cluster of one, two threads": ["--cluster", "local:1"],
        "two processes of one thread": ["--cluster", "local:2"],
    }
    for _, taken in rows(project, options.model, ways):
        most = [max(look[i] for look in taken.looks) for i in (1, 2)]
        print(f"most memory: command {most[0]:.2f} GiB, worker {most[1]:.2f} GiB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["runs", "processes"])
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--figure", type=Path)
    given = parser.parse_args()
    {"runs": runs, "processes": processes}[given.what](given)
