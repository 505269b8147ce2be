"""What must stay the same for a training to resume, and the state that it finds in its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from tomosoup.core.errors import InputError, first_line
from tomosoup.data.options import AnnotatedData
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.models.history import Trained
from tomosoup.training.options import TrainingRecipe


def identity_of(training: Trained, draft: Checkpoint, start: Checkpoint | None) -> dict[str, Any]:
    """What must stay the same for a training to resume, in JSON's types.

    `draft` is the checkpoint that it will make, `start` the one that it started from.
    """
    return {
        **training.recipe,
        **training.data,
        "runs": list(training.runs),
        "held_out": training.held_out,
        "species": [asdict(s) for s in draft.species],
        "voxel_size": draft.voxel_size,
        "start": [event.record() for event in start.history] if start else None,
    }


def refuse_another(identity: Mapping[str, Any], stored: Mapping[str, Any]) -> None:
    """Raises `InputError`, naming what differs, where the `stored` training to resume was another one."""
    stored = _in_todays_names(stored)
    if other := [key for key in {**identity, **stored} if identity.get(key) != stored.get(key)]:
        raise InputError(
            f"The training to resume was started with another {', '.join(other)}: give the same options, or start "
            "again with `overwrite=True`."
        )


def _in_todays_names(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A stored identity under today's names of options; options that are newer than it have their defaults."""
    found = dict(stored)
    for options in (TrainingRecipe, AnnotatedData):
        own = {name: found.pop(name) for name in {*options.model_fields, *options.RENAMED} & found.keys()}
        found |= options.of(own, source="The training to resume").model_dump(mode="json")
    return found


def stopped_by_itself(last: Path, identity: Mapping[str, Any]) -> bool:
    """Whether the training with the state `last` stopped early, after `patience` validations: nothing is left to do.

    Raises `InputError` where `identity` is that of another training.
    """
    try:
        state = torch.load(last, map_location="cpu", weights_only=True)  # runs nothing from the file
    except (RuntimeError, OSError, EOFError, LookupError, ValueError, UnpicklingError) as error:
        raise InputError(f"{last} cannot be read ({first_line(error)}): start again with `overwrite=True`.") from error
    if not any(callback.get("stopped_epoch") for callback in state["callbacks"].values()):
        return False
    refuse_another(identity, state["identity"])
    return True


def keep_log(log: Path) -> None:
    """Rename the log of the part before the stop: Lightning starts a new one."""
    if log.is_file():
        number = 1 + sum(1 for _ in log.parent.glob("metrics.*.csv"))
        log.rename(log.with_name(f"metrics.{number}.csv"))


def moved(state: Any, old: str, new: str) -> Any:
    """A callback's state, its paths below `old` now below `new`: the training's folder may have been moved."""
    if isinstance(state, dict):
        return {moved(k, old, new): moved(v, old, new) for k, v in state.items()}
    return new + state[len(old) :] if isinstance(state, str) and state.startswith(old) else state
