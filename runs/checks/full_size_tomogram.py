"""Measures time and peak memory of a full-size tomogram from simulation to score: simulate, pick, score.

    python -m runs.checks.full_size_tomogram DATA MODEL OUT [-- OPTION ...]

DATA holds czii_train_picks.csv and maps_10A/. MODEL is a checkpoint such as the demo's. OUT is a new folder. OPTIONs,
after `--`, go to `tomosoup simulate`. The tomogram has 184 x 630 x 630 voxels of 10 Å and the layout of the contest's
files. Its particles have the annotated coordinates of the contest's run TS_99_9.
"""

import resource
import subprocess
import sys
import time
from pathlib import Path

from runs.shared.command import Words, run_script
from runs.shared.density_maps import PDB_CODES

CODES = PDB_CODES | {"beta-amylase": "1fa2"}


def step(*words: object) -> None:
    """Run a tomosoup command; print its time and the largest resident memory of any step so far."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "tomosoup", *map(str, words)], check=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(f"[{words[0]}: {time.perf_counter() - start:.0f} s, peak memory so far {peak:.2f} GiB]", flush=True)


def main(data: Path, model: str, out: Path, *options: Words) -> None:
    """Run the three commands."""
    maps = [word for name, code in sorted(CODES.items()) for word in (name, data / "maps_10A" / f"{code}.mrc")]
    picks = data / "czii_train_picks.csv"
    step(
        *("simulate", out / "train", "--contest", "--recipe", "contest", "--seed", 99),
        *("--like", picks, "--like-runs", "TS_99_9", "--maps", *maps, "--map-scale", "virus-like-particle", 0.866),
        *options,
    )
    step("pick", out / "train", "--model", model, "--output", out / "picks.csv")
    step("score", out / "picks.csv", out / "train")


if __name__ == "__main__":
    run_script(main, description=__doc__)
