"""Measures whether the published recipes learn at full size on a CPU: the loss of thirty updates of each.

    python -m runs.checks.full_size_training OUT [RECIPE ...]

Simulates four small runs (64 x 256 x 256) in OUT. Then trains each recipe (yu4u, tattaka and soup-tiny by default) for
one epoch of 30 updates at batch 2, from scratch and with a short warm-up; all else is as shipped. Prints the mean loss
of the first and the last ten updates, and the seconds.
"""

import time
from pathlib import Path

import pandas as pd

import tomosoup
from runs.shared.command import Words, run_script
from runs.shared.short_training import short_training
from tomosoup.training.options import TrainingRecipe
from tomosoup.training.train import train

RUNS, UPDATES, BATCH = 4, 30, 2


def main(out: Path, *names: Words) -> None:
    """Simulate, train, and print the losses."""
    if not (out / "project").exists():
        tomosoup.simulate(out / "project", tomosoup.SimulationRecipe(), runs=RUNS)
    for name in names or ["yu4u", "tattaka", "soup-tiny"]:
        recipe = short_training(TrainingRecipe.read(name), runs=RUNS, updates=UPDATES, batch=BATCH)
        start = time.perf_counter()
        train(out / "project", recipe, folder=out / name)
        seconds = time.perf_counter() - start
        loss = pd.read_csv(out / name / "metrics.csv")["loss"].dropna()
        assert len(loss) == UPDATES
        print(
            f"{name}: {UPDATES} updates of {BATCH} windows in {seconds:.0f} s (with one validation); "
            f"mean loss {loss[:10].mean():.5f} -> {loss[-10:].mean():.5f}",
            flush=True,
        )


if __name__ == "__main__":
    run_script(main, description=__doc__)
