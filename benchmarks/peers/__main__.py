"""Measures tomosoup and other pickers: the same simulated runs and CPU minutes of training, one independent scorer.

    python -m benchmarks.peers install OUT
    python -m benchmarks.peers simulate OUT MAPS      # MAPS is a folder of density maps, 10 Å a voxel
    python -m benchmarks.peers train OUT [--minutes 6] [--seeds 0 1 2] [--peers NAME ...]
    python -m benchmarks.peers recipe OUT NAME FILE   # one more row: tomosoup with a recipe of this name or file
    python -m benchmarks.peers table OUT

`train` trains, picks and scores each peer (`peers.PEERS`) with each seed, one at a time, one thread each, and skips
what is done: it can be stopped and started again. A peer that fails leaves its log in OUT/jobs and the others go on.
`table` prints what there is, best first, and how far the scorer and tomosoup's own score are apart.

`simulate --quick` makes tiny projects, to try the programs.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

from benchmarks.peers.peers import PEERS, Peer, install, python

ROOT = Path(__file__).parents[2]
"""Where `python -m benchmarks.peers` is run, and its drivers."""


def peers_of(out: Path) -> dict[str, Peer]:
    """The peers, and the recipes that were added."""
    added = out / "recipes.json"
    more = json.loads(added.read_text()) if added.exists() else {}
    return PEERS | {
        name: Peer(f"tomosoup, recipe `{name}`", "tomosoup", variant=file, weights="model.safetensors")
        for name, file in more.items()
    }


def add_recipe(out: Path, name: str, file: str) -> None:
    """One more row."""
    added = out / "recipes.json"
    more = json.loads(added.read_text()) if added.exists() else {}
    added.write_text(json.dumps({**more, name: file}, indent=1))


def run(command: list[str | Path], log: Path, *, memory: float) -> int:
    """Run a program on one thread without a GPU; its peak memory in bytes. Raises `RuntimeError` where it fails.

    It fails, too, where it wants more than `memory` GB. This process is to stay small: a program's peak begins with it.
    """
    one = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    environment = {**os.environ, **dict.fromkeys(one, "1"), "CUDA_VISIBLE_DEVICES": ""}
    if command[0] != Path(sys.executable):
        environment.pop("PYTHONPATH", None)
    with log.open("w") as file:
        limits = (round(memory * 1e9),) * 2
        process = subprocess.Popen(
            command,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=ROOT,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, limits),
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = status
    if status:
        raise RuntimeError(f"ended with {os.waitstatus_to_exitcode(status)} (below 0 a signal): see {log}")
    return used.ru_maxrss * 1024


def measure(out: Path, name: str, peer: Peer, seed: int, *, minutes: float, memory: float) -> None:
    """Train, pick and score, or what is missing of it."""
    folder = out.resolve() / "jobs" / f"{name}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    sets = out.resolve() / "data"
    for step in ("train", "pick"):
        if not (folder / f"{step}-peak.json").exists():
            driver = ["-m", f"benchmarks.peers.drivers.{peer.driver}"]
            program = [python(out.resolve(), peer.environment), "-W", "ignore", *driver]
            words = [step, sets, folder, str(60 * minutes), str(seed), peer.variant]
            peak = run([*program, *words], folder / f"{step}.log", memory=memory)
            (folder / f"{step}-peak.json").write_text(json.dumps(peak))
    scorer = [python(out.resolve(), "topcup"), "-m", "benchmarks.peers.scorer", sets, folder]
    run(scorer, folder / "score.log", memory=memory)


def train(out: Path, seeds: list[int], names: list[str], **limits: float) -> None:
    """Measure every peer with the first seed, then with the next."""
    for seed in seeds:
        for name, peer in peers_of(out).items():
            done = (out / "jobs" / f"{name}-{seed}" / "score.json").exists()
            if done or (names and name not in names) or (peer.once and seed != seeds[0]):
                continue
            print(name, seed, flush=True)
            try:
                measure(out, name, peer, seed, **limits)
            except RuntimeError as error:
                print(error, flush=True)


def main() -> None:
    """Read the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("install", "simulate", "train", "recipe", "table"):
        commands.add_parser(name).add_argument("out", type=Path)
    commands.choices["simulate"].add_argument("maps", type=Path)
    commands.choices["simulate"].add_argument("--quick", action="store_true")
    commands.choices["recipe"].add_argument("name")
    commands.choices["recipe"].add_argument("file")
    commands.choices["train"].add_argument("--minutes", type=float, default=6.0)
    commands.choices["train"].add_argument("--memory", type=float, default=12.0, help="GB for one program, at most")
    commands.choices["train"].add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    commands.choices["train"].add_argument("--peers", nargs="+", default=[])
    asked = parser.parse_args()
    if asked.command == "install":
        install(asked.out)
    elif asked.command == "simulate":
        from benchmarks.peers.data import simulate

        simulate(asked.out, asked.maps, quick=asked.quick)
    elif asked.command == "recipe":
        add_recipe(asked.out, asked.name, asked.file)
    elif asked.command == "train":
        train(asked.out, asked.seeds, asked.peers, minutes=asked.minutes, memory=asked.memory)
    else:
        from benchmarks.peers.table import table

        table(asked.out, peers_of(asked.out))


if __name__ == "__main__":
    main()
