"""Which runs models may have seen: those whose names stand in their histories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tomosoup.core.errors import shortened
from tomosoup.data.copick.portal.croissant import names_of_runs
from tomosoup.data.project import CopickProject, Project
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.inference.readout.second_stage import chosen_second_stage
from tomosoup.models.checkpoint import load
from tomosoup.models.history import runs_named

Seen = Mapping[str, Sequence[str] | None]
"""By model, the runs whose names stand in its history; None where its history names no run at all."""


def runs_in_histories(project: Project, runs: Sequence[str], models: Sequence[Path], plan: PickingPlan) -> Seen:
    """Which of the runs the models, and the second stage, were trained, chosen or tuned on, as far as names say."""
    histories = {str(path): load(path).history for path in models}
    if second := chosen_second_stage(plan):
        histories[str(plan.second_stage)] = second.history
    names = {run: {run} for run in runs}
    if isinstance(project, CopickProject):
        names = names_of_runs(project.root, list(runs))
    known = {model: runs_named(history) for model, history in histories.items()}
    return {model: [run for run in runs if names[run] & of] if of else None for model, of in known.items()}


def remarks_on_history(seen: Seen) -> list[str]:
    """What the names in the histories mean for the scores: one sentence on runs that were seen, one on no names."""
    runs = sorted({run for of in seen.values() for run in of or ()})
    models = [model for model, of in seen.items() if of]
    unknown = [model for model, of in seen.items() if of is None]
    said = []
    if runs:
        said.append(
            f"{shortened(models)}: trained, chosen or tuned on runs with these names: {shortened(runs)}. If they are "
            "the same runs, the scores are too high."
        )
    if unknown:
        said.append(f"{shortened(unknown)}: the history names no runs, so the model may have seen these.")
    return said
