"""Measures what runs cost by themselves, without the network: seconds and files for thousands, and requests to S3.

    python -m benchmarks.scale.many_runs disk OUT [--runs 200 2000] [--beside ../before/src]
    python -m benchmarks.scale.many_runs s3 OUT [--runs 20] [--latency 0.05] [--beside ../before/src]

All runs are the same tomogram of 8 x 16 x 16 voxels. `tomosoup pick` finds 20 fixed picks a species in place of those
of a network. Each command is a process of its own, with one thread; `--beside` is the `src` folder of another version,
whose commands work on a project of their own. On S3 the overlay is a bucket of moto's server on this machine, which
answers each request `--latency` seconds late.
"""

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.scale.many_tomograms import noise_project
from runs.shared.command import run_step

SHAPE = (8, 16, 16)
OURS = Path(__file__).parents[2] / "src"
KEYS = {"key": "a", "secret": "b"}
STUB = """
import resource, sys, time
import numpy as np
from tomosoup.cli.main import main
from tomosoup.core.types import Picks
from tomosoup.inference.jobs import run_picker
draw = np.random.default_rng(0)
def fixed(nets, tomogram, models, **options):
    size = np.array(tomogram.shape) * tomogram.voxel_size
    return {s.name: Picks(draw.random((20, 3)) * size, np.linspace(0.2, 0.99, 20)) for s in models[0].species}
run_picker.pick_with = fixed
began, used = time.perf_counter(), time.process_time()
main(sys.argv[1:])
took = time.perf_counter() - began, time.process_time() - used
print("TOOK", *took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, file=sys.stderr)
"""


@dataclass(frozen=True)
class Cost:
    """What a command took."""

    seconds: float
    cpu_seconds: float
    gib: float


def cost_of(words: Sequence[str], source: Path) -> Cost:
    """A command of a version."""
    environment = os.environ | {"PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", STUB, *words], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return Cost(*map(float, done.stderr.rpartition("TOOK")[2].split()))


def commands(project: Path, table: Path) -> dict[str, list[str]]:
    """What is measured, in this order."""
    pick = ["pick", str(project), "--output", str(table)]
    return {
        "pick": pick,
        "pick again: nothing is left": pick,
        "threshold": ["threshold", str(project), "--threshold", "0.5", "--output", str(table), "--overwrite"],
        "score of the table against itself": ["score", str(table), str(table)],
        "export": ["export", str(project), "--format", "xyz", "--output", f"{table}-{{run}}-{{species}}.txt"],
    }


def versions(beside: Path | None) -> dict[str, Path]:
    """The source folders that are compared."""
    return {"this": OURS, **({"beside": beside.resolve()} if beside else {})}


def disk(out: Path, *, runs: tuple[int, ...] = (200, 2000), beside: Path | None = None) -> None:
    """Print a row a command and number of runs."""
    print("| command | runs | version | seconds | CPU seconds | GiB |\n| --- | ---: | --- | ---: | ---: | ---: |")
    for number in runs:
        for version, source in versions(beside).items():
            project = noise_project(out / f"{number}-{version}", number, SHAPE)
            for name, words in commands(project, out / f"{number}-{version}.csv").items():
                cost = cost_of(words, source)
                print(
                    f"| {name} | {number} | {version} | {cost.seconds:.1f} | {cost.cpu_seconds:.1f} | {cost.gib:.2f} |"
                )
            files = sum(len(found) for _, _, found in os.walk(project / "overlay"))
            print(f"| files in the overlay | {number} | {version} | {files} | | |", flush=True)


@contextmanager
def late_server(latency: float) -> Iterator[tuple[str, list[str]]]:
    """The address of an S3 server that answers late, and the list of the requests that it gets."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)

    server, asked = ThreadedMotoServer(port=0, verbose=False), list[str]()
    server.start()
    application = server._server.app

    def late(environ: dict[str, Any], start_response: Any) -> Any:
        asked.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
        time.sleep(latency)
        return application(environ, start_response)

    server._server.app = late
    try:
        yield "http://{}:{}".format(*server.get_host_and_port()), asked
    finally:
        server.stop()


def s3(out: Path, *, runs: int = 20, latency: float = 0.05, beside: Path | None = None) -> None:
    """Print a row a command."""
    import boto3

    print("| command | version | seconds | requests |\n| --- | --- | ---: | ---: |")
    for version, source in versions(beside).items():
        with late_server(latency) as (address, asked):
            boto3.client(
                "s3", endpoint_url=address, aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1"
            ).create_bucket(Bucket=version)
            local = noise_project(out / f"s3-{version}", runs, SHAPE)
            config = json.loads((local / "copick_config.json").read_text())
            config |= {"overlay_root": f"s3://{version}/picks", "overlay_fs_args": {**KEYS, "endpoint_url": address}}
            project = local / "s3.json"
            project.write_text(json.dumps(config))
            for name, words in commands(project, out / f"s3-{version}.csv").items():
                asked.clear()
                cost = cost_of(words, source)
                print(f"| {name} | {version} | {cost.seconds:.1f} | {len(asked)} |", flush=True)


if __name__ == "__main__":
    run_step({"disk": disk, "s3": s3}, description=__doc__)
