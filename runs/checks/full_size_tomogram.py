"""A full-size tomogram from nothing to a score: simulate, pick, score, with time and peak memory of each step.

    python -m runs.checks.full_size_tomogram DATA MODEL OUT

DATA holds czii_train_picks.csv and maps_10A/; MODEL is a checkpoint such as the demo's; OUT is a new folder. The
tomogram has 184 x 630 x 630 voxels of 10 Å, its particles stand at the annotated coordinates of the contest's run
TS_99_9, and its files are laid out as the contest's.
"""

import resource
import subprocess
import sys
import time
from pathlib import Path

MAPS = {
    "apo-ferritin": "8cpv",
    "beta-amylase": "1fa2",
    "beta-galactosidase": "6drv",
    "ribosome": "6qzp",
    "thyroglobulin": "7n4y",
    "virus-like-particle": "6n4v",
}


def step(*words: object) -> None:
    """Run a tomosoup command; print its time and the largest resident memory of any step so far."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "tomosoup", *map(str, words)], check=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(f"[{words[0]}: {time.perf_counter() - start:.0f} s, peak memory so far {peak:.2f} GiB]", flush=True)


if __name__ == "__main__":
    data, model, out = map(Path, sys.argv[1:4])
    maps = [word for name, code in MAPS.items() for word in (name, data / "maps_10A" / f"{code}.mrc")]
    picks = data / "czii_train_picks.csv"
    step(
        *("simulate", out / "train", "--contest", "--recipe", "contest", "--seed", 99),
        *("--like", picks, "--like-runs", "TS_99_9", "--maps", *maps, "--map-scale", "virus-like-particle", 0.7),
        *sys.argv[4:],
    )
    step("pick", out / "train", "--model", model, "--output", out / "picks.csv")
    step("score", out / "picks.csv", out / "train")
