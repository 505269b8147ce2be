"""The command `tomosoup pick` in a process of its own: seconds and memory, on noise of many sizes."""

import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import mrcfile
import numpy as np
from numpy.typing import NDArray

from benchmarks.speed.inference.sides import FULL


def curve(model: Path, out: Path) -> None:
    """Seconds and memory from file to picks: tomograms from 1/64 of the full size to twice, and one net to eight."""
    for shape in ((46, 158, 158), (92, 315, 315), (184, 315, 315), FULL, (368, 630, 630), (368, 1260, 1260)):
        pick_noise(shape, [model], out)
    for number in (2, 4, 8):
        pick_noise((92, 315, 315), [model] * number, out)


def pick_noise(shape: tuple[int, int, int], models: Sequence[Path], out: Path) -> None:
    """Run `tomosoup pick` on noise of a shape; print seconds and memory."""
    folder = out / "x".join(map(str, shape))
    if not folder.exists():
        write_tomogram(folder, np.random.default_rng(0).normal(size=shape))
    seconds, lines = timed_pick(folder, models)
    size = f"{folder.name:14} {np.prod(shape) / 1e6:7.1f} M voxels, nets: {len(models)}"
    print(f"{size} {seconds:7.1f} s   {lines[-1]}   {lines[0]}", flush=True)


def write_tomogram(folder: Path, voxels: NDArray[np.floating]) -> None:
    """A folder with one run of 10 Å voxels."""
    folder.mkdir(parents=True)
    with mrcfile.new(folder / "run.mrc", voxels.astype(np.float32)) as file:
        file.voxel_size = 10.0


def timed_pick(folder: Path, models: Sequence[str | Path]) -> tuple[float, list[str]]:
    """Seconds from the start of `tomosoup pick` to its end, and the lines it printed; its memory is in the last one."""
    picks = folder.with_suffix(".csv")
    shutil.rmtree(picks.with_suffix(".copick"), ignore_errors=True)  # what is done would be skipped
    picks.unlink(missing_ok=True)
    began = time.perf_counter()
    words = ("pick", folder, "--model", *models, "--output", picks)
    code = (
        # the peak that rusage gives has this process's own in it
        "import sys; from tomosoup.cli.main import main; main(sys.argv[1:]); "
        "peak = [line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')][0]; "
        "print(f'peak {int(peak) / 2**20:.2f} GiB')"
    )
    done = subprocess.run([sys.executable, "-c", code, *map(str, words)], check=True, capture_output=True, text=True)
    return time.perf_counter() - began, done.stdout.splitlines()
