"""Models and projects with different names for the same particle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from tomosoup.data.project import CopickProject, Project
from tomosoup.models.checkpoint import Checkpoint

T = TypeVar("T")


def named_for(project: Project, models: Sequence[Checkpoint]) -> list[Checkpoint]:
    """The models with the project's names for their species, where it is a copick project that knows them.

    Raises `InputError` where a name could mean two of the project's species.
    """
    if not isinstance(project, CopickProject):
        return list(models)
    return [renamed(model, project.names_of(s.name for s in model.species)) for model in models]


def renamed(model: Checkpoint, names: Mapping[str, str]) -> Checkpoint:
    """The checkpoint with other names for its species; radii, weights and channels are the same."""
    return replace(
        model,
        species=tuple(replace(s, name=names[s.name]) for s in model.species),
        thresholds=_under(names, model.thresholds),
        mixed_thresholds=_under(names, model.mixed_thresholds),
        averaging_thresholds=_under(names, model.averaging_thresholds),
        calibration=_under(names, model.calibration),
        signal_levels=_under(names, model.signal_levels),
    )


def _under(names: Mapping[str, str], values: Mapping[str, T]) -> dict[str, T]:
    return {names.get(name, name): value for name, value in values.items()}
