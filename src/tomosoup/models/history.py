"""What made a checkpoint, and which runs it has seen."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tomosoup.core.errors import InputError
from tomosoup.models.checkpoint import Checkpoint


@dataclass(frozen=True)
class SeenRuns:
    """The runs that made a checkpoint: those trained on, and those that chose among weights (epochs, ingredients)."""

    trained: frozenset[str]
    held_out: frozenset[str]


def runs_seen(checkpoint: Checkpoint) -> SeenRuns:
    """What the checkpoint's history says of the project that it was trained on; pretraining was on another one."""
    trained: set[str] = set()
    held_out: set[str] = set()
    for event in checkpoint.history:
        if event.get("step") == "train":
            trained |= set(event.get("runs", ()))
            held_out.add(event["held_out"])
        held_out |= set(event.get("chosen_on", ()))
        for history in event.get("ingredients", ()):
            inner = runs_seen(replace(checkpoint, history=tuple(history)))
            trained |= inner.trained
            held_out |= inner.held_out
    return SeenRuns(frozenset(trained), frozenset(held_out))


def held_out_run(model: Checkpoint) -> str:
    """The run that a checkpoint's training held out. Raises `InputError` where its history names none."""
    for event in reversed(model.history):
        if "held_out" in event:
            run = str(event["held_out"])
            if run in runs_seen(model).trained:
                raise InputError(
                    f"A model's weights have seen the run that its training held out ({run}), in a training that it "
                    "started from: its picks there are not out of fold. Tune with others, or set --threshold yourself."
                )
            return run
    raise InputError(
        "A model's history names no held-out run, so none of its picks are out of fold: tune with checkpoints of "
        "`tomosoup train --all-folds`, or set thresholds yourself (--threshold)."
    )
