"""Measures how far picks are from perfect: F4 against dose and missing wedge, and which errors cost most.

    python -m runs.quality.detection_limits simulate OUT DATA [LEVEL ...]    # DATA holds maps_10A/
    python -m runs.quality.detection_limits measure OUT MODEL      # F4 of a model on every level
    python -m runs.quality.detection_limits matched OUT            # matched filters on every level
    python -m runs.quality.detection_limits apart OUT SPECIES SPECIES [LEVEL ...]
    python -m runs.quality.detection_limits errors OUT MODEL PROJECT [PROJECT ...]
    python -m runs.quality.detection_limits table OUT MODEL        # prints the table of docs/scoring/limits.md
    python -m runs.quality.detection_limits figure OUT MODEL docs/scoring/limits.png

MODEL is `default` or a checkpoint. Each step can be stopped and started again: every result is a file in OUT. A matched
filter is given the template and the orientation of a particle, so its F4 is a limit for every method.
"""

import torch

from runs.quality.detection_limits.error_classes import errors
from runs.quality.detection_limits.levels import simulate
from runs.quality.detection_limits.matched_filters import apart, matched
from runs.quality.detection_limits.model import measure
from runs.quality.detection_limits.tables import draw, table
from runs.shared.command import run_step
from tomosoup.core.runtime import keep_freed_memory

if __name__ == "__main__":
    keep_freed_memory()
    torch.set_num_threads(1)
    steps = {
        "simulate": simulate,
        "measure": measure,
        "matched": matched,
        "apart": apart,
        "errors": errors,
        "table": table,
        "figure": draw,
    }
    run_step(steps, description=__doc__)
