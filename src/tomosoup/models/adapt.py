"""Checkpoints for other species: under a project's names, or to start fine-tuning from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from tomosoup.core.errors import InputError
from tomosoup.core.types import Species
from tomosoup.data.copick.names import copick_names
from tomosoup.data.project import CopickProject, Project
from tomosoup.models.checkpoint import Checkpoint, shapes_of
from tomosoup.models.nets.build import build_net
from tomosoup.models.nets.options import Architecture
from tomosoup.models.second_stage import SecondStage

T = TypeVar("T")


def for_species(start: Checkpoint, species: Sequence[Species]) -> Checkpoint:
    """The checkpoint in a net for `species`. Only the rows of the output differ.

    A species that the checkpoint knows by name keeps its rows. A new species gets the random rows of a new net.
    Thresholds and calibration belong to the old weights and are left out. Raises `InputError` where the width of inner
    layers, too, follows the number of species.
    """
    if (species := tuple(species)) == start.species:
        return start
    ahead = int(start.segments_voxels)  # segmentation models have the background first
    names = [s.name for s in start.species]
    known = [i for i, s in enumerate(species) if s.name in names]
    kept = [*range(ahead), *(names.index(species[i].name) + ahead for i in known)]
    rows = [*range(ahead), *(i + ahead for i in known)]
    fresh = build_net(start.architecture.given_weights(), classes=len(species)).state_dict()
    axes = class_axes(start.architecture)
    if any(w.shape != fresh[name].shape and not axes[name] for name, w in start.weights.items()):
        raise InputError(
            f"Inner layers of the net to start from are as narrow as its {len(names)} species and do not fit "
            f"{len(species)}: start from a checkpoint with larger net.decoder_widths."
        )
    weights = {}
    for name, new in fresh.items():
        old, by_class = start.weights[name].to(new.dtype), axes[name]
        weights[name] = new.clone() if by_class else old
        if by_class:
            here = _rows(new.shape, by_class, rows, classes=len(species) + ahead)
            weights[name][here] = old[_rows(old.shape, by_class, kept, classes=len(names) + ahead)]
    tuned = ("thresholds", "mixed_thresholds", "averaging_thresholds", "calibration", "pick_calibration")
    nothing: dict[str, Any] = {name: {} for name in tuned}
    return replace(start, weights=weights, species=species, **nothing)


def class_axes(architecture: Architecture) -> Mapping[str, Sequence[int]]:
    """By the name of each weight, the axes that are longer in a net for more classes."""
    with torch.device("meta"):
        nets = (build_net(architecture.given_weights(), classes=n).state_dict() for n in (1, 2))
        few, more = map(shapes_of, nets)
    return {name: [axis for axis, n in enumerate(few[name]) if n != more[name][axis]] for name in few}


def _rows(shape: Sequence[int], axes: Sequence[int], chosen: Sequence[int], *, classes: int) -> tuple[Tensor, ...]:
    """Index of the entries of the `chosen` classes along `axes`, all along the others.

    Along such an axis each of the `classes` has equally many entries, one class after the other.
    """
    along = [torch.arange(n) for n in shape]
    for axis in axes:
        along[axis] = along[axis].reshape(classes, -1)[list(chosen)].flatten()
    return torch.meshgrid(*along, indexing="ij")


def named_for(project: Project, models: Sequence[Checkpoint]) -> list[Checkpoint]:
    """The models with the project's names for their species, where it is a copick project that knows them.

    All names are such that copick can keep them, as picks go to a copick project. Raises `InputError` where a name
    could mean two of the project's species.
    """
    return [renamed(model, _names_in(project, [s.name for s in model.species])) for model in models]


def _names_in(project: Project, names: Sequence[str]) -> dict[str, str]:
    """What species of these names are called where picks of a project go."""
    kept = copick_names(names)
    called = project.names_of(kept.values()) if isinstance(project, CopickProject) else {}
    return {name: called.get(own, own) for name, own in kept.items()}


def second_stage_for(project: Project, second: SecondStage) -> SecondStage:
    """The second stage with the project's names for its species, as `named_for` names models."""
    names = _names_in(project, [s.name for s in second.species])
    return replace(
        second,
        species=tuple(replace(s, name=names[s.name]) for s in second.species),
        thresholds=_under(names, second.thresholds),
        averaging_thresholds=_under(names, second.averaging_thresholds),
        pick_calibration=_under(names, second.pick_calibration),
    )


def renamed(model: Checkpoint, names: Mapping[str, str]) -> Checkpoint:
    """The checkpoint with other names for its species; radii, weights and channels are the same."""
    return replace(
        model,
        species=tuple(replace(s, name=names[s.name]) for s in model.species),
        thresholds=_under(names, model.thresholds),
        mixed_thresholds=_under(names, model.mixed_thresholds),
        averaging_thresholds=_under(names, model.averaging_thresholds),
        calibration=_under(names, model.calibration),
        pick_calibration=_under(names, model.pick_calibration),
        signal_levels=model.signal_levels.under(names),
    )


def _under(names: Mapping[str, str], values: Mapping[str, T]) -> dict[str, T]:
    return {names.get(name, name): value for name, value in values.items()}
