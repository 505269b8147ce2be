"""The command `tomosoup pick` on noise of many sizes: seconds and memory."""

import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import mrcfile
import numpy as np

from benchmarks.speed.inference.sides import FULL


def curve(model: Path, out: Path) -> None:
    """Seconds and memory from file to picks: tomograms from 1/64 of the full size to twice, and one net to eight."""
    for shape in ((46, 158, 158), (92, 315, 315), (184, 315, 315), FULL, (368, 630, 630), (368, 1260, 1260)):
        pick_noise(shape, [model], out)
    for number in (2, 4, 8):
        pick_noise((92, 315, 315), [model] * number, out)


def pick_noise(shape: tuple[int, int, int], models: Sequence[Path], out: Path) -> None:
    """Run `tomosoup pick` on noise of a shape in a separate process; print seconds and memory."""
    folder = out / "x".join(map(str, shape))
    if not folder.exists():
        folder.mkdir(parents=True)
        noise = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        with mrcfile.new(folder / "run.mrc", noise) as file:
            file.voxel_size = 10.0
    shutil.rmtree(folder / "picks.copick", ignore_errors=True)  # what is done would be skipped
    (folder / "picks.csv").unlink(missing_ok=True)
    began = time.perf_counter()
    words = ("pick", folder, "--model", *models, "--output", folder / "picks.csv")
    code = (
        # the peak that rusage gives has this process's own in it
        "import sys; from tomosoup.cli.main import main; main(sys.argv[1:]); "
        "peak = [line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')][0]; "
        "print(f'peak {int(peak) / 2**20:.2f} GiB')"
    )
    done = subprocess.run([sys.executable, "-c", code, *map(str, words)], check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    lines = done.stdout.splitlines()
    size = f"{folder.name:14} {np.prod(shape) / 1e6:7.1f} M voxels, nets: {len(models)}"
    print(f"{size} {seconds:7.1f} s   {lines[-1]}   {lines[0]}", flush=True)
