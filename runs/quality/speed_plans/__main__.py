"""Measures F4 against time: what fewer and larger windows, and bf16, cost each network type.

    python -m runs.quality.speed_plans simulate OUT
    python -m runs.quality.speed_plans train OUT [NAME ...]            # trains what is missing in OUT
    python -m runs.quality.speed_plans measure OUT [NAME ...]          # picks in every way what is trained
    python -m runs.quality.speed_plans table OUT                       # prints the table of the page speed-plans
    python -m runs.quality.speed_plans figure OUT docs/inference/plans.png

NAME is a key of `trainings`, all by default. Each step can be stopped and started again: every row is a file.

The project holds twelve simulated tomograms (recipe `simulated`, 48 x 448 x 448 voxels of 10 Å). Five are trained on.
One is held out: picked in the same way, it sets the thresholds (`steady_thresholds`). Six are scored. A training has
one validation, at its end, so that nothing is chosen by it. Seconds are CPU seconds of one thread, so that other work
on the machine does not count.
"""

import torch

from runs.quality.speed_plans.measure import measure_all, simulate, train_all
from runs.quality.speed_plans.results import draw, table
from runs.shared.command import run_step

if __name__ == "__main__":
    torch.set_num_threads(1)
    steps = {"simulate": simulate, "train": train_all, "measure": measure_all, "table": table, "figure": draw}
    run_step(steps, description=__doc__)
