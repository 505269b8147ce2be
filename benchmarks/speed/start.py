"""Measures the start of commands, in CPU seconds beside importing torch, and what they import.

    python -m benchmarks.speed.start [--beside ../before/src]

`--beside` is the `src` folder of another version, whose commands run in turn with these. CPU seconds are user and
system, with one thread, the least of the repeats: other work on the machine changes them less than time that passes.
"""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import mrcfile
import numpy as np

from runs.shared.command import run_script

OURS = Path(__file__).parents[2] / "src"
COMMAND = "from tomosoup.cli.main import main; main({words!r})"
HEAVY = ("numpy", "pydantic", "copick", "pandas", "torch", "torchvision", "torch._dynamo")
ASK = "\nimport sys; print(*(m for m in {heavy!r} if m in sys.modules), file=sys.stderr)"


def cpu_seconds(code: str, source: Path) -> tuple[float, str]:
    """What a Python of its own takes for `code`, and what it says on standard error at its end."""
    environment = os.environ | {"PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment, **silent)  # type: ignore[call-overload]
    said = process.stderr.read().decode()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(said)
    return used.ru_utime + used.ru_stime, (said.splitlines() or [""])[-1]


def commands(folder: Path) -> dict[str, list[str]]:
    """The commands to measure, on a table of one pick and a tomogram of one window, which they find in `folder`."""
    table, project = folder / "p.csv", folder / "project"
    table.write_text("experiment,particle_type,x,y,z\nTS_1,ribosome,1,2,3\n")
    project.mkdir()
    with mrcfile.new(project / "TS_1.mrc") as file:
        file.set_data(np.random.default_rng(0).normal(size=(16, 64, 64)).astype(np.float32))
        file.voxel_size = 10.0
    return {
        "tomosoup --help": ["--help"],
        "tomosoup pick --help": ["pick", "--help"],
        "tomosoup score": ["score", str(table), str(table)],
        "tomosoup pick": ["pick", str(project), "-o", str(folder / "picks.csv"), "--overwrite", "--redo"],
    }


def main(beside: Path | None = None, repeats: int = 5) -> None:
    """Print CPU seconds of each, and the large modules that it imports."""
    sources = [OURS, *([beside.resolve()] if beside else [])]
    with TemporaryDirectory() as folder:
        codes = {name: COMMAND.format(words=words) for name, words in commands(Path(folder)).items()}
        for name, code in {"python -c pass": "pass", "import torch": "import torch", **codes}.items():
            asked = code + ASK.format(heavy=HEAVY)
            found = [[cpu_seconds(asked, source) for source in sources] for _ in range(repeats)]
            seconds = [min(taken for taken, _ in times) for times in zip(*found, strict=True)]
            ratio = f"  x {seconds[-1] / seconds[0]:.1f}" if beside else ""
            print(f"{name:<21}", *(f"{s:6.2f} s" for s in seconds), ratio)
            for source, (_, heavy) in zip(sources, found[0], strict=True):
                print(f"    {heavy or 'none'}" + f"  ({source})" * bool(beside))


if __name__ == "__main__":
    run_script(main, description=__doc__)
