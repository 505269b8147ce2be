"""Measures F4 against the number of annotated particles: fine-tuned from the default model, and trained from scratch.

    python -m runs.quality.fine_tuning simulate OUT
    python -m runs.quality.fine_tuning train OUT [NAME ...]      # trains and scores what is missing in OUT
    python -m runs.quality.fine_tuning table OUT                 # prints the tables of docs/training/fine-tuning.md
    python -m runs.quality.fine_tuning figure OUT docs/training/fine-tuning.png
    python -m runs.quality.fine_tuning chain OUT                 # all steps of docs/scoring/what-helps.md

NAME is way-particles-seed (default-10-0), all by default. `train` can be stopped and started again: every row is a
file, and an interrupted training resumes.

There are four species: ribosomes, which the default model knows, and three of our own design that it does not: a barrel
(730 kDa), a ring (540) and a rod (340). Each tomogram (64 x 256 x 256 voxels of 10 Å, microscope of the recipe
`contest`) holds ten of each. 1, 3, 10 or 30 tomograms are trained on. One more chooses the epoch and the thresholds.
Six others, with 60 particles a species, are scored.

The way "simulated" first trains on five tomograms that are simulated with another microscope (`OTHER`) than the
annotated ones, as a lab's own would be. With 0 particles the training ends there.
"""

from runs.quality.fine_tuning.chain import chain
from runs.quality.fine_tuning.projects import simulate
from runs.quality.fine_tuning.tables import figure, table
from runs.quality.fine_tuning.trainings import train
from runs.shared.command import run_step
from tomosoup.core.runtime import keep_freed_memory

if __name__ == "__main__":
    keep_freed_memory()
    steps = {"simulate": simulate, "train": train, "table": table, "figure": figure, "chain": chain}
    run_step(steps, description=__doc__)
